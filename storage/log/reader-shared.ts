/**
 * The subscription of a log that can be read by offset (embedded, memory): one loop per partition, woken by appends, never polling.
 *
 * Before the first batch, and again whenever the log was away or replaced (its generation changed), the subscription joins: it checks that
 * no position lies beyond the log's end and looks for the landmark. No batch is delivered in between.
 *
 * Invariant: per partition at most one `batch()` is unresolved, and each begins where the one before ended.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type {
  Landmark,
  LogBatch,
  LogRecord,
  Offset,
  Partition,
  PartitionBounds,
  SubscribeOptions,
  Subscriber,
  Subscription,
} from '../../src/ports.ts';

/** How much one batch may hold. A record larger than `maxBatchBytes` travels alone. */
export interface ReadLimits {
  readonly maxBatchRecords: number;
  readonly maxBatchBytes: number;
}

export const defaultReadLimits: ReadLimits = { maxBatchRecords: 1_000, maxBatchBytes: 1024 * 1024 };

/** What stands from an offset on: records in order, and the offset up to which nothing else stands. */
export interface Chunk {
  readonly records: readonly LogRecord[];
  readonly next: Offset;
}

/** A log that is read by offset. */
export interface LogSource {
  readonly connected: boolean;
  /** Another number after every absence or replacement of the log. */
  readonly generation: number;
  /** By partition, as of now. Meaningful while connected. */
  bounds(): readonly PartitionBounds[];
  /** Reads forward from a held offset below the end; `next` is beyond `from`. Rejects when the log goes away, or is damaged. */
  read(partition: Partition, from: Offset, limits: ReadLimits): Promise<Chunk>;
  /** Calls `wake` after every append to a partition, and with undefined after any other change. Returns the end of it. */
  listen(wake: (partition: Partition | undefined) => void): () => void;
}

/** Starts to deliver; troubles are told by `ended`. `over` is called once when it has ended or was closed. */
export function startReader(
  source: LogSource,
  options: SubscribeOptions,
  subscriber: Subscriber,
  limits: ReadLimits,
  over: () => void,
): Subscription {
  return new Reader(source, options, subscriber, limits, over).start();
}

class Reader implements Subscription {
  readonly #source: LogSource;
  readonly #options: SubscribeOptions;
  readonly #subscriber: Subscriber;
  readonly #limits: ReadLimits;
  readonly #over: () => void;
  /** Where each partition's next batch begins. */
  readonly #at: Offset[];
  readonly #sleepers: ((() => void) | undefined)[] = [];
  #state: 'running' | 'ended' | 'closed' = 'running';
  /** The generation that was last joined; -1: none. */
  #joined = -1;
  #joining: Promise<void> | undefined;
  #unlisten: (() => void) | undefined;

  constructor(source: LogSource, options: SubscribeOptions, subscriber: Subscriber, limits: ReadLimits, over: () => void) {
    this.#source = source;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#limits = limits;
    this.#over = over;
    this.#at = [...options.from];
  }

  start(): this {
    this.#unlisten = this.#source.listen((partition) => this.#wake(partition));
    for (const partition of this.#at.keys()) {
      this.#deliver(partition as Partition).catch((error: unknown) => this.#end(error));
    }
    return this;
  }

  /** Nobody but the subscriber reads this log's progress. */
  progress(): void {
    // Kept for the port: a log with operators' tools of its own shows it there.
  }

  /** Does not wait for a `batch()` that is running, so it may be called from within one. */
  async close(): Promise<void> {
    this.#stop('closed');
  }

  async #deliver(partition: Partition): Promise<void> {
    while (this.#state === 'running') {
      const { generation, connected } = this.#source;
      const at = this.#at[partition] as Offset;
      if (!connected) await this.#sleep(partition);
      else if (this.#joined !== generation) await this.#join();
      else if (at === this.#boundsOf(partition).next) await this.#sleep(partition);
      else if (at > this.#boundsOf(partition).next) throw beyond(partition, at, this.#boundsOf(partition).next);
      else await this.#deliverOne(partition, at);
    }
  }

  async #deliverOne(partition: Partition, at: Offset): Promise<void> {
    const from = Math.max(at, this.#boundsOf(partition).first) as Offset;
    const chunk = await this.#attempt(this.#source.read(partition, from, this.#limits));
    if (chunk === undefined || this.#state !== 'running') return;
    const batch: LogBatch = {
      partition,
      first: at,
      next: chunk.next,
      end: this.#boundsOf(partition).next,
      jumped: chunk.records.length < chunk.next - at,
      records: chunk.records,
    };
    await this.#subscriber.batch(batch);
    this.#at[partition] = chunk.next;
  }

  /** Shared by all partitions, so that the landmark is looked for once. */
  #join(): Promise<void> {
    this.#joining ??= this.#check(this.#source.generation).finally(() => {
      this.#joining = undefined;
    });
    return this.#joining;
  }

  async #check(generation: number): Promise<void> {
    const bounds = this.#source.bounds();
    for (const [partition, at] of this.#at.entries()) {
      const end = bounds[partition]?.next ?? (0 as Offset);
      if (at > end) throw beyond(partition as Partition, at, end);
    }
    const landmark = this.#options.landmark();
    if (landmark !== undefined && !(await this.#find(landmark))) return;
    if (this.#source.generation === generation) this.#joined = generation;
  }

  /** True: found. False: the log went away meanwhile. Throws `log-changed` when the landmark is missing or another's. */
  async #find(landmark: Landmark): Promise<boolean> {
    const place = `${landmark.partition}:${landmark.offset}`;
    const bounds = this.#source.bounds()[landmark.partition];
    let at = Math.max(landmark.offset, bounds?.first ?? 0) as Offset;
    while (bounds !== undefined && at < bounds.next) {
      const chunk = await this.#attempt(this.#source.read(landmark.partition, at, this.#limits));
      if (chunk === undefined || this.#state !== 'running') return false;
      for (const record of chunk.records) {
        const recognised = landmark.recognise(record);
        if (recognised === true) return true;
        if (recognised === false) throw new BitacoraError('log-changed', `another log's landmark stands at or after ${place}`);
      }
      at = chunk.next;
    }
    throw new BitacoraError('log-changed', `the landmark expected at or after ${place} is not in the log`);
  }

  /** Undefined when the log went away, or was replaced, during the read: whatever came of it means nothing then. */
  async #attempt(reading: Promise<Chunk>): Promise<Chunk | undefined> {
    const { generation } = this.#source;
    try {
      const chunk = await reading;
      return this.#source.generation === generation ? chunk : undefined;
    } catch (error) {
      if (this.#source.connected && this.#source.generation === generation) throw error;
      return undefined;
    }
  }

  #boundsOf(partition: Partition): PartitionBounds {
    return this.#source.bounds()[partition] as PartitionBounds;
  }

  #sleep(partition: Partition): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers[partition] = resolve;
    });
  }

  #wake(partition: Partition | undefined): void {
    if (partition !== undefined) this.#sleepers[partition]?.();
    else for (const sleeper of this.#sleepers) sleeper?.();
  }

  #end(error: unknown): void {
    if (!this.#stop('ended')) return;
    this.#subscriber.ended(error instanceof Error ? error : new Error(String(error)));
  }

  #stop(state: 'ended' | 'closed'): boolean {
    if (this.#state !== 'running') return false;
    this.#state = state;
    this.#unlisten?.();
    this.#wake(undefined);
    this.#over();
    return true;
  }
}

/** Also possible after a join: a batch that was being taken when the log was replaced moves its position only when it resolves. */
function beyond(partition: Partition, at: Offset, end: Offset): BitacoraError {
  return new BitacoraError('log-changed', `the log ends at ${partition}:${end}, before the position ${partition}:${at}`);
}
