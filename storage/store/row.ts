/**
 * The stored form of an `Entry`. Little-endian; the row does not hold its key, but its checksum covers it, so that a row that stands
 * under a wrong key is noticed as well as one with a flipped bit.
 *
 *     row      = crc u32, body                  crc: CRC-32 of body, then of the whole LevelDB key (`e` and the key's bytes)
 *     body     = flags u8, partition u16, version i64, time i64,
 *                [newest i64], [expires i64], [id], [by text], [contentType text], value (to the end)
 *     flags    = 1 deleted, 2 settled, 4 newest differs from version, 8 expires follows,
 *                16 id follows as 16 bytes, 32 id follows as text, 64 by follows, 128 contentType follows
 *     id       = 16 bytes of a canonical lower-case uuid, or text
 *     text     = n u8 (0 to 254) or 255 and n u32, then n bytes of UTF-8
 *
 * Numbers are 64-bit two's complement, exact for all safe integers, -1 among them. The hashmap keeps bodies too (arena.ts).
 */
import { crc32 } from 'node:zlib';
import type { Entry, Millis, Offset } from '../../src/ports.ts';
import { readInteger, textAt, textEnd, writeInteger, writeText, writeUtf8 } from './fields.ts';
import { family } from './keys.ts';
import { uuidAt, writeUuid } from './uuid.ts';

const DELETED = 1;
const SETTLED = 2;
const NEWEST = 4;
const EXPIRES = 8;
const ID_UUID = 16;
const ID_TEXT = 32;
const BY = 64;
const TYPE = 128;

/** The part of a body that is always there. */
const FIXED_BYTES = 1 + 2 + 8 + 8;
/** Partitions are stored in two bytes. */
export const MAX_PARTITIONS = 0xffff;
export const CRC_BYTES = 4;

/** A buffer of at least so many bytes holds the body of `entry`. */
export function bodyBound(entry: Entry): number {
  const texts = entry.id.length + entry.by.length + entry.contentType.length;
  return FIXED_BYTES + 16 + 3 * (5 + texts) + entry.value.length;
}

/** Writes a body at `at` and returns where it ends. `into` must have `bodyBound` bytes from there. */
export function writeBody(into: Buffer, at: number, partition: number, entry: Entry): number {
  const { id, by, contentType, value, newest, version, expires } = entry;
  let flags = (entry.deleted ? DELETED : 0) | (entry.settled ? SETTLED : 0);
  into[at + 1] = partition & 0xff;
  into[at + 2] = partition >>> 8;
  writeInteger(into, at + 3, version);
  writeInteger(into, at + 11, entry.time);
  let end = at + FIXED_BYTES;
  if (newest !== version) {
    flags |= NEWEST;
    end = writeInteger(into, end, newest);
  }
  if (expires !== 0) {
    flags |= EXPIRES;
    end = writeInteger(into, end, expires);
  }
  if (id !== '') {
    const uuid = writeUuid(into, end, id);
    flags |= uuid ? ID_UUID : ID_TEXT;
    end = uuid ? end + 16 : writeText(into, end, id);
  }
  if (by !== '') {
    flags |= BY;
    end = writeText(into, end, by);
  }
  if (contentType !== '') {
    flags |= TYPE;
    end = writeText(into, end, contentType);
  }
  into[at] = flags;
  into.set(value, end);
  return end + value.length;
}

/** Reads the body between two places. The entry's value is a view of `from`, or with `copy` bytes of its own. */
export function readBody(from: Buffer, at: number, end: number, copy = false): Entry {
  const flags = from[at]!;
  const version = readInteger(from, at + 3) as Offset;
  let next = at + FIXED_BYTES;
  let newest = version;
  if (flags & NEWEST) {
    newest = readInteger(from, next) as Offset;
    next += 8;
  }
  let expires = 0 as Millis;
  if (flags & EXPIRES) {
    expires = readInteger(from, next) as Millis;
    next += 8;
  }
  let id = '';
  if (flags & ID_UUID) {
    id = uuidAt(from, next);
    next += 16;
  } else if (flags & ID_TEXT) {
    id = textAt(from, next);
    next = textEnd(from, next);
  }
  let by = '';
  if (flags & BY) {
    by = textAt(from, next);
    next = textEnd(from, next);
  }
  let contentType = '';
  if (flags & TYPE) {
    contentType = textAt(from, next);
    next = textEnd(from, next);
  }
  const view = new Uint8Array(from.buffer, from.byteOffset + next, end - next);
  return {
    version,
    newest,
    settled: (flags & SETTLED) !== 0,
    deleted: (flags & DELETED) !== 0,
    value: copy ? view.slice() : view,
    time: readInteger(from, at + 11) as Millis,
    expires,
    id,
    by,
    contentType,
  };
}

/** Whether a row's checksum fits it and the LevelDB key it was found under. */
export function rowFits(levelKey: Uint8Array, row: Uint8Array): boolean {
  if (row.length < CRC_BYTES + FIXED_BYTES) return false;
  const stored = (row[0]! | (row[1]! << 8) | (row[2]! << 16) | (row[3]! << 24)) >>> 0;
  return crc32(levelKey, crc32(row.subarray(CRC_BYTES))) === stored;
}

/** The entry of a row whose checksum has been looked at. Its value is a view of `row`. */
export function entryOf(row: Uint8Array): Entry {
  return readBody(Buffer.from(row.buffer, row.byteOffset, row.byteLength), CRC_BYTES, row.length);
}

/** What a scan needs of a row, without reading all of it. */
export function partitionOf(row: Uint8Array): number {
  return row[CRC_BYTES + 1]! | (row[CRC_BYTES + 2]! << 8);
}

export function isSettled(row: Uint8Array): boolean {
  return (row[CRC_BYTES]! & SETTLED) !== 0;
}

/**
 * Encodes rows into one buffer that grows as needed and is used again for each row: an allocation per row would cost more than the rest.
 * The buffer holds row and key side by side, so that one call computes the checksum of both.
 */
export class RowEncoder {
  #scratch = Buffer.allocUnsafeSlow(4096);
  /** The LevelDB key and the row of the last `encode`: views that the next one overwrites. */
  key: Uint8Array = this.#scratch;
  row: Uint8Array = this.#scratch;

  encode(partition: number, key: string, entry: Entry): void {
    const bound = CRC_BYTES + bodyBound(entry) + 1 + 3 * key.length;
    if (bound > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(bound * 2);
    const scratch = this.#scratch;
    const rowEnd = writeBody(scratch, CRC_BYTES, partition, entry);
    scratch[rowEnd] = family.entry;
    const keyEnd = writeUtf8(scratch, rowEnd + 1, key);
    const crc = crc32(new Uint8Array(scratch.buffer, CRC_BYTES, keyEnd - CRC_BYTES));
    scratch[0] = crc;
    scratch[1] = crc >>> 8;
    scratch[2] = crc >>> 16;
    scratch[3] = crc >>> 24;
    this.row = new Uint8Array(scratch.buffer, 0, rowEnd);
    this.key = new Uint8Array(scratch.buffer, rowEnd, keyEnd - rowEnd);
  }
}
