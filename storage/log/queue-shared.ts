/**
 * The append queue of a log that commits one batch at a time: natural group commit, bounds, and what an abort means.
 *
 * A batch goes at once when nothing is in flight (in the next microtask, so that calls of one tick share it); what arrives meanwhile travels
 * together in the next. Records keep the order of the calls. Everything is bounded: what does not fit is refused, not kept.
 *
 * An append is of one record or of several together, which no commit separates: they wait, fly and are withdrawn as one.
 *
 * Invariant: an append is either waiting (can still be withdrawn) or flying (its fate is the commit's); it leaves the counts when settled,
 * and a flying one only with its batch, whatever its caller has been told.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Clock, NewRecord, Partition, Position } from '../../src/ports.ts';
import { recordBytes, refuseTogether } from './together-shared.ts';

/** Bounds of a queue. All counts of bytes are of keys, values and headers together. */
export interface QueueLimits {
  /** Records not yet settled, in number. */
  readonly maxPendingRecords: number;
  /** Records not yet settled, in bytes. */
  readonly maxPendingBytes: number;
  /** One record; larger is `value-too-large`. */
  readonly maxRecordBytes: number;
  /** One commit, in records (one append may always go). */
  readonly maxCommitRecords: number;
  /** One commit, in bytes (one record may always go), and so what records may have that are appended together. */
  readonly maxCommitBytes: number;
}

export const defaultQueueLimits: QueueLimits = {
  maxPendingRecords: 50_000,
  maxPendingBytes: 64 * 1024 * 1024,
  // As a broker's max.message.bytes: the default value bound (1,000,000) with key and headers fits.
  maxRecordBytes: 1024 * 1024,
  maxCommitRecords: 2_000,
  maxCommitBytes: 4 * 1024 * 1024,
};

/** A record on its way into a partition. */
export interface QueuedRecord {
  readonly partition: Partition;
  readonly record: NewRecord;
}

/** Makes a batch durable and says where each record stands. A rejection by code holds for every record; without a code: `unknown-outcome`. */
export type Commit = (batch: readonly QueuedRecord[]) => Promise<readonly Position[]>;

/** One append. */
interface Pending {
  readonly partition: Partition;
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  flying: boolean;
  settle(outcome: Position | BitacoraError): void;
}

export class AppendQueue {
  readonly #limits: QueueLimits;
  readonly #commit: Commit;
  /** A set keeps the order of arrival and lets an aborted append leave at once, however long the queue. */
  readonly #waiting = new Set<Pending>();
  #flying: readonly Pending[] = [];
  #records = 0;
  #bytes = 0;
  #state: 'open' | 'closed' = 'open';
  #run: Promise<void> | undefined;

  constructor(limits: QueueLimits, commit: Commit) {
    this.#limits = limits;
    this.#commit = commit;
  }

  /** See `Log.append` for one record and `Log.appendTogether` for several. */
  push(partition: Partition, records: readonly NewRecord[], signal?: AbortSignal): Promise<Position> {
    if (this.#state === 'closed') return Promise.reject(new BitacoraError('closed', 'the log is closed'));
    if (signal?.aborted) return Promise.reject(new BitacoraError('log-unavailable', 'the wait was over before the record was sent'));
    const sizes = records.map(recordBytes);
    const refusal = this.#refusal(records, sizes);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise<Position>((resolve, reject) => {
      const onAbort = () => this.#abort(pending);
      const pending: Pending = {
        partition,
        records,
        bytes: sum(sizes),
        flying: false,
        settle(outcome) {
          signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof BitacoraError) reject(outcome);
          else resolve(outcome);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(pending);
      this.#records += records.length;
      this.#bytes += pending.bytes;
      this.#run ??= this.#commitAll();
    });
  }

  /** Refuses new appends, ends the waiting ones as `closed`, gives the flying ones `graceMs`, then ends them as `unknown-outcome`. */
  async close(clock: Clock, graceMs: number): Promise<void> {
    this.#state = 'closed';
    for (const pending of [...this.#waiting])
      this.#drop(pending, new BitacoraError('closed', 'the log was closed before the record was sent'));
    if (this.#run !== undefined && graceMs > 0) await within(this.#run, clock, graceMs);
    for (const pending of this.#flying)
      pending.settle(new BitacoraError('unknown-outcome', 'the log was closed while the record was on its way'));
  }

  #refusal(records: readonly NewRecord[], sizes: readonly number[]): BitacoraError | undefined {
    const limits = this.#limits;
    const tooLarge = sizes.find((size) => size > limits.maxRecordBytes);
    if (tooLarge !== undefined) {
      return new BitacoraError('value-too-large', `the record has ${tooLarge} bytes, the log takes ${limits.maxRecordBytes}`);
    }
    const refusal = refuseTogether(records, limits.maxCommitBytes);
    if (refusal !== undefined) return refusal;
    if (this.#records + records.length > limits.maxPendingRecords)
      return new BitacoraError('overloaded', `${this.#records} records are waiting`);
    if (this.#bytes + sum(sizes) > limits.maxPendingBytes)
      return new BitacoraError('overloaded', `${this.#bytes} bytes of records are waiting`);
    return undefined;
  }

  #abort(pending: Pending): void {
    if (pending.flying) pending.settle(new BitacoraError('unknown-outcome', 'the wait ended while the record was on its way'));
    else this.#drop(pending, new BitacoraError('log-unavailable', 'the wait ended before the record was sent; it was withdrawn'));
  }

  #drop(pending: Pending, error: BitacoraError): void {
    this.#waiting.delete(pending);
    this.#settle(pending, error);
  }

  async #commitAll(): Promise<void> {
    // One microtask's pause: what was appended in the same tick shares the first commit, too.
    await undefined;
    while (this.#waiting.size > 0) {
      const batch = this.#take();
      this.#flying = batch;
      const queued = batch.flatMap(({ partition, records }) => records.map((record) => ({ partition, record })));
      const outcome = await this.#commit(queued).catch(asOutcome);
      this.#flying = [];
      let first = 0;
      for (const pending of batch) {
        this.#settle(pending, outcome instanceof BitacoraError ? outcome : (outcome[first] as Position));
        first += pending.records.length;
      }
    }
    this.#run = undefined;
  }

  #settle(pending: Pending, outcome: Position | BitacoraError): void {
    this.#records -= pending.records.length;
    this.#bytes -= pending.bytes;
    pending.settle(outcome);
  }

  #take(): readonly Pending[] {
    const batch: Pending[] = [];
    const { maxCommitRecords, maxCommitBytes } = this.#limits;
    let records = 0;
    let bytes = 0;
    for (const pending of this.#waiting) {
      const full = records + pending.records.length > maxCommitRecords || bytes + pending.bytes > maxCommitBytes;
      if (batch.length > 0 && full) break;
      pending.flying = true;
      records += pending.records.length;
      bytes += pending.bytes;
      batch.push(pending);
      this.#waiting.delete(pending);
    }
    return batch;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** True when `work` has ended, however, within the time; false when the time is over. */
export async function within(work: Promise<unknown>, clock: Clock, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(timeoutMs, () => resolve(false));
    const done = () => {
      cancel();
      resolve(true);
    };
    work.then(done, done);
  });
}

function asOutcome(error: unknown): BitacoraError {
  if (error instanceof BitacoraError) return error;
  return new BitacoraError('unknown-outcome', 'the commit failed in an unforeseen way', { cause: error });
}
