/**
 * What a fetch brings of a partition: record batches of Kafka's format version 2, one behind the other, the last of them often cut off.
 *
 *   batch  = baseOffset i64, length i32, leaderEpoch i32, magic i8 (2), crc u32, attributes i16, lastOffsetDelta i32,
 *            baseTime i64, maxTime i64, producerId i64, producerEpoch i16, baseSequence i32, count i32, record x count
 *   record = length v, attributes i8, timeDelta v, offsetDelta v, key length v and bytes, value length v and bytes (-1: null),
 *            headers v, each: name length v and UTF-8, value length v and bytes (-1: null)
 *
 * All big-endian; `v` is a zigzag varint. `length` counts from the leader's epoch on, the CRC-32C goes over what stands behind it. Attributes:
 * bits 0 to 2 the compression (0 none, 1 gzip) of everything behind `count`; 8: every record has `maxTime` (log-append time); 16: of a
 * transaction; 32: control records. Compaction keeps `baseOffset` and `lastOffsetDelta` when it takes records out, all of them too.
 * Source: Kafka's documentation, "Record Batch".
 *
 * What is decoded are views on the fetch's buffer, and nothing is decoded that was not checked by its sum.
 */
import { gunzipSync } from 'node:zlib';
import type { LogRecord, Millis, Offset } from '../../../src/ports.ts';
import { crc32c } from '../../store/crc32c.ts';

/** What stands there is no record batch as it was written, or one that cannot be read here: never served, and never stepped over. */
export class BatchError extends Error {}

/** One batch: where its bytes are, and what its head says. */
export interface BatchHead {
  readonly start: number;
  readonly end: number;
  readonly baseOffset: number;
  /** The last offset it speaks for, whether or not its record is still there. */
  readonly lastOffset: number;
  readonly attributes: number;
}

const headBytes = 61;
const beforeLength = 12;
const magicAt = 16;
const crcAt = 17;
const attributesAt = 21;
const compressionBits = 0x07;
const appendTimeBit = 0x08;
const transactionBit = 0x10;
const controlBit = 0x20;
const gzip = 1;
const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
/** What one compressed batch may unpack into: a broker bounds only what it is packed. */
const mostUnpackedBytes = 128 * 1024 * 1024;

/** The next whole batch; undefined: the end, or one that is cut off. Throws `BatchError`. */
export function batchAt(bytes: Buffer, start: number): BatchHead | undefined {
  if (bytes.length - start < magicAt + 1) return undefined;
  const length = bytes.readInt32BE(start + 8);
  const end = start + beforeLength + length;
  if (end > bytes.length) return undefined;
  const baseOffset = readInt64(bytes, start);
  const magic = bytes[start + magicAt];
  if (magic !== 2) throw new BatchError(`what stands at ${baseOffset} has the format ${magic}, not the one of Kafka since 0.11`);
  if (length < headBytes - beforeLength || !Number.isSafeInteger(baseOffset) || baseOffset < 0)
    throw new BatchError(`a batch of ${length} bytes at ${baseOffset}`);
  if (crc32c(bytes, start + attributesAt, end) !== bytes.readUInt32BE(start + crcAt))
    throw new BatchError(`the batch at ${baseOffset} does not agree with its checksum`);
  const lastDelta = bytes.readInt32BE(start + 23);
  if (lastDelta < 0) throw new BatchError(`the batch at ${baseOffset} ends before it begins`);
  return { start, end, baseOffset, lastOffset: baseOffset + lastDelta, attributes: bytes.readInt16BE(start + attributesAt) };
}

export const isControl = ({ attributes }: BatchHead): boolean => (attributes & controlBit) !== 0;
export const isTransactional = ({ attributes }: BatchHead): boolean => (attributes & transactionBit) !== 0;

/** The producer's id, for comparison only. */
export function producerOf(bytes: Buffer, batch: BatchHead): bigint {
  return bytes.readBigInt64BE(batch.start + 43);
}

/** Adds the records with offsets in [from, to) to `into`, and returns how many they are. Throws `BatchError`. */
export function readBatch(bytes: Buffer, batch: BatchHead, from: number, to: number, into: LogRecord[]): number {
  const { start, baseOffset, lastOffset, attributes } = batch;
  const count = bytes.readInt32BE(start + 57);
  const cursor = cursorOn(bytes, batch);
  const own = readInt64(bytes, start + 27);
  const shared = (attributes & appendTimeBit) === 0 ? undefined : readInt64(bytes, start + 35);
  let before = baseOffset - 1;
  let within = 0;
  for (let i = 0; i < count; i++) {
    const length = cursor.varint();
    const end = cursor.at + length;
    if (length < 0 || end > cursor.end) throw cursor.broken();
    cursor.at++;
    const time = shared ?? own + cursor.varlong();
    if (shared !== undefined) cursor.skipVarint();
    const offset = baseOffset + cursor.varint();
    if (offset <= before || offset > lastOffset) throw cursor.broken();
    before = offset;
    if (offset >= to) return within;
    if (offset >= from) {
      within++;
      const key = cursor.bytes();
      const value = cursor.bytes();
      into.push({ offset: offset as Offset, time: time as Millis, key, value, headers: cursor.headers() });
      if (cursor.at !== end) throw cursor.broken();
    }
    cursor.at = end;
  }
  if (cursor.at !== cursor.end) throw cursor.broken();
  return within;
}

function cursorOn(bytes: Buffer, batch: BatchHead): Cursor {
  const compression = batch.attributes & compressionBits;
  const at = batch.start + headBytes;
  if (compression === 0 || at === batch.end) return new Cursor(bytes, at, batch.end, batch.baseOffset);
  if (compression !== gzip) {
    const name = compressions[compression] ?? compression;
    throw new BatchError(`the batch at ${batch.baseOffset} is compressed with ${name}, which is not supported: only gzip is`);
  }
  try {
    const unpacked = gunzipSync(bytes.subarray(at, batch.end), { maxOutputLength: mostUnpackedBytes });
    return new Cursor(unpacked, 0, unpacked.length, batch.baseOffset);
  } catch (error) {
    throw new BatchError(`the batch at ${batch.baseOffset} cannot be unpacked`, { cause: error });
  }
}

/** Exact up to 2^53; what lies beyond is no offset or time of ours. */
function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}

/** A place in the records of one batch. Reading beyond the end, or a length below -1, is a `BatchError`. */
class Cursor {
  at: number;
  readonly end: number;
  readonly #bytes: Buffer;
  readonly #baseOffset: number;

  constructor(bytes: Buffer, at: number, end: number, baseOffset: number) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
    this.#baseOffset = baseOffset;
  }

  broken(): BatchError {
    return new BatchError(`the batch at ${this.#baseOffset} holds something else than its records`);
  }

  varint(): number {
    const first = this.#bytes[this.at]!;
    if (first < 0x80 && this.at < this.end) {
      this.at++;
      return (first >>> 1) ^ -(first & 1);
    }
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= this.end) throw this.broken();
      const byte = this.#bytes[this.at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw this.broken();
  }

  /** Up to ten bytes; exact up to 2^53. */
  varlong(): number {
    let low = 0;
    for (let i = 0, factor = 1; i < 10; i++, factor *= 128) {
      if (this.at >= this.end) throw this.broken();
      const byte = this.#bytes[this.at++]!;
      low += (byte & 0x7f) * factor;
      if (byte < 0x80) return low % 2 === 0 ? low / 2 : -(low + 1) / 2;
    }
    throw this.broken();
  }

  skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) throw this.broken();
      if (this.#bytes[this.at++]! < 0x80) return;
    }
    throw this.broken();
  }

  bytes(): Uint8Array | null {
    const length = this.varint();
    if (length < 0) {
      if (length === -1) return null;
      throw this.broken();
    }
    return this.#view(length);
  }

  /** Undefined when there are none. Where a name stands twice, an array of its values. */
  headers(): Record<string, unknown> | undefined {
    const count = this.varint();
    if (count === 0) return undefined;
    if (count < 0) throw this.broken();
    const headers: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const name = this.#name();
      const value = this.bytes();
      if (Object.hasOwn(headers, name)) {
        const before = headers[name];
        headers[name] = Array.isArray(before) ? [...before, value] : [before, value];
      } else if (name === '__proto__')
        Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
      else headers[name] = value;
    }
    return headers;
  }

  #name(): string {
    const length = this.varint();
    const start = this.at;
    if (length < 0 || length > this.end - start) throw this.broken();
    this.at = start + length;
    return nameOf(this.#bytes, start, length);
  }

  #view(length: number): Uint8Array {
    const start = this.at;
    if (length > this.end - start) throw this.broken();
    this.at = start + length;
    return this.#bytes.subarray(start, this.at);
  }
}

/** The short ASCII names seen last, by length and first byte: a topic has a handful of them, and a restore reads millions. */
const names: (string | undefined)[] = Array.from({ length: 9 * 256 });

function nameOf(bytes: Buffer, start: number, length: number): string {
  if (length === 0 || length > 8) return bytes.toString('utf8', start, start + length);
  const place = length * 256 + bytes[start]!;
  const known = names[place];
  if (known !== undefined) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) return known;
  }
  const name = bytes.toString('utf8', start, start + length);
  if (name.length === length) names[place] = name;
  return name;
}
