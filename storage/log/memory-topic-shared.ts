/**
 * A topic in memory: the data that nodes share, and the handles by which a test plays the troubles of a network and a broker.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Chance, Clock, LogIdentity, Partition, PartitionBounds, Position } from '../../src/ports.ts';
import { type ForeignRecord, MemoryPartition } from './memory-partition-shared.ts';
import type { QueuedRecord } from './queue-shared.ts';
import type { Chunk, ReadLimits } from './reader-shared.ts';
import { sealedError } from './sealed-shared.ts';

export interface MemoryTopicOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly topic?: string;
  readonly partitions?: number;
  readonly compactionLagMs?: number;
  readonly deleteRetentionMs?: number;
  /** False plays a topic of another's making, with `CreateTime`. */
  readonly logAppendTime?: boolean;
}

/** What the topic knows of a log's identity: how much goes together is for each log to say. */
type TopicIdentity = Omit<LogIdentity, 'togetherBytes'>;

/** Where held appends wait: before they are in the log, or in it and visible but without an acknowledgement. */
export type HoldPoint = 'before' | 'after';

interface Hold {
  readonly point: HoldPoint;
  /** Resolves with how the held appends end. */
  readonly released: Promise<'acknowledged' | 'unknown'>;
  release(outcome: 'acknowledged' | 'unknown'): void;
}

/** Makes a topic: an hour of compaction lag and a week of tombstones unless said otherwise, as the preflight makes it on a broker. */
export function openMemoryTopic(options: MemoryTopicOptions): MemoryTopic {
  return new MemoryTopic(options);
}

/** The data of a topic, with the handles of a test. */
export class MemoryTopic {
  readonly #options: MemoryTopicOptions;
  readonly #listeners = new Set<(partition: Partition | undefined) => void>();
  #partitions: MemoryPartition[];
  #clusterId: string;
  #generation = 0;
  #connected = true;
  #sealed = false;
  #hold: Hold | undefined;

  constructor(options: MemoryTopicOptions) {
    this.#options = options;
    this.#clusterId = options.chance.uuid();
    this.#partitions = this.#fresh();
  }

  get identity(): TopicIdentity {
    return {
      kind: 'memory',
      clusterId: this.#clusterId,
      topic: this.#options.topic ?? 'bitacora',
      partitions: this.#partitions.length,
      compactionLagMs: this.#options.compactionLagMs ?? 3_600_000,
      deleteRetentionMs: this.#options.deleteRetentionMs ?? 7 * 86_400_000,
      logAppendTime: this.#options.logAppendTime ?? true,
    };
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get sealed(): boolean {
    return this.#sealed;
  }

  /** From now on commits are refused, held ones too; or no longer. */
  seal(sealed: boolean): void {
    this.#sealed = sealed;
  }

  get generation(): number {
    return this.#generation;
  }

  get bounds(): readonly PartitionBounds[] {
    return this.#partitions.map((partition) => ({ first: 0 as PartitionBounds['first'], next: partition.next }));
  }

  /** Appends at once, past hold and disconnection: another producer's record, or a test's. */
  inject(partition: Partition, record: ForeignRecord): Position {
    const offset = this.#partition(partition).append(record, this.clock.now());
    this.#changed(partition);
    return { partition, offset };
  }

  read(partition: Partition, from: Chunk['next'], limits: ReadLimits): Chunk {
    return this.#partition(partition).read(from, limits.maxBatchRecords, limits.maxBatchBytes);
  }

  /** Does the compaction that is legal now: all of it, or what a longer lag leaves of it. Returns how many records went. */
  compact(lagMs = 0): number {
    const { deleteRetentionMs } = this.identity;
    const compactionLagMs = Math.max(lagMs, this.identity.compactionLagMs);
    const now = this.clock.now();
    return this.#partitions.reduce((sum, partition) => sum + partition.compact(now, compactionLagMs, deleteRetentionMs), 0);
  }

  /** From now on appends fail clean, bounds fail, and nothing is delivered. */
  disconnect(): void {
    this.#connected = false;
    this.#changed(undefined);
  }

  /** Ends a disconnection; subscriptions join again. */
  reconnect(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.#generation += 1;
    this.#changed(undefined);
  }

  /** Lets commits wait at a point until `release`. */
  hold(point: HoldPoint = 'before'): void {
    if (this.#hold !== undefined) return;
    let release: Hold['release'] = () => undefined;
    const released = new Promise<'acknowledged' | 'unknown'>((resolve) => {
      release = resolve;
    });
    this.#hold = { point, released, release };
  }

  /** `acknowledged`: held appends go on as if nothing had been. `unknown`: their callers get `unknown-outcome`; held before: they are lost. */
  release(outcome: 'acknowledged' | 'unknown' = 'acknowledged'): void {
    this.#hold?.release(outcome);
    this.#hold = undefined;
  }

  /** Puts an empty topic of the same name in the place of this one: another cluster's, or made anew in the same. */
  recreate(where: 'other-cluster' | 'same-cluster' = 'other-cluster'): void {
    if (where === 'other-cluster') this.#clusterId = this.#options.chance.uuid();
    this.#partitions = this.#fresh();
    this.#sealed = false;
    this.#generation += 1;
    this.#changed(undefined);
  }

  listen(wake: (partition: Partition | undefined) => void): () => void {
    this.#listeners.add(wake);
    return () => this.#listeners.delete(wake);
  }

  /** What a node's log commits through. */
  async commit(batch: readonly QueuedRecord[]): Promise<readonly Position[]> {
    const hold = this.#hold;
    if (hold?.point === 'before') await survive(hold);
    if (this.#sealed) throw sealedError();
    const positions = batch.map(({ partition, record }) => ({
      partition,
      offset: this.#partition(partition).append(record, this.clock.now()),
    }));
    for (const partition of new Set(batch.map((queued) => queued.partition))) this.#changed(partition);
    if (hold?.point === 'after') await survive(hold);
    return positions;
  }

  #partition(partition: Partition): MemoryPartition {
    const found = this.#partitions[partition];
    if (found === undefined) throw new BitacoraError('internal', `there is no partition ${partition}`);
    return found;
  }

  #fresh(): MemoryPartition[] {
    return Array.from({ length: this.#options.partitions ?? 8 }, () => new MemoryPartition());
  }

  #changed(partition: Partition | undefined): void {
    for (const wake of [...this.#listeners]) wake(partition);
  }
}

async function survive(hold: Hold): Promise<void> {
  if ((await hold.released) === 'unknown') throw new BitacoraError('unknown-outcome', 'the log did not say what became of the record');
}
