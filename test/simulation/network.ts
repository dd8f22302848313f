/** A node's way to the log, as a network makes it: late, in its own order, sometimes held for long, sometimes twice. */
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
  StoreBatch,
  SubscribeOptions,
  Subscriber,
  Subscription,
} from '../../src/ports.ts';
import { type MemoryLog, type MemoryTopic, openMemoryLog } from '../../storage/log/memory-log.ts';
import type { SeededChance } from './chance.ts';
import type { WorldClock } from './clock.ts';

export interface NetworkOptions {
  readonly clock: WorldClock;
  /** Resolves when the node's process is not frozen. */
  readonly awake: () => Promise<void>;
  readonly chance: SeededChance;
  readonly topic: MemoryTopic;
  /** Tells of every record that is about to be in the log. */
  readonly before: () => void;
  /** One append in so many is in the log twice; 0: none. */
  readonly duplicates: number;
  /** How long a statement that is about to be sent is held on its way; 0: as a rule not at all. */
  readonly held: () => number;
  /** A rule broken on purpose. */
  readonly broken: Broken;
  /** Counts what happens. */
  readonly count: (what: string) => void;
  /** Authorships (`by`) of records whose connection was given up while they were on their way. */
  readonly givenUp: Set<string>;
  /** Called between two pieces of a stretch that is read: the log may compact what is still to be read. */
  readonly between: () => void;
  /** Told of every batch that a subscription brings behind a jump in offsets, before the node has it. */
  readonly jumped: (batch: LogBatch) => void;
}

/** What is done to what passes between a node and its log, to break a rule. */
export interface Broken {
  readonly append?: (record: NewRecord) => NewRecord | undefined;
  readonly batch?: (batch: LogBatch, now: number) => LogBatch;
  /** As `batch`, of what is read beside the subscription. */
  readonly stretch?: (batch: LogBatch) => LogBatch;
  readonly barrier?: boolean;
  readonly identity?: (identity: LogIdentity) => LogIdentity;
  readonly checkpointFirst?: boolean;
  readonly stored?: (batch: StoreBatch) => StoreBatch;
  /** Changes the heart itself for one run; returns what undoes it. */
  readonly heart?: () => () => void;
}

export class NetworkLog implements Log {
  readonly identity: LogIdentity;
  readonly #options: NetworkOptions;
  readonly #log: MemoryLog;
  readonly #tails: Promise<unknown>[];
  #heldUntil = 0;
  #slowMs = 5;
  #dead = false;
  #closed = false;
  #subscriber: Subscriber | undefined;
  /** Ends the wait for what is on its way. */
  readonly #underWay = new Set<() => void>();
  #lastBarrier: { at: number; position: Promise<Position> } | undefined;

  constructor(options: NetworkOptions) {
    this.#options = options;
    const { chance, topic } = options;
    this.#log = openMemoryLog(topic, { limits: { maxBatchRecords: chance.pick([1, 3, 20, 1_000]), maxStretches: chance.pick([2, 32]) } });
    this.identity = options.broken.identity?.(this.#log.identity) ?? this.#log.identity;
    this.#tails = Array.from({ length: this.identity.partitions }, () => Promise.resolve());
  }

  get state(): LogState {
    return this.#log.state;
  }

  get sealed(): boolean {
    return this.#log.sealed;
  }

  seal(options: SealOptions): Promise<readonly Offset[]> {
    return this.#log.seal(options);
  }

  unseal(): Promise<void> {
    return this.#log.unseal();
  }

  /** What is appended from now on arrives only then. */
  hold(ms: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, this.#options.clock.monotonic() + ms);
  }

  get held(): boolean {
    return this.#heldUntil > this.#options.clock.monotonic();
  }

  /** Batches come late by up to so much. */
  slow(ms: number): void {
    this.#slowMs = ms;
  }

  #isCut(): boolean {
    return this.state === 'disconnected';
  }

  /** Nothing passes for so long. `ends`: the subscription does not outlive it. */
  cut(ms: number, ends: boolean): void {
    this.#log.disconnect();
    this.#options.clock.after(ms, () => this.#log.reconnect());
    const subscriber = this.#subscriber;
    if (!ends || subscriber === undefined) return;
    this.#subscriber = undefined;
    subscriber.ended(new BitacoraError('log-unavailable', 'the connection is gone'));
  }

  /** The process is gone: nothing is delivered any more; what was sent arrives, or does not. */
  crash(): void {
    this.#dead = true;
    void this.#log.close();
  }

  append(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position> {
    return this.appendTogether(partition, [record], signal);
  }

  async appendTogether(partition: Partition, given: readonly NewRecord[], signal?: AbortSignal): Promise<Position> {
    const { broken, chance, clock, awake } = this.#options;
    const records = given.flatMap((record) => (broken.append === undefined ? record : (broken.append(record) ?? [])));
    const [first] = records;
    if (first === undefined) return { partition, offset: 0 as Position['offset'] };
    if (broken.barrier === true && isBarrier(first)) return this.#sharedBarrier(partition, first);
    if (isStatement(first)) this.hold(this.#options.held());
    let sent = false;
    const arrived = (this.#tails[partition] as Promise<unknown>).then(async () => {
      if (signal?.aborted) throw new BitacoraError('log-unavailable', 'withdrawn before it was sent');
      if (this.#closed) throw new BitacoraError('closed', 'the log is closed');
      if (this.#isCut()) throw new BitacoraError('log-unavailable', 'the log is out of reach; nothing was sent');
      sent = true;
      await clock.pause(Math.max(chance.between(1, 12), this.#heldUntil - clock.monotonic()));
      // It is sent again until it comes through.
      while (this.#isCut() && !this.#dead && !this.#closed) await clock.pause(chance.between(50, 150));
      // A request that was under way when its process died, or its connection was given up, arrives, or does not.
      if ((this.#dead || this.#closed) && chance.once(2)) throw new BitacoraError('unknown-outcome', 'lost with its connection');
      return this.#arrives(partition, records);
    });
    this.#tails[partition] = arrived.catch(() => undefined);
    return new Promise((resolve, reject) => {
      const late = (): void => {
        if (sent) reject(new BitacoraError('unknown-outcome', 'sent, and not acknowledged in time'));
      };
      const giveUp = (): void => {
        late();
        if (!sent) reject(new BitacoraError('closed', 'the log is closed'));
        else for (const { headers } of records) this.#options.givenUp.add(Buffer.from(headers['by'] ?? []).toString());
      };
      signal?.addEventListener('abort', late, { once: true });
      this.#underWay.add(giveUp);
      const end = async (tell: () => void): Promise<void> => {
        await awake();
        tell();
        this.#underWay.delete(giveUp);
        signal?.removeEventListener('abort', late);
      };
      arrived.then(
        (position) => clock.after(chance.between(1, 8), () => void end(() => resolve(position))),
        (error) => end(() => reject(error)),
      );
    });
  }

  /** What arrives together stands side by side, and comes twice as it came once. */
  #arrives(partition: Partition, records: readonly NewRecord[]): Position {
    const { topic, chance, clock, duplicates, before } = this.#options;
    const inject = (): Position | undefined => {
      const positions = records.map((record) => topic.inject(partition, record));
      before();
      return positions[0];
    };
    const position = inject() as Position;
    if (duplicates > 0 && chance.once(duplicates)) clock.after(chance.between(1, topic.identity.compactionLagMs / 7), () => void inject());
    return position;
  }

  #sharedBarrier(partition: Partition, record: NewRecord): Promise<Position> {
    const { clock } = this.#options;
    if (this.#lastBarrier === undefined || clock.monotonic() - this.#lastBarrier.at > 3_000) {
      const position = clock.pause(2).then(() => this.#arrives(partition, [record]));
      this.#lastBarrier = { at: clock.monotonic(), position };
    }
    return this.#lastBarrier.position;
  }

  async subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
    const { clock, chance, broken, awake } = this.#options;
    this.#subscriber = subscriber;
    return this.#log.subscribe(options, {
      batch: async (batch) => {
        await clock.pause(chance.between(0, this.#slowMs));
        await awake();
        if (this.#dead || this.#subscriber !== subscriber) return new Promise(() => undefined);
        if (batch.jumped) this.#options.jumped(batch);
        return subscriber.batch(broken.batch?.(batch, clock.now()) ?? batch);
      },
      ended: (error) => {
        if (!this.#dead && this.#subscriber === subscriber) subscriber.ended(error);
      },
    });
  }

  /** Each piece comes late, from a log that may compact and may be lost between two of them. */
  async *read(range: LogRange, signal?: AbortSignal): AsyncGenerator<LogBatch> {
    const { clock, chance, broken, awake, between, count } = this.#options;
    await clock.pause(chance.between(1, 6));
    count('stretches read');
    for await (const batch of this.#log.read(range, signal)) {
      if (batch.jumped) count('jumps in stretches');
      between();
      await clock.pause(chance.between(0, this.#slowMs));
      await awake();
      if (this.#dead) await new Promise(() => undefined);
      if (signal?.aborted || this.#closed) throw new BitacoraError('closed', 'the reading was ended, or the log was closed');
      yield broken.stretch?.(batch) ?? batch;
    }
  }

  async bounds(signal?: AbortSignal): Promise<readonly PartitionBounds[]> {
    const { clock, chance } = this.#options;
    await clock.pause(chance.between(1, 6));
    const bounds = await this.#log.bounds(signal);
    await clock.pause(chance.between(1, 6));
    await this.#options.awake();
    return bounds;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const giveUp of this.#underWay) giveUp();
    return this.#log.close();
  }
}

function isStatement({ headers }: NewRecord): boolean {
  return Object.hasOwn(headers, 'asof');
}

function isBarrier(record: NewRecord): boolean {
  return Buffer.from(record.key).toString().startsWith('\0barrier');
}
