/** Record batches and a broker's answers as bytes: what a played broker says. Records are encoded by kafkajs, what is around them here. */
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { crc32c } from '../../storage/store/crc32c.ts';

const kafkajs = createRequire(import.meta.url);
const encodeRecord = kafkajs('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => { readonly buffer: Buffer };

export interface RecordToEncode {
  readonly offset: number;
  /** Default: `k`. */
  readonly key?: Buffer | null;
  /** Default: the offset in digits. */
  readonly value?: Buffer | null;
  readonly headers?: Readonly<Record<string, unknown>>;
}

export interface BatchToEncode {
  readonly records: readonly RecordToEncode[];
  /** Default: of the first record. */
  readonly base?: number;
  /** Default: of the last record. */
  readonly last?: number;
  /** 8: log-append time, 16: transactional, 32: control. The compression is not done, except for 1 (gzip). */
  readonly attributes?: number;
  readonly time?: number;
  readonly producer?: number;
}

export function batchBytes(batch: BatchToEncode): Buffer {
  const base = batch.base ?? batch.records[0]?.offset ?? 0;
  const last = batch.last ?? batch.records.at(-1)?.offset ?? base;
  const { attributes = 8, time = 1_000, producer = -1 } = batch;
  const plain = Buffer.concat(
    batch.records.map(
      ({ offset, key = Buffer.from('k'), value = Buffer.from(String(offset)), headers = {} }) =>
        encodeRecord({ offsetDelta: offset - base, timestampDelta: 0, key, value, headers }).buffer,
    ),
  );
  const records = (attributes & 7) === 1 ? gzipSync(plain) : plain;
  const bytes = Buffer.alloc(61 + records.length);
  bytes.writeBigInt64BE(BigInt(base), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeInt16BE(attributes, 21);
  bytes.writeInt32BE(last - base, 23);
  bytes.writeBigInt64BE(BigInt(time), 27);
  bytes.writeBigInt64BE(BigInt(time), 35);
  bytes.writeBigInt64BE(BigInt(producer), 43);
  bytes.writeInt16BE(-1, 51);
  bytes.writeInt32BE(-1, 53);
  bytes.writeInt32BE(batch.records.length, 57);
  records.copy(bytes, 61);
  return sealed(bytes);
}

/** With the checksum that belongs to it. */
export function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes, 21), 17);
  return bytes;
}

/** A control record that ends a transaction. */
export function controlBytes(offset: number, producer: number, end: 'commit' | 'abort'): Buffer {
  const key = Buffer.from([0, 0, 0, end === 'abort' ? 0 : 1]);
  return batchBytes({ records: [{ offset, key, value: Buffer.alloc(6) }], attributes: 8 + 16 + 32, producer });
}

export interface PartitionToEncode {
  readonly partition: number;
  readonly error?: number;
  /** High watermark, and last stable offset unless that is told. */
  readonly end: number;
  readonly stable?: number;
  readonly aborted?: readonly { readonly producer: number; readonly first: number }[];
  readonly replica?: number;
  readonly batches: Buffer;
}

/** The answer to a fetch of version 11. */
export function answerBytes(topic: string, partitions: readonly PartitionToEncode[], error = 0): Buffer {
  const int = (value: number, bytes: number) => {
    const buffer = Buffer.alloc(bytes);
    if (bytes === 8) buffer.writeBigInt64BE(BigInt(value));
    else buffer.writeIntBE(value, 0, bytes);
    return buffer;
  };
  const parts = partitions.flatMap(({ partition, error: code = 0, end, stable = end, aborted, replica = -1, batches }) => [
    ...[int(partition, 4), int(code, 2), int(end, 8), int(stable, 8), int(0, 8)],
    ...[int(aborted?.length ?? -1, 4), ...(aborted ?? []).flatMap(({ producer, first }) => [int(producer, 8), int(first, 8)])],
    ...[int(replica, 4), int(batches.length, 4), batches],
  ]);
  const head = [int(0, 4), int(error, 2), int(0, 4), int(partitions.length === 0 ? 0 : 1, 4)];
  const name = Buffer.from(topic);
  const body = partitions.length === 0 ? [] : [int(name.length, 2), name, int(partitions.length, 4), ...parts];
  return Buffer.concat([...head, ...body]);
}

export interface FetchAsked {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly partitions: readonly { readonly partition: number; readonly from: number; readonly maxBytes: number }[];
}

/** What kafkajs encoded of a fetch of version 11. */
export function fetchAsked(bytes: Buffer): FetchAsked {
  const nameBytes = bytes.readInt16BE(29);
  const count = bytes.readInt32BE(31 + nameBytes);
  const partitions = Array.from({ length: count }, (_, i) => {
    const at = 35 + nameBytes + i * 28;
    return { partition: bytes.readInt32BE(at), from: Number(bytes.readBigInt64BE(at + 8)), maxBytes: bytes.readInt32BE(at + 24) };
  });
  return { maxWaitMs: bytes.readInt32BE(4), maxBytes: bytes.readInt32BE(12), partitions };
}
