/**
 * The append queue of a log that commits one batch at a time: natural group commit, bounds, and what an abort means.
 *
 * A batch goes at once when nothing is in flight (in the next microtask, so that calls of one tick share it); what arrives meanwhile travels
 * together in the next. Records keep the order of the calls. Everything is bounded: what does not fit is refused, not kept.
 *
 * Invariant: a record is either waiting (can still be withdrawn) or flying (its fate is the commit's); it leaves the counts when settled,
 * and a flying one only with its batch, whatever its caller has been told.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Clock, NewRecord, Partition, Position } from '../../src/ports.ts';

/** Bounds of a queue. All counts of bytes are of keys, values and headers together. */
export interface QueueLimits {
  /** Appends not yet settled, in number. */
  readonly maxPendingRecords: number;
  /** Appends not yet settled, in bytes. */
  readonly maxPendingBytes: number;
  /** One record; larger is `value-too-large`. */
  readonly maxRecordBytes: number;
  /** One commit, in records. */
  readonly maxCommitRecords: number;
  /** One commit, in bytes (one record may always go). */
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

interface Pending extends QueuedRecord {
  readonly bytes: number;
  flying: boolean;
  settle(outcome: Position | BitacoraError): void;
}

export class AppendQueue {
  readonly #limits: QueueLimits;
  readonly #commit: Commit;
  /** A set keeps the order of arrival and lets an aborted record leave at once, however long the queue. */
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

  /** See `Log.append`. */
  push(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position> {
    if (this.#state === 'closed') return Promise.reject(new BitacoraError('closed', 'the log is closed'));
    if (signal?.aborted) return Promise.reject(new BitacoraError('log-unavailable', 'the wait was over before the record was sent'));
    const bytes = recordBytes(record);
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise<Position>((resolve, reject) => {
      const onAbort = () => this.#abort(pending);
      const pending: Pending = {
        partition,
        record,
        bytes,
        flying: false,
        settle(outcome) {
          signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof BitacoraError) reject(outcome);
          else resolve(outcome);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(pending);
      this.#records += 1;
      this.#bytes += bytes;
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

  #refusal(bytes: number): BitacoraError | undefined {
    const limits = this.#limits;
    if (bytes > limits.maxRecordBytes) {
      return new BitacoraError('value-too-large', `the record has ${bytes} bytes, the log takes ${limits.maxRecordBytes}`);
    }
    if (this.#records >= limits.maxPendingRecords) return new BitacoraError('overloaded', `${this.#records} appends are waiting`);
    if (this.#bytes + bytes > limits.maxPendingBytes) return new BitacoraError('overloaded', `${this.#bytes} bytes of appends are waiting`);
    return undefined;
  }

  #abort(pending: Pending): void {
    if (pending.flying) pending.settle(new BitacoraError('unknown-outcome', 'the wait ended while the record was on its way'));
    else this.#drop(pending, new BitacoraError('log-unavailable', 'the wait ended before the record was sent; it was withdrawn'));
  }

  #drop(pending: Pending, error: BitacoraError): void {
    this.#waiting.delete(pending);
    this.#records -= 1;
    this.#bytes -= pending.bytes;
    pending.settle(error);
  }

  async #commitAll(): Promise<void> {
    // One microtask's pause: what was appended in the same tick shares the first commit, too.
    await undefined;
    while (this.#waiting.size > 0) {
      const batch = this.#take();
      this.#flying = batch;
      const outcome = await this.#commit(batch).catch(asOutcome);
      this.#flying = [];
      for (const [index, pending] of batch.entries()) {
        this.#records -= 1;
        this.#bytes -= pending.bytes;
        pending.settle(outcome instanceof BitacoraError ? outcome : (outcome[index] as Position));
      }
    }
    this.#run = undefined;
  }

  #take(): readonly Pending[] {
    const batch: Pending[] = [];
    let bytes = 0;
    for (const pending of this.#waiting) {
      if (batch.length >= this.#limits.maxCommitRecords) break;
      if (batch.length > 0 && bytes + pending.bytes > this.#limits.maxCommitBytes) break;
      pending.flying = true;
      bytes += pending.bytes;
      batch.push(pending);
      this.#waiting.delete(pending);
    }
    return batch;
  }
}

/** What a record counts against the bounds. */
export function recordBytes(record: NewRecord): number {
  let bytes = record.key.length + (record.value?.length ?? 0);
  for (const [name, value] of Object.entries(record.headers)) bytes += name.length + value.length;
  return bytes;
}

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
