/**
 * The one writer of the store: log -> machine -> store -> those who wait.
 *
 * Per partition, batches are applied one after another; a batch's entries and its checkpoint are one write. While one batch is being
 * written the next is already taken in and decoded, and no more than that: `batch` resolves when the batch *before* is written, which is
 * the log's back-pressure. After a failed write nothing more is taken: the store must be reopened and the log read again from its
 * checkpoint.
 */
import { looseTextOf } from '../core/bytes.ts';
import { genesisKey } from '../core/keys.ts';
import { type DecodedRun, decodeRun, isLive, keysOf, type Rules, type Step, step } from '../core/machine.ts';
import type {
  Checkpoint,
  Clock,
  Entry,
  LogBatch,
  LogIdentity,
  Meter,
  Millis,
  Offset,
  Partition,
  SkippedRecord,
  Store,
  StoreIdentity,
  WriterMark,
} from '../ports.ts';
import { genesisIdOf } from './genesis.ts';

/** What others want to know of a batch, in this order: `began`, then (written) `applied`. */
export interface ApplyListener {
  began(batch: LogBatch): void;
  applied(batch: LogBatch, step: Step): void;
  skipped(record: SkippedRecord): void;
  /** A batch could not be applied. Told at once: on a quiet partition nobody would bring the next batch and hear of it. */
  failed(error: unknown): void;
}

/** Marks older than the compaction lag no longer count for anything; they are looked through this often. */
const forgetEvery = 512;

export class ApplyLoop {
  readonly #store: Store;
  readonly #log: LogIdentity;
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #listener: ApplyListener;
  readonly #checkpoints: Checkpoint[];
  readonly #writers: Map<string, WriterMark>[];
  readonly #tail: Promise<void>[];
  #identity: StoreIdentity;
  readonly #sinceForgotten: number[];

  private constructor(
    store: Store,
    log: LogIdentity,
    clock: Clock,
    meter: Meter,
    listener: ApplyListener,
    writers: Map<string, WriterMark>[],
  ) {
    if (store.identity === undefined) throw new Error('the store must be identified before the loop begins');
    this.#store = store;
    this.#identity = store.identity;
    this.#log = log;
    this.#clock = clock;
    this.#meter = meter;
    this.#listener = listener;
    this.#writers = writers;
    this.#checkpoints = [...store.checkpoints];
    this.#tail = this.#checkpoints.map(() => Promise.resolve());
    this.#sinceForgotten = this.#checkpoints.map(() => 0);
  }

  /** A loop that goes on where the store's checkpoints stand. */
  static async begin(store: Store, log: LogIdentity, clock: Clock, meter: Meter, listener: ApplyListener): Promise<ApplyLoop> {
    const writers = await Promise.all(store.checkpoints.map((_, partition) => store.writers(partition as Partition)));
    const copies = writers.map((marks) => new Map(marks));
    return new ApplyLoop(store, log, clock, meter, listener, copies);
  }

  get identity(): StoreIdentity {
    return this.#identity;
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#checkpoints;
  }

  /** Log time of the newest record applied in a partition. */
  logTime(partition: Partition): Millis {
    return (this.#checkpoints[partition] as Checkpoint).logTime;
  }

  /** Takes a batch of the log; see the head of this file for when it resolves. */
  batch(batch: LogBatch): Promise<void> {
    const before = this.#tail[batch.partition] as Promise<void>;
    const run = decodeRun(batch.records, this.#rules(batch.partition));
    const work = before.then(() => this.#apply(batch, run));
    work.catch((error) => this.#listener.failed(error));
    this.#tail[batch.partition] = work;
    return before;
  }

  /** Resolves when nothing taken is under way any more, in no partition; rejects with a failure if there was one. */
  async settled(): Promise<void> {
    const failed = (await Promise.allSettled(this.#tail)).find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Notes in the store that this node was at a partition's end at `at`, so that a quiet topic does not look like a long absence. */
  noteAtEnd(partition: Partition, at: Millis): Promise<void> {
    const work = (this.#tail[partition] as Promise<void>).then(async () => {
      const checkpoint = { ...(this.#checkpoints[partition] as Checkpoint), atEnd: at };
      await this.#store.write({ partition, checkpoint, entries: new Map(), writers: new Map() });
      this.#checkpoints[partition] = checkpoint;
    });
    this.#tail[partition] = work;
    return work;
  }

  #rules(partition: Partition): Rules {
    return { partition, partitions: this.#log.partitions, compactionLagMs: this.#log.compactionLagMs };
  }

  async #apply(batch: LogBatch, run: DecodedRun): Promise<void> {
    const { partition } = batch;
    const checkpoint = this.#checkpoints[partition] as Checkpoint;
    if (batch.first !== checkpoint.next)
      throw new Error(`partition ${partition}: expected ${checkpoint.next}, the log brought ${batch.first}`);
    this.#listener.began(batch);
    const keys = keysOf(run);
    const held = await this.#store.load(keys);
    const current = new Map<string, Entry>();
    for (const [i, entry] of held.entries()) if (entry !== undefined) current.set(keys[i] as string, entry);
    const marks = this.#writers[partition] as Map<string, WriterMark>;
    const result = step(batch.records, run, current, marks, checkpoint.logTime, this.#rules(partition));
    const next: Checkpoint = {
      next: batch.next,
      entries: checkpoint.entries + result.added,
      logTime: result.logTime,
      atEnd: batch.next >= batch.end ? this.#clock.now() : checkpoint.atEnd,
    };
    const identity = this.#identified(batch, result);
    const writers = new Map<string, WriterMark | undefined>(result.writers);
    for (const forgotten of this.#forgettable(partition, marks, result)) writers.set(forgotten, undefined);
    await this.#store.write({
      partition,
      checkpoint: next,
      entries: result.entries,
      writers,
      ...(identity === undefined ? {} : { identity }),
    });
    this.#checkpoints[partition] = next;
    if (identity !== undefined) this.#identity = identity;
    for (const [writer, mark] of writers) {
      if (mark === undefined) marks.delete(writer);
      else marks.set(writer, mark);
    }
    this.#tell(batch, result);
  }

  #tell(batch: LogBatch, result: Step): void {
    for (const { record, reason } of result.skipped) {
      this.#meter.skipped(reason);
      const key = record.key === null ? '' : looseTextOf(record.key.subarray(0, 256));
      this.#listener.skipped({ position: { partition: batch.partition, offset: record.offset }, key, reason });
    }
    for (const [operation, count] of result.applied) this.#meter.applied(operation, count);
    const newest = batch.records.at(-1);
    if (newest !== undefined) this.#meter.applyDelay(Math.max(0, this.#clock.now() - newest.time) / 1_000);
    this.#listener.applied(batch, result);
  }

  /**
   * The genesis record travels with the data it identifies: its id, and the newest place where it stands. The newest record of the key is
   * not such a place while it is the attempt of a node that came second.
   */
  #identified(batch: LogBatch, result: Step): StoreIdentity | undefined {
    const entry = result.entries.get(genesisKey);
    if (entry === undefined || !isLive(entry, entry.time)) return undefined;
    const id = looseTextOf(entry.value);
    const stands = batch.records.findLast((record) => genesisIdOf(record) === id);
    const offset = stands?.offset ?? this.#identity.genesis?.offset ?? entry.version;
    return { ...this.#identity, genesis: { id, partition: batch.partition, offset: Math.max(0, offset) as Offset } };
  }

  #forgettable(partition: Partition, marks: ReadonlyMap<string, WriterMark>, result: Step): string[] {
    const since = (this.#sinceForgotten[partition] as number) + 1;
    this.#sinceForgotten[partition] = since % forgetEvery;
    if (since < forgetEvery) return [];
    const before = result.logTime - this.#log.compactionLagMs;
    return [...marks].flatMap(([writer, mark]) => (mark.time < before && !result.writers.has(writer) ? [writer] : []));
  }
}
