/**
 * A broker's answer to a fetch, of version 11, and what a reader is given of it.
 *
 *   answer    = throttle ms i32, error i16, session i32, [topic string, [partition]]
 *   partition = number i32, error i16, high watermark i64, last stable offset i64, log start i64,
 *               [aborted: producer id i64, first offset i64] (-1: none), preferred replica i32, records (length i32, record batches)
 *
 * A record that belongs to an aborted transaction is not shown, and neither are control records; both are held by the log, so they explain
 * their offsets. Source: Kafka's protocol guide, "Fetch API"; its consumer for how aborted transactions are told apart.
 */
import type { LogRecord, Offset } from '../../../src/ports.ts';
import { BatchError, type BatchHead, batchAt, isControl, isTransactional, producerOf, readBatch } from './record-batch.ts';

export interface FetchAnswer {
  /** The broker asks to be left alone for so long. */
  readonly throttleMs: number;
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** One partition's part of an answer. */
export interface FetchedPartition {
  readonly partition: number;
  /** 0: none. */
  readonly errorCode: number;
  /** The offset behind the last record that all in-sync replicas have. */
  readonly highWatermark: number;
  /** Up to here it can be read: behind it are transactions that are not decided. */
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** The broker brings nothing, but would rather that another one is asked; -1: no. */
  readonly preferredReplica: number;
  /** Record batches, the last of them perhaps cut off. */
  readonly batches: Buffer;
}

export interface AbortedTransaction {
  readonly producer: bigint;
  readonly first: number;
}

/** What an answer holds from an offset on. */
export interface Found {
  readonly records: LogRecord[];
  /** Up to here all is known. Not beyond the offset asked for: there is no whole batch in the answer that reaches it. */
  readonly next: Offset;
  /** How many offsets before `next` hold something, be it for the log itself only: the others are missing. */
  readonly held: number;
}

const nothing: readonly AbortedTransaction[] = [];

/** Of one topic; of others nothing is ever asked. Throws `RangeError` or `BatchError` when it is something else. */
export function decodeFetchAnswer(bytes: Buffer): FetchAnswer {
  let at = 0;
  const int32 = (): number => {
    const value = bytes.readInt32BE(at);
    at += 4;
    return value;
  };
  const int16 = (): number => {
    const value = bytes.readInt16BE(at);
    at += 2;
    return value;
  };
  const int64 = (): bigint => {
    const value = bytes.readBigInt64BE(at);
    at += 8;
    return value;
  };
  const times = <T>(read: () => T): T[] => {
    const count = int32();
    if (count > bytes.length) throw new BatchError(`an answer of ${bytes.length} bytes with ${count} parts`);
    return Array.from({ length: Math.max(0, count) }, read);
  };
  const abortedTransaction = (): AbortedTransaction => ({ producer: int64(), first: Number(int64()) });
  const records = (): Buffer => {
    const length = Math.max(0, int32());
    if (length > bytes.length - at) throw new BatchError(`an answer of ${bytes.length} bytes with ${length} of records from ${at} on`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  const partition = (): FetchedPartition => {
    const [number, errorCode, highWatermark, lastStableOffset] = [int32(), int16(), Number(int64()), Number(int64())];
    int64();
    const aborted = times(abortedTransaction);
    return {
      ...{ partition: number, errorCode, highWatermark, lastStableOffset },
      ...{ aborted: aborted.length === 0 ? nothing : aborted, preferredReplica: int32(), batches: records() },
    };
  };
  const [throttleMs, errorCode] = [int32(), int16()];
  int32();
  const topics = times(() => {
    const nameBytes = int16();
    at += nameBytes;
    return times(partition);
  });
  return { throttleMs, errorCode, partitions: topics.flat() };
}

/** The records with offsets in [from, to), and how far they speak. Throws `BatchError` when one batch is not as it was written. */
export function recordsOf(fetched: FetchedPartition, from: Offset, to: number = Number.POSITIVE_INFINITY): Found {
  const { batches } = fetched;
  const transactions = fetched.aborted.length === 0 ? undefined : new Transactions(fetched.aborted);
  const records: LogRecord[] = [];
  let next: number = from;
  let held = 0;
  for (let start = 0; next < to; ) {
    const batch = batchAt(batches, start);
    if (batch === undefined) break;
    start = batch.end;
    const hidden = transactions?.hides(batches, batch) ?? isControl(batch);
    // An answer begins with the batch that holds the offset, which may be any of its records.
    if (batch.lastOffset < from) continue;
    held += readBatch(batches, batch, from, to, hidden ? [] : records);
    next = Math.min(batch.lastOffset + 1, to);
  }
  return { records, next: next as Offset, held };
}

/** Whose transactions are being aborted at the batch that is looked at: from their first offset on to their control record. */
class Transactions {
  readonly #coming: AbortedTransaction[];
  readonly #aborting = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = aborted.toSorted((a, b) => a.first - b.first);
  }

  /** Of every batch of the answer, in order. */
  hides(bytes: Buffer, batch: BatchHead): boolean {
    while (this.#coming.length > 0 && this.#coming[0]!.first <= batch.lastOffset) this.#aborting.add(this.#coming.shift()!.producer);
    if (!isTransactional(batch) || this.#aborting.size === 0) return isControl(batch);
    const producer = producerOf(bytes, batch);
    if (!isControl(batch)) return this.#aborting.has(producer);
    if (isAbort(bytes, batch)) this.#aborting.delete(producer);
    return true;
  }
}

/** A control record's key: version i16, then 0 for an abort, 1 for a commit. */
function isAbort(bytes: Buffer, batch: BatchHead): boolean {
  const records: LogRecord[] = [];
  readBatch(bytes, batch, 0, Number.POSITIVE_INFINITY, records);
  const key = records[0]?.key;
  return key !== null && key !== undefined && key.length >= 4 && key[2] === 0 && key[3] === 0;
}
