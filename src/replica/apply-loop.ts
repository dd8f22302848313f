/**
 * The one writer of the store: log -> machine -> store -> those who wait.
 *
 * Per partition, batches are applied one after another; a batch's entries and its checkpoint are one write. A batch whose keys are all new
 * to the store is handed to it at once, which may still be writing the one before; others wait for that. No more than these two are held:
 * `batch` resolves when the batch *before* is written, which is the log's back-pressure. After a failed write nothing more is taken: the
 * store must be reopened and the log read again from its checkpoint.
 */
import { looseTextOf } from '../core/bytes.ts';
import { genesisKey } from '../core/keys.ts';
import {
  type Decision,
  type DecodedRun,
  decodeRun,
  everyKey,
  isLive,
  keysOf,
  type Rules,
  type Skip,
  type Step,
  step,
} from '../core/machine.ts';
import type {
  Answer,
  Checkpoint,
  Clock,
  Entry,
  Fate,
  LogBatch,
  LogIdentity,
  Meter,
  Millis,
  Offset,
  Partition,
  SkippedRecord,
  StateDigest,
  Store,
  StoreBatch,
  StoreIdentity,
  WatchChange,
} from '../ports.ts';
import { changeOf } from './found.ts';
import { genesisIdOf } from './genesis.ts';
import { HeldBack } from './held-back.ts';
import { Kept } from './kept.ts';
import { cutAtMarks, type Mark, markAtEnd } from './marks.ts';

/** What is told of a batch that is applied: little, because it waits for the disk while the batch itself should be forgotten. */
export interface Applied {
  readonly partition: Partition;
  /** Everything before is applied. */
  readonly next: Offset;
  readonly records: number;
  /** Change in the number of entries. */
  readonly added: number;
  /** The keys touched, each once. */
  readonly keys: readonly string[];
  /** Those of them that a statement has to settle. */
  readonly unsettled: ReadonlyMap<string, Entry>;
  readonly decisions: readonly Decision[];
  readonly first: Offset;
  /** For those who watch; undefined: they are not all known. */
  readonly changes: readonly WatchChange[] | undefined;
}

/** What others want to know of a batch: `began` before any of it can be seen, `applied` once it is written; each in the log's order. */
export interface ApplyListener {
  began(batch: LogBatch): void;
  /** A jump in offsets is unresolved: asked after `began`. */
  inDoubt(): boolean;
  /** Changes are to be told. */
  watched(): boolean;
  applied(applied: Applied): void;
  skipped(record: SkippedRecord): void;
  /** Everything up to a mark is handed to the store, and the state's digest computed; undefined: it is in doubt, or cannot be read. */
  digested(mark: Mark, digest: StateDigest | undefined): void;
  /** A batch could not be applied. Told at once: on a quiet partition nobody would bring the next batch and hear of it. */
  failed(error: unknown): void;
}

/** Marks older than this are of a run that is over: longer than anybody waits for one, and than clocks are apart. */
const longestMarkMs = 15 * 60_000;

const nothing: ReadonlyMap<string, Entry> = new Map();

export class ApplyLoop {
  readonly #store: Store;
  readonly #log: LogIdentity;
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #listener: ApplyListener;
  /** As written. */
  readonly #checkpoints: Checkpoint[];
  /** As they will be when all that was handed to the store is written; so is what is kept of the past. */
  readonly #staged: Checkpoint[];
  readonly #kept: readonly Kept[];
  /** Keys that are doubtful as of all that was handed to the store. */
  readonly #doubtful: Set<string>;
  /** As far as callers can see: a key comes in before its entry is visible, and goes after. */
  readonly #shownDoubtful: Set<string>;
  #doubtsEnded = 0;
  readonly #heldBack = new HeldBack();
  /** When all that was taken is written. */
  readonly #tail: Promise<void>[];
  /** How many writes were taken and not yet handed to the store: while there are any, the next must not overtake them. */
  readonly #waiting: number[];
  #identity: StoreIdentity;

  private constructor(
    store: Store,
    log: LogIdentity,
    clock: Clock,
    meter: Meter,
    listener: ApplyListener,
    kept: readonly Kept[],
    doubtful: readonly string[],
  ) {
    if (store.identity === undefined) throw new Error('the store must be identified before the loop begins');
    this.#store = store;
    this.#identity = store.identity;
    this.#log = log;
    this.#clock = clock;
    this.#meter = meter;
    this.#listener = listener;
    this.#kept = kept;
    this.#doubtful = new Set(doubtful);
    this.#shownDoubtful = new Set(doubtful);
    this.#checkpoints = [...store.checkpoints];
    this.#staged = [...store.checkpoints];
    this.#tail = this.#checkpoints.map(() => Promise.resolve());
    this.#waiting = this.#checkpoints.map(() => 0);
  }

  /** A loop that goes on where the store's checkpoints stand. */
  static async begin(store: Store, log: LogIdentity, clock: Clock, meter: Meter, listener: ApplyListener): Promise<ApplyLoop> {
    const kept = await Promise.all(store.checkpoints.map((_, i) => Kept.load(store, i as Partition, log.compactionLagMs)));
    return new ApplyLoop(store, log, clock, meter, listener, kept, await store.doubtful());
  }

  get identity(): StoreIdentity {
    return this.#identity;
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#checkpoints;
  }

  /** Reads may show what stands before: all of it was handed to the store, which may still be writing. */
  handed(partition: Partition): Offset {
    return (this.#staged[partition] as Checkpoint).next;
  }

  /** Log time of the newest record applied in a partition. */
  logTime(partition: Partition): Millis {
    return (this.#checkpoints[partition] as Checkpoint).logTime;
  }

  /** The value under a key is not known for certain: others may have decided otherwise. */
  isDoubtful(key: string): boolean {
    return this.#shownDoubtful.size > 0 && this.#shownDoubtful.has(key);
  }

  /** How many keys are doubtful. */
  get doubts(): number {
    return this.#shownDoubtful.size;
  }

  /** Rises whenever keys cease to be doubtful. */
  get doubtsEnded(): number {
    return this.#doubtsEnded;
  }

  /** What a request with this idempotency key came to, as applied (`answerKey`); undefined: nothing is known of it. */
  answer(partition: Partition, id: string): Answer | undefined {
    const answer = this.#kept[partition]?.answers.get(id);
    if (answer === undefined || this.logTime(partition) - answer.time > this.#log.compactionLagMs / 2) return undefined;
    return answer.offset < (this.#checkpoints[partition] as Checkpoint).next ? answer : undefined;
  }

  /** How many answers a partition remembers. */
  answersKept(partition: Partition): number {
    return this.#kept[partition]?.answers.size ?? 0;
  }

  /** From here on `fate` knows what became of a partition's records. */
  fatesFrom(partition: Partition): Offset {
    return (this.#staged[partition] as Checkpoint).fatesFrom;
  }

  /** What became of a record that is applied; undefined: it had its effect. */
  fate(partition: Partition, offset: Offset): Fate | undefined {
    return this.#kept[partition]?.fates.get(offset);
  }

  /** Takes a batch of the log; see the head of this file for when it resolves. */
  batch(brought: LogBatch): Promise<void> {
    const { partition } = brought;
    const before = this.#tail[partition] as Promise<void>;
    const all = this.#heldBack.joined(brought);
    const decoded = decodeRun(all.records, this.#rules(partition));
    const batch = this.#heldBack.whole(all, decoded);
    if (batch === undefined) return before;
    const run = batch.records.length === decoded.length ? decoded : decoded.slice(0, batch.records.length);
    for (const part of cutAtMarks(batch, run)) this.#take(part.batch, part.run);
    return before;
  }

  #take(batch: LogBatch, run: DecodedRun): void {
    const { partition } = batch;
    const now = this.#waiting[partition] === 0 && everyKey(run, (key) => this.#store.lacks(key));
    const work = now
      ? this.#stage(batch, run, nothing)
      : this.#inTurn(
          partition,
          () => this.#held(keysOf(run)),
          (held) => this.#stage(batch, run, held),
        );
    work.catch((error) => this.#listener.failed(error));
    this.#tail[partition] = work;
  }

  /** Resolves when nothing taken is under way any more, in no partition; rejects with a failure if there was one. */
  async settled(): Promise<void> {
    const failed = (await Promise.allSettled(this.#tail)).find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Notes in the store that this node was at a partition's end at `at`, so that a quiet topic does not look like a long absence. */
  noteAtEnd(partition: Partition, at: Millis): Promise<void> {
    const none = (): Promise<undefined> => Promise.resolve(undefined);
    const work = this.#inTurn(partition, none, () => {
      const checkpoint = { ...(this.#staged[partition] as Checkpoint), atEnd: at };
      return this.#write({ partition, checkpoint, entries: new Map(), writers: new Map() });
    });
    this.#tail[partition] = work;
    return work;
  }

  /**
   * Hands a write to the store when those before it are written, and what it needs of the store is loaded; resolves when it is written too.
   * `stage` hands it over before it returns its promise: from then on the next may follow.
   */
  async #inTurn<T>(partition: Partition, load: () => Promise<T>, stage: (loaded: T) => Promise<void>): Promise<void> {
    this.#waiting[partition]!++;
    let written: Promise<void>;
    try {
      await this.#tail[partition];
      const loaded = await load();
      written = stage(loaded);
    } finally {
      this.#waiting[partition]!--;
    }
    return written;
  }

  #rules(partition: Partition): Rules {
    return { partition, partitions: this.#log.partitions, compactionLagMs: this.#log.compactionLagMs };
  }

  async #held(keys: readonly string[]): Promise<ReadonlyMap<string, Entry>> {
    const current = new Map<string, Entry>();
    const held = await this.#store.load(keys);
    for (const [i, entry] of held.entries()) if (entry !== undefined) current.set(keys[i] as string, entry);
    return current;
  }

  /** Decides what the batch comes to and hands it to the store, at once; resolves when it is written and told. */
  async #stage(batch: LogBatch, run: DecodedRun, current: ReadonlyMap<string, Entry>): Promise<void> {
    const { partition } = batch;
    const checkpoint = this.#staged[partition] as Checkpoint;
    if (batch.first !== checkpoint.next)
      throw new Error(`partition ${partition}: expected ${checkpoint.next}, the log brought ${batch.first}`);
    this.#listener.began(batch);
    const kept = this.#kept[partition] as Kept;
    const inDoubt = this.#listener.inDoubt();
    const watched = this.#listener.watched();
    const doubtful = (key: string): boolean => this.#doubtful.has(key);
    const state = { current, marks: kept.writers, answers: kept.answers, doubtful, inDoubt, watched, logTime: checkpoint.logTime };
    const result = step(batch.records, run, state, this.#rules(partition));
    this.#noteDoubt(result);
    const changes = kept.after(batch, result, checkpoint.fatesFrom);
    const next: Checkpoint = {
      next: batch.next,
      entries: checkpoint.entries + result.added,
      logTime: result.logTime,
      atEnd: batch.next >= batch.end ? this.#clock.now() : checkpoint.atEnd,
      whole: !inDoubt,
      fatesFrom: changes.fatesFrom,
    };
    const identity = this.#identified(batch, result);
    const written = this.#write({
      partition,
      checkpoint: next,
      entries: result.entries,
      doubtful: result.doubtful,
      writers: changes.writers,
      answers: changes.answers,
      fates: changes.fates,
      ...(identity === undefined ? {} : { identity }),
    });
    kept.take(changes);
    const mark = markAtEnd(batch, run);
    if (mark !== undefined && this.#clock.now() - mark.time < longestMarkMs) this.#digest(mark, !inDoubt && this.#doubtful.size === 0);
    const { added, applied, skipped, decisions } = result;
    const told = {
      partition,
      next: batch.next,
      records: batch.records.length,
      added,
      keys: [...result.entries.keys()],
      unsettled: unsettledOf(result),
      decisions,
      first: batch.first,
      // Behind a jump some are hidden.
      changes: watched && !batch.jumped ? result.changes.map((each) => changeOf(partition, each)) : undefined,
    };
    return this.#tellWhen(written, told, applied, skipped, batch.records.at(-1)?.time, identity);
  }

  /** Of the state as the last write that was handed over leaves it. */
  #digest(mark: Mark, certain: boolean): void {
    if (!certain) {
      this.#listener.digested(mark, undefined);
      return;
    }
    this.#store.digest(mark.position.partition).then(
      (digest) => this.#listener.digested(mark, digest),
      // What is wrong with the store shows in what is written to it next.
      () => this.#listener.digested(mark, undefined),
    );
  }

  /** The store takes all of it before this returns. */
  #write(batch: StoreBatch): Promise<void> {
    const { partition, checkpoint } = batch;
    const written = this.#store.write(batch);
    this.#staged[partition] = checkpoint;
    return this.#writtenTo(partition, checkpoint, written);
  }

  async #writtenTo(partition: Partition, checkpoint: Checkpoint, written: Promise<void>): Promise<void> {
    await written;
    this.#checkpoints[partition] = checkpoint;
  }

  /** Apart from `#stage`, whose batch should be forgotten while the disk writes. */
  async #tellWhen(
    written: Promise<void>,
    told: Applied,
    applied: ReadonlyMap<string, number>,
    skipped: readonly Skip[],
    newest: Millis | undefined,
    identity: StoreIdentity | undefined,
  ): Promise<void> {
    await written;
    if (identity !== undefined) this.#identity = identity;
    this.#showSettled(told.keys);
    for (const { record, reason } of skipped) {
      this.#meter.skipped(reason);
      const key = record.key === null ? '' : looseTextOf(record.key.subarray(0, 256));
      this.#listener.skipped({ position: { partition: told.partition, offset: record.offset }, key, reason });
    }
    for (const [operation, count] of applied) this.#meter.applied(operation, count);
    if (newest !== undefined) this.#meter.applyDelay(Math.max(0, this.#clock.now() - newest) / 1_000);
    this.#listener.applied(told);
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

  #showSettled(keys: readonly string[]): void {
    if (this.#shownDoubtful.size === 0) return;
    for (const key of keys) if (!this.#doubtful.has(key) && this.#shownDoubtful.delete(key)) this.#doubtsEnded++;
  }

  #noteDoubt({ entries, doubtful }: Step): void {
    if (doubtful.size === 0 && this.#doubtful.size === 0) return;
    for (const key of entries.keys()) if (!doubtful.has(key)) this.#doubtful.delete(key);
    for (const key of doubtful) {
      this.#doubtful.add(key);
      this.#shownDoubtful.add(key);
    }
  }
}

function unsettledOf(result: Step): ReadonlyMap<string, Entry> {
  let unsettled: Map<string, Entry> | undefined;
  for (const [key, entry] of result.entries) {
    if (entry === undefined || entry.settled) continue;
    unsettled ??= new Map();
    unsettled.set(key, entry);
  }
  return unsettled ?? nothing;
}
