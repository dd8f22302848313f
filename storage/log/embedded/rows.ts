/**
 * The rows of the embedded log in LevelDB. Numbers are big-endian, so that the order of bytes is the order of offsets and times.
 *
 *   'i'                              -> sealed JSON          which log this is
 *   's'                              -> sealed nothing        the log takes no writes
 *   'p' partition:u32                -> sealed next:u64 time:u64   the partition's end and newest log time; written with every append
 *   'c' partition:u32                -> sealed cleaned:u64   compaction has been through everything before this offset
 *   'r' partition:u32 offset:u64     -> sealed record        (record.ts)
 *   'k' partition:u32 key            -> sealed offset:u64 due:u64  newest record of a key before `cleaned`; due: a tombstone's, else 0
 *   'd' partition:u32 due:u64 offset:u64 -> sealed key       a tombstone that may go at `due`
 *
 * sealed = crc32(row key, body):u32 body. LevelDB does not notice a flipped byte in a value, and compaction deletes by what these rows say,
 * so every one of them is checked when it is read.
 */
import { crc32 } from 'node:zlib';
import type { Offset, Partition } from '../../../src/ports.ts';

const tag = { identity: 0x69, seal: 0x73, end: 0x70, cleaned: 0x63, record: 0x72, key: 0x6b, due: 0x64 };

/** A row whose checksum does not fit. */
export class DamagedRow extends Error {
  override readonly name = 'DamagedRow';
}

export const identityKey = Buffer.of(tag.identity);

export const sealKey = Buffer.of(tag.seal);

export const endKey = (partition: Partition): Buffer => head(tag.end, partition, 0);

export const cleanedKey = (partition: Partition): Buffer => head(tag.cleaned, partition, 0);

export function recordKey(partition: Partition, offset: Offset): Buffer {
  const key = head(tag.record, partition, 8);
  writeU64(key, offset, 5);
  return key;
}

/** The offset in a record's row key. */
export const offsetOfKey = (key: Uint8Array): Offset => readU64(asBuffer(key), 5) as Offset;

export function newestKey(partition: Partition, key: Uint8Array): Buffer {
  const row = head(tag.key, partition, key.length);
  row.set(key, 5);
  return row;
}

export function dueKey(partition: Partition, due: number, offset: Offset): Buffer {
  const key = head(tag.due, partition, 16);
  writeU64(key, due, 5);
  writeU64(key, offset, 13);
  return key;
}

/** The offset in a due row's key. */
export const offsetOfDueKey = (key: Uint8Array): Offset => readU64(asBuffer(key), 13) as Offset;

/** A row of numbers, sealed. */
export function sealNumbers(key: Uint8Array, ...numbers: readonly number[]): Buffer {
  const row = Buffer.allocUnsafe(4 + 8 * numbers.length);
  for (const [index, value] of numbers.entries()) writeU64(row, value, 4 + 8 * index);
  return sealInPlace(key, row);
}

/** A row of bytes, sealed. */
export function sealBytes(key: Uint8Array, body: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(4 + body.length);
  row.set(body, 4);
  return sealInPlace(key, row);
}

/** Fills in the checksum of a row whose first four bytes were left for it. */
export function sealInPlace(key: Uint8Array, row: Buffer): Buffer {
  row.writeUInt32BE(crc32(row.subarray(4), crc32(key)), 0);
  return row;
}

/** The body of a sealed row. Throws `DamagedRow`. */
export function unseal(key: Uint8Array, sealed: Uint8Array): Buffer {
  const row = asBuffer(sealed);
  if (row.length < 4 || row.readUInt32BE(0) !== crc32(row.subarray(4), crc32(key))) {
    throw new DamagedRow(`the row ${asBuffer(key).toString('hex')} does not fit its checksum`);
  }
  return row.subarray(4);
}

/** The numbers of a row. Throws `DamagedRow`. */
export function unsealNumbers(key: Uint8Array, sealed: Uint8Array): readonly number[] {
  const body = unseal(key, sealed);
  return Array.from({ length: body.length / 8 }, (_, index) => readU64(body, 8 * index));
}

/** Exact to 2^53, without the price of a bigint. */
export function writeU64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  buffer.writeUInt32BE(value % 2 ** 32, at + 4);
}

export function readU64(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function head(kind: number, partition: Partition, more: number): Buffer {
  const key = Buffer.allocUnsafe(5 + more);
  key[0] = kind;
  key.writeUInt32BE(partition, 1);
  return key;
}
