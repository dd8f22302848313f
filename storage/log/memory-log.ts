/**
 * The log in memory: the same contract as Kafka's, for tests, the simulation and a cluster inside one process.
 *
 * A topic holds the data and lives as long as the test; each node opens a log on it, so a node can be "restarted" and others see its
 * writes. Troubles of a network are played with `disconnect`, `hold` and `recreate`. All is deterministic: time and chance come from their
 * ports, and nothing waits but on promises.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type {
  Log,
  LogBatch,
  LogIdentity,
  LogRange,
  LogState,
  NewRecord,
  Offset,
  Partition,
  PartitionBounds,
  Position,
  SealOptions,
  SubscribeOptions,
  Subscriber,
  Subscription,
} from '../../src/ports.ts';
import type { MemoryTopic } from './memory-topic-shared.ts';
import { AppendQueue, defaultQueueLimits, type QueuedRecord, type QueueLimits } from './queue-shared.ts';
import { defaultReadLimits, type LogSource, type ReadLimits, startReader } from './reader-shared.ts';
import { defaultStretchLimits, type Stretches, type StretchLimits, sourceStretches } from './stretch-shared.ts';

// Made here and named here: who opens a log in memory needs its topic first.
export { type HoldPoint, MemoryTopic, type MemoryTopicOptions, openMemoryTopic } from './memory-topic-shared.ts';

export interface MemoryLogOptions {
  readonly limits?: Partial<QueueLimits & ReadLimits & StretchLimits>;
}

/** A node's log on a topic. */
export function openMemoryLog(topic: MemoryTopic, options: MemoryLogOptions = {}): MemoryLog {
  return new MemoryLog(topic, options);
}

/** One node's way to a topic; the way can be cut for this node alone. */
export class MemoryLog implements Log {
  readonly identity: LogIdentity;
  readonly #topic: MemoryTopic;
  readonly #limits: QueueLimits & ReadLimits & StretchLimits;
  readonly #queue: AppendQueue;
  readonly #stretches: Stretches;
  readonly #listeners = new Set<(partition: Partition | undefined) => void>();
  #subscription: Subscription | undefined;
  /** This node's own part of the generation. */
  #reconnections = 0;
  #state: LogState = 'connected';

  constructor(topic: MemoryTopic, options: MemoryLogOptions) {
    this.#topic = topic;
    this.#limits = { ...defaultQueueLimits, ...defaultReadLimits, ...defaultStretchLimits, ...options.limits };
    this.identity = { ...topic.identity, togetherBytes: this.#limits.maxCommitBytes };
    this.#queue = new AppendQueue(this.#limits, (batch) => this.#commit(batch));
    this.#stretches = sourceStretches(this.#limits, this.#source());
  }

  get state(): LogState {
    return this.#state === 'connected' && !this.#topic.connected ? 'disconnected' : this.#state;
  }

  /** Cuts this node off, others go on. */
  disconnect(): void {
    if (this.#state === 'connected') this.#state = 'disconnected';
  }

  reconnect(): void {
    if (this.#state !== 'disconnected') return;
    this.#state = 'connected';
    this.#reconnections += 1;
    for (const wake of [...this.#listeners]) wake(undefined);
  }

  append(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position> {
    return this.appendTogether(partition, [record], signal);
  }

  async appendTogether(partition: Partition, records: readonly NewRecord[], signal?: AbortSignal): Promise<Position> {
    if (!(partition >= 0 && partition < this.identity.partitions))
      throw new BitacoraError('internal', `there is no partition ${partition}`);
    return this.#queue.push(partition, records, signal);
  }

  async subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
    if (this.#state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    if (this.#subscription !== undefined) throw new BitacoraError('internal', 'the log has a subscription already; close it first');
    const subscription = startReader(this.#source(), options, subscriber, this.#limits, () => {
      this.#subscription = undefined;
    });
    this.#subscription = subscription;
    return subscription;
  }

  read(range: LogRange, signal?: AbortSignal): AsyncIterable<LogBatch> {
    return this.#stretches.read(range, signal);
  }

  async bounds(signal?: AbortSignal): Promise<readonly PartitionBounds[]> {
    if (this.#state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    if (signal?.aborted) throw new BitacoraError('log-unavailable', 'the wait was over before the log was asked');
    if (this.state !== 'connected') throw new BitacoraError('log-unavailable', 'the log is out of reach');
    return this.#topic.bounds;
  }

  get sealed(): boolean {
    return this.#topic.sealed;
  }

  async seal({ keep }: SealOptions): Promise<readonly Offset[]> {
    this.#reach();
    if (!this.#topic.sealed) await keep('');
    this.#reach();
    this.#topic.seal(true);
    return this.#topic.bounds.map(({ next }) => next);
  }

  async unseal(): Promise<void> {
    this.#reach();
    this.#topic.seal(false);
  }

  /** Errors: `closed`, `log-unavailable`. */
  #reach(): void {
    if (this.#state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    if (this.state !== 'connected') throw new BitacoraError('log-unavailable', 'the log is out of reach');
  }

  /** Appends that are held end as `unknown-outcome` at once: what is held in the topic may still come to be. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stretches.close();
    await this.#subscription?.close();
    await this.#queue.close(this.#topic.clock, 0);
  }

  async #commit(batch: readonly QueuedRecord[]): Promise<readonly Position[]> {
    if (this.state === 'disconnected') throw new BitacoraError('log-unavailable', 'the log is out of reach; nothing was sent');
    return this.#topic.commit(batch);
  }

  #source(): LogSource {
    const state = () => this.state;
    const generation = () => this.#topic.generation + this.#reconnections;
    return {
      get connected() {
        return state() === 'connected';
      },
      get generation() {
        return generation();
      },
      bounds: () => this.#topic.bounds,
      read: async (partition, from, limits) => this.#topic.read(partition, from, limits),
      listen: (wake) => {
        this.#listeners.add(wake);
        const unlisten = this.#topic.listen(wake);
        return () => {
          this.#listeners.delete(wake);
          unlisten();
        };
      },
    };
  }
}
