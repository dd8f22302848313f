/**
 * The embedded log: Kafka's contract in one process on LevelDB, for a node without a broker.
 *
 * The rooms: `directory` (which log this is), `rows` and `record` (the format), `disk` (the handle and its resurrection), `ends` (what
 * memory knows), `committer` (the write path), `records` (the read path), `cleaner` and `compactor` (compaction). This file joins them.
 */
import { resolve } from 'node:path';
import { BitacoraError } from '../../../src/core/errors.ts';
import type {
  Chance,
  Clock,
  Log,
  LogBatch,
  Logger,
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
} from '../../../src/ports.ts';
import { type Level, type LevelOptions, openLevel } from '../../level.ts';
import { AppendQueue, defaultQueueLimits, type QueueLimits, within } from '../queue-shared.ts';
import { defaultReadLimits, type LogSource, type ReadLimits, startReader } from '../reader-shared.ts';
import { defaultStretchLimits, type Stretches, type StretchLimits, sourceStretches } from '../stretch-shared.ts';
import { Committer } from './committer.ts';
import { Compactor } from './compactor.ts';
import { levelPath, openDirectory, type StoredIdentity } from './directory.ts';
import { Disk } from './disk.ts';
import { Ends } from './ends.ts';
import { refuseRecord } from './record.ts';
import { readRecords } from './records.ts';
import { DamagedRow } from './rows.ts';
import { Seal } from './seal.ts';

export interface EmbeddedLimits extends QueueLimits, ReadLimits, StretchLimits {
  /** How long the callers of a failed write wait to learn whether it is in the log. */
  readonly outcomeWaitMs: number;
  /** How long appends under way may take when the log is closed. */
  readonly closeMs: number;
  readonly reopenMinMs: number;
  readonly reopenMaxMs: number;
  readonly compactionIntervalMs: number;
  readonly compactionRecordsPerSecond: number;
}

export const defaultEmbeddedLimits: EmbeddedLimits = {
  ...defaultQueueLimits,
  ...defaultReadLimits,
  ...defaultStretchLimits,
  outcomeWaitMs: 2_000,
  closeMs: 5_000,
  reopenMinMs: 100,
  reopenMaxMs: 5_000,
  compactionIntervalMs: 15_000,
  compactionRecordsPerSecond: 20_000,
};

export interface EmbeddedLogOptions {
  readonly directory: string;
  readonly topic: string;
  readonly partitions: number;
  readonly compactionLagMs: number;
  readonly deleteRetentionMs: number;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly limits?: Partial<EmbeddedLimits>;
  /** Opens the database; tests put faults here. */
  readonly openLevel?: (directory: string, options: LevelOptions) => Promise<Level>;
}

/** Directories open in this process: a second LevelDB open would fail, and on failing release the first one's lock. */
const inUse = new Set<string>();

/**
 * Opens the log in a directory, or makes one there.
 * Errors: `topic-unusable` (another topic or partition count, or damaged), `directory-locked`, `directory-unusable`.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const path = resolve(options.directory);
  if (inUse.has(path)) throw new BitacoraError('directory-locked', `${path} is open in this process already`);
  inUse.add(path);
  try {
    const { level, identity } = await openDirectory({ ...options, open: options.openLevel ?? openLevel });
    const seal = new Seal();
    const load = async (): Promise<Ends> => {
      await seal.load(level);
      return Ends.load(level, options.partitions);
    };
    const ends = await load().catch(async (cause: unknown) => {
      await level.close();
      const detail = `the log in ${path} is damaged: where its partitions end cannot be read. Restore the directory from a copy, or move it away`;
      throw cause instanceof DamagedRow ? new BitacoraError('topic-unusable', detail, { cause }) : cause;
    });
    return new EmbeddedLog(options, level, identity, { ends, seal }, () => inUse.delete(path));
  } catch (error) {
    inUse.delete(path);
    throw error;
  }
}

export class EmbeddedLog implements Log {
  readonly identity: LogIdentity;
  readonly #limits: EmbeddedLimits;
  readonly #clock: Clock;
  readonly #disk: Disk;
  readonly #ends: Ends;
  readonly #seal: Seal;
  readonly #committer: Committer;
  readonly #compactor: Compactor;
  readonly #queue: AppendQueue;
  readonly #stretches: Stretches;
  readonly #released: () => void;
  readonly #logger: Logger;
  readonly #listeners = new Set<(partition: Partition | undefined) => void>();
  #subscription: Subscription | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    options: EmbeddedLogOptions,
    level: Level,
    stored: StoredIdentity,
    { ends, seal }: { readonly ends: Ends; readonly seal: Seal },
    released: () => void,
  ) {
    const { clock, logger, compactionLagMs, deleteRetentionMs } = options;
    const { clusterId, topic, partitions } = stored;
    const limits = { ...defaultEmbeddedLimits, ...options.limits };
    const settings = { compactionLagMs, deleteRetentionMs, logAppendTime: true, togetherBytes: limits.maxCommitBytes };
    this.identity = { kind: 'embedded', clusterId, topic, partitions, ...settings };
    this.#limits = limits;
    this.#clock = clock;
    this.#ends = ends;
    this.#seal = seal;
    this.#released = released;
    const open = options.openLevel ?? openLevel;
    const disk = new Disk(level, {
      ...{ clock, logger, reopenMinMs: limits.reopenMinMs, reopenMaxMs: limits.reopenMaxMs },
      reopen: () => open(levelPath(options.directory), { create: false }),
      reload: async (again) => {
        await seal.load(again);
        await ends.reload(again);
      },
      changed: () => this.#wake(undefined),
    });
    const appended = (partition: Partition) => this.#wake(partition);
    const committer = new Committer({ clock, disk, ends, seal, outcomeWaitMs: limits.outcomeWaitMs, appended });
    this.#disk = disk;
    this.#committer = committer;
    this.#queue = new AppendQueue(limits, (batch) => committer.commit(batch));
    this.#stretches = sourceStretches(limits, this.#source());
    this.#compactor = new Compactor({
      ...{ clock, logger, disk, ends, rules: { compactionLagMs, deleteRetentionMs } },
      ...{ intervalMs: limits.compactionIntervalMs, recordsPerSecond: limits.compactionRecordsPerSecond },
    });
    this.#compactor.start();
    this.#logger = logger;
    if (seal.sealed) this.#sayWhetherSealed();
  }

  get state(): LogState {
    return this.#closing === undefined ? this.#disk.state : 'closed';
  }

  /** Commits written since it was opened. */
  get commits(): number {
    return this.#committer.commits;
  }

  append(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position> {
    return this.appendTogether(partition, [record], signal);
  }

  async appendTogether(partition: Partition, records: readonly NewRecord[], signal?: AbortSignal): Promise<Position> {
    if (!(partition >= 0 && partition < this.identity.partitions))
      throw new BitacoraError('internal', `there is no partition ${partition}`);
    for (const record of records) {
      const refusal = refuseRecord(record);
      if (refusal !== undefined) throw refusal;
    }
    return this.#queue.push(partition, records, signal);
  }

  async subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
    if (this.state === 'closed') throw new BitacoraError('closed', 'the log is closed');
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
    if (this.state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    if (signal?.aborted) throw new BitacoraError('log-unavailable', 'the wait was over before the log was asked');
    if (this.state !== 'connected') throw new BitacoraError('log-unavailable', 'the log is being opened again');
    return this.#ends.bounds;
  }

  get sealed(): boolean {
    return this.#seal.sealed;
  }

  async seal({ keep }: SealOptions): Promise<readonly Offset[]> {
    if (this.state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    if (!this.#seal.sealed) await keep('');
    await this.#seal.close(this.#disk, this.#committer.ended);
    this.#sayWhetherSealed();
    return this.#ends.bounds.map(({ next }) => next);
  }

  async unseal(): Promise<void> {
    if (this.state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    await this.#seal.open(this.#disk);
    this.#sayWhetherSealed();
  }

  #sayWhetherSealed(): void {
    const { sealed } = this.#seal;
    const fields = { event: 'log.seal', topic: this.identity.topic, sealed };
    if (sealed) this.#logger.warn(fields, 'the log is sealed: reads go on, writes are refused');
    else this.#logger.info(fields, 'the log is not sealed: it takes writes');
  }

  /** Does at once, and without pauses, all the compaction that is legal now. */
  compactNow(): Promise<void> {
    return this.#compactor.now();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stretches.close();
    await this.#subscription?.close();
    await this.#queue.close(this.#clock, this.#limits.closeMs);
    // A disk that does not answer must not keep the process; its directory then stays in use.
    const end = this.#compactor.stop().then(() => this.#disk.close());
    await within(end.then(this.#released), this.#clock, this.#limits.closeMs);
  }

  #wake(partition: Partition | undefined): void {
    for (const wake of [...this.#listeners]) wake(partition);
  }

  #source(): LogSource {
    const disk = this.#disk;
    return {
      get connected() {
        return disk.state === 'connected';
      },
      get generation() {
        return disk.generation;
      },
      bounds: () => this.#ends.bounds,
      read: async (partition, from, limits) => readRecords(disk.level, this.#ends, partition, from, limits),
      listen: (wake) => {
        this.#listeners.add(wake);
        return () => this.#listeners.delete(wake);
      },
    };
  }
}
