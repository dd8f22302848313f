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
import { LoggedPut } from '../../src/core/logged-put.ts';
import type { Entry, Millis, Offset } from '../../src/ports.ts';
import { crc32 } from './crc32.ts';
import { readInteger, textAt, textEnd, writeAscii, writeInteger, writeText, writeUtf8 } from './fields.ts';
import { family } from './keys.ts';
import { uuidAt, writeUuid, writeUuidBytes } from './uuid.ts';

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
  const authorship = entry instanceof LoggedPut ? entry.idBytes.length + entry.byBytes.length : entry.id.length + entry.by.length;
  const texts = authorship + entry.contentType.length;
  return FIXED_BYTES + 16 + 3 * (5 + texts) + entry.value.length;
}

/** Writes a body at `at` and returns where it ends. `into` must have `bodyBound` bytes from there. */
export function writeBody(into: Buffer, at: number, partition: number, entry: Entry): number {
  const { contentType, value, newest, version, expires } = entry;
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
  const id = writeId(into, end, entry);
  flags |= id;
  if (id !== 0) end = id === ID_UUID ? end + 16 : textEnd(into, end);
  const by = writeBy(into, end, entry);
  if (by > end) flags |= BY;
  end = by;
  if (contentType !== '') {
    flags |= TYPE;
    end = writeText(into, end, contentType);
  }
  into[at] = flags;
  into.set(value, end);
  return end + value.length;
}

/** Returns the flag of what it has written; 0: nothing. */
function writeId(into: Buffer, at: number, entry: Entry): 0 | typeof ID_UUID | typeof ID_TEXT {
  if (entry instanceof LoggedPut ? writeUuidBytes(into, at, entry.idBytes) : writeUuid(into, at, entry.id)) return ID_UUID;
  if (entry.id === '') return 0;
  writeText(into, at, entry.id);
  return ID_TEXT;
}

/** Returns where it ends. */
function writeBy(into: Buffer, at: number, entry: Entry): number {
  const end = entry instanceof LoggedPut ? writeAscii(into, at, entry.byBytes) : -1;
  if (end >= 0) return end;
  return entry.by === '' ? at : writeText(into, at, entry.by);
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
  return crc32(levelKey, 0, levelKey.length, crc32(row, CRC_BYTES, row.length)) === stored;
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

/** Longer views are made anew each time. */
const MOST_VIEWS = 1024;

/** Views of the beginning of a buffer, by length. Rows are of few lengths, and each view made anew would be garbage at once. */
class Views {
  readonly #bytes: Buffer;
  readonly #from: number;
  readonly #made: (Uint8Array | undefined)[] = new Array(MOST_VIEWS);

  constructor(bytes: Buffer, from = 0) {
    this.#bytes = bytes;
    this.#from = from;
  }

  to(end: number): Uint8Array {
    if (end >= MOST_VIEWS) return this.#view(end);
    const made = this.#made[end] ?? this.#view(end);
    this.#made[end] = made;
    return made;
  }

  #view(end: number): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#from, end - this.#from);
  }
}

/**
 * Encodes rows into buffers that grow as needed and are used again for each row: an allocation per row would cost more than the rest.
 * `key`, `row` and `body` are views that the next `encode` overwrites.
 */
export class RowEncoder {
  #rowBytes = Buffer.allocUnsafeSlow(4096);
  #rows = new Views(this.#rowBytes);
  #bodies = new Views(this.#rowBytes, CRC_BYTES);
  #keyBytes = Buffer.allocUnsafeSlow(1024);
  #keys = new Views(this.#keyBytes);
  /** The LevelDB key. */
  key: Uint8Array = this.#keyBytes;
  row: Uint8Array = this.#rowBytes;
  /** The row without its checksum. */
  body: Uint8Array = this.#rowBytes;

  encode(partition: number, key: string, entry: Entry): void {
    this.#reserve(CRC_BYTES + bodyBound(entry), 1 + 3 * key.length);
    const rowBytes = this.#rowBytes;
    const keyBytes = this.#keyBytes;
    const rowEnd = writeBody(rowBytes, CRC_BYTES, partition, entry);
    keyBytes[0] = family.entry;
    const keyEnd = writeUtf8(keyBytes, 1, key);
    const crc = crc32(keyBytes, 0, keyEnd, crc32(rowBytes, CRC_BYTES, rowEnd));
    rowBytes[0] = crc;
    rowBytes[1] = crc >>> 8;
    rowBytes[2] = crc >>> 16;
    rowBytes[3] = crc >>> 24;
    this.row = this.#rows.to(rowEnd);
    this.body = this.#bodies.to(rowEnd);
    this.key = this.#keys.to(keyEnd);
  }

  #reserve(forRow: number, forKey: number): void {
    if (forRow > this.#rowBytes.length) {
      this.#rowBytes = Buffer.allocUnsafeSlow(forRow * 2);
      this.#rows = new Views(this.#rowBytes);
      this.#bodies = new Views(this.#rowBytes, CRC_BYTES);
    }
    if (forKey > this.#keyBytes.length) {
      this.#keyBytes = Buffer.allocUnsafeSlow(forKey * 2);
      this.#keys = new Views(this.#keyBytes);
    }
  }
}
