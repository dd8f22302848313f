/** The log on Kafka: preflight, one writer per partition, one reader per subscription, a fetcher for stretches, the ends as brokers tell them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type {
  Log,
  LogBatch,
  Logger,
  LogIdentity,
  LogRange,
  LogState,
  Millis,
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
import { defaultStretchLimits, Stretches, type StretchLimits } from '../stretch-shared.ts';
import { recordOverhead } from './batch-size.ts';
import { type Admin, atMost, type Client, isRequestTimeout, type KafkaConnection, kafkaClient, messageOf } from './client.ts';
import { defaultFetchLimits, Fetcher, type FetchLimits } from './fetcher.ts';
import { PartitionWriter, produceTimeoutMs, type WriterLimits } from './partition-writer.ts';
import { Reader } from './reader.ts';
import { KafkaSeal, type SealLimits } from './seal.ts';
import { prepareTopic, type TopicOptions } from './topic.ts';

export interface KafkaLogOptions extends TopicOptions {
  readonly connection: KafkaConnection;
  /** This node's name, part of its group ids. */
  readonly node: string;
  readonly logger: Logger;
  /** Bounds other than the usual ones. */
  readonly limits?: Partial<WriterLimits & StretchLimits & FetchLimits & SealLimits>;
}

/** For each of reading and writing: with a frozen broker, a node must be gone before `docker stop` loses its patience. */
const closeMs = 1_500;
/** An end below what was read is believed when it is told this often, a second apart: a new leader may tell an old one for a moment. */
const verdicts = 3;
const askMs = 5_000;
/** A leader's thread that has looked at the setting before it changed appends within this time, at the latest. */
const settleSlackMs = 1_000;

/**
 * Connects, looks at the topic (making it if need be), and gives the log.
 * Errors: `log-unavailable` (no broker answers), `topic-unusable` (with the command that mends it).
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const client = kafkaClient(options.connection, options.logger, 2);
  const admin = client.kafka.admin();
  try {
    await admin.connect();
    const identity = await prepareTopic(admin, options, options.logger);
    const log = new KafkaLog(options, identity, client, admin);
    await log.begin();
    return log;
  } catch (error) {
    await atMost(1_000, admin.disconnect());
    client.cut();
    if (error instanceof BitacoraError) throw error;
    throw new BitacoraError(
      'log-unavailable',
      `no broker of ${options.connection.brokers.join(',')} answers as it should: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

class KafkaLog implements Log {
  readonly identity: LogIdentity;
  readonly #options: KafkaLogOptions;
  readonly #client: Client;
  readonly #admin: Admin;
  readonly #writers: PartitionWriter[];
  readonly #fetcher: Fetcher;
  readonly #stretches: Stretches;
  readonly #seal: KafkaSeal;
  readonly #groups: string[] = [];
  #connected = true;
  #closing: Promise<void> | undefined;
  #reader: Reader | undefined;
  #asking: Promise<readonly PartitionBounds[]> | undefined;
  #groupsSwept = false;

  constructor(options: KafkaLogOptions, identity: LogIdentity, client: Client, admin: Admin) {
    this.#options = options;
    this.identity = identity;
    this.#client = client;
    this.#admin = admin;
    this.#seal = new KafkaSeal({
      ...{ admin, topic: identity.topic, partitions: identity.partitions, logger: options.logger },
      limits: { settleMs: options.limits?.settleMs ?? produceTimeoutMs + settleSlackMs },
      append: (partition, record, signal) => (this.#writers[partition] as PartitionWriter).append([record], signal, true),
      bounds: () => this.bounds(),
    });
    const limits = {
      batchBytes: options.recordBytes + recordOverhead,
      batchRecords: 2_000,
      togetherBytes: identity.togetherBytes,
      queueRecords: 10_000,
      queueBytes: 32 * 1024 * 1024,
      giveUpMs: Math.max(30_000, identity.compactionLagMs / 4),
      ...options.limits,
    };
    this.#writers = Array.from({ length: identity.partitions }, (_, partition) => {
      return new PartitionWriter({
        topic: identity.topic,
        partition: partition as Partition,
        limits,
        logger: options.logger,
        newClient: (watch) => kafkaClient(options.connection, options.logger, 1, watch),
        outcome: (ok) => this.#noted(ok),
        seal: this.#seal,
      });
    });
    const fetcher = new Fetcher({
      topic: identity.topic,
      limits: { ...defaultFetchLimits, ...options.limits },
      newClient: () => kafkaClient(options.connection, options.logger, 2),
      bounds: () => this.bounds(),
      logger: options.logger,
    });
    this.#fetcher = fetcher;
    this.#stretches = new Stretches({ ...defaultStretchLimits, ...options.limits }, () => fetcher.stretch());
  }

  /** Learns whether the topic is sealed, and goes on looking. */
  async begin(): Promise<void> {
    await this.#seal.limit();
    this.#seal.watch();
  }

  get sealed(): boolean {
    return this.#seal.sealed;
  }

  async seal(options: SealOptions): Promise<readonly Offset[]> {
    if (this.#closing !== undefined) throw new BitacoraError('closed', 'the log is closed');
    return this.#seal.seal(options);
  }

  async unseal(memo: string | undefined): Promise<void> {
    if (this.#closing !== undefined) throw new BitacoraError('closed', 'the log is closed');
    return this.#seal.unseal(memo);
  }

  get state(): LogState {
    if (this.#closing !== undefined) return 'closed';
    return this.#connected ? 'connected' : 'disconnected';
  }

  append(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position> {
    return this.appendTogether(partition, [record], signal);
  }

  appendTogether(partition: Partition, records: readonly NewRecord[], signal?: AbortSignal): Promise<Position> {
    const writer = this.#writers[partition];
    if (this.#closing !== undefined || writer === undefined) return Promise.reject(new BitacoraError('closed', 'the log is closed'));
    return writer.append(records, signal);
  }

  async subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
    if (this.#closing !== undefined) throw new BitacoraError('closed', 'the log is closed');
    if (this.#reader !== undefined) throw new BitacoraError('internal', 'the log has a subscription already');
    const detail = await this.#endsBefore(options.from);
    if (detail !== undefined) {
      queueMicrotask(() => subscriber.ended(new BitacoraError('log-changed', detail)));
      return { progress: () => undefined, close: async () => undefined };
    }
    const reader = new Reader(
      {
        topic: this.identity.topic,
        groupId: this.#newGroupId(),
        newClient: () => kafkaClient(this.#options.connection, this.#options.logger, 2),
        bounds: () => this.bounds(),
        firstSince: this.identity.logAppendTime ? (time) => this.#firstSince(time) : undefined,
        logger: this.#options.logger,
        outcome: (ok) => {
          this.#noted(ok);
          if (ok) void this.#sweepGroups();
        },
      },
      options,
      subscriber,
    );
    this.#reader = reader;
    reader.start();
    return {
      progress: (applied) => reader.progress(applied),
      close: async () => {
        await reader.close(closeMs);
        if (this.#reader === reader) this.#reader = undefined;
      },
    };
  }

  read(range: LogRange, signal?: AbortSignal): AsyncIterable<LogBatch> {
    return this.#stretches.read(range, signal);
  }

  /** In words, which partition ends before the offset where reading should begin; undefined: none. */
  async #endsBefore(from: readonly Offset[]): Promise<string | undefined> {
    for (let verdict = 1; ; verdict++) {
      const ends = (await this.bounds()).map((bounds) => bounds.next);
      const beyond = from.findIndex((offset, partition) => offset > (ends[partition] as Offset));
      if (beyond < 0) return undefined;
      if (verdict === verdicts) return `partition ${beyond} ends at ${ends[beyond]}, before ${from[beyond]} where reading should begin`;
      await sleep(1_000);
    }
  }

  /** One question to the brokers at a time is enough; but a question asked now must not be answered by one that was under way before. */
  async bounds(signal?: AbortSignal): Promise<readonly PartitionBounds[]> {
    if (this.#closing !== undefined) throw new BitacoraError('closed', 'the log is closed');
    const before = this.#asking;
    if (before !== undefined) await before.catch(() => undefined);
    // Others may have waited for the same one: the first of them asks, and its question is younger than all their calls.
    this.#asking = this.#asking === before || this.#asking === undefined ? this.#ask().finally(() => undefined) : this.#asking;
    const asked = this.#asking;
    const clear = () => {
      if (this.#asking === asked) this.#asking = undefined;
    };
    asked.then(clear, clear);
    if (signal === undefined) return asked;
    return Promise.race([asked, aborted(signal)]);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#seal.close();
    this.#stretches.close();
    this.#fetcher.close();
    const writers = this.#writers.map((writer) => writer.close(closeMs));
    await Promise.all([this.#reader?.close(closeMs), ...writers, atMost(closeMs, this.#admin.disconnect())]);
    this.#client.cut();
  }

  async #ask(): Promise<readonly PartitionBounds[]> {
    let answered: readonly PartitionBounds[] | undefined;
    let failure: unknown;
    const work = this.#admin.fetchTopicOffsets(this.identity.topic).then(
      (partitions) => {
        const bounds: PartitionBounds[] = [];
        for (const { partition, low, high } of partitions)
          bounds[partition] = { first: Number(low) as Offset, next: Number(high) as Offset };
        answered = bounds;
      },
      (error) => {
        failure = error;
      },
    );
    const inTime = await atMost(askMs, work);
    if (answered !== undefined) {
      this.#noted(true);
      return answered;
    }
    if (!inTime || isRequestTimeout(failure)) this.#client.cut();
    this.#noted(false);
    throw new BitacoraError('log-unavailable', `the log does not tell its ends: ${inTime ? messageOf(failure) : 'no answer'}`, {
      cause: failure,
    });
  }

  async #firstSince(time: Millis): Promise<readonly Offset[]> {
    let offsets: readonly { readonly partition: number; readonly offset: string }[] | undefined;
    const work = this.#admin.fetchTopicOffsetsByTimestamp(this.identity.topic, time).then((answer) => {
      offsets = answer;
    });
    await atMost(askMs, work);
    if (offsets === undefined) throw new BitacoraError('log-unavailable', 'the log does not tell where its records of a time begin');
    return offsets.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset) as Offset);
  }

  #noted(ok: boolean): void {
    if (this.#connected === ok || this.#closing !== undefined) return;
    this.#connected = ok;
    const { logger } = this.#options;
    if (ok) logger.info({ event: 'log.connected' }, 'the log answers again');
    else logger.warn({ event: 'log.disconnected' }, 'the log does not answer; reads go on from the local state');
  }

  /** `<topic>-<node>-<n>`, never used before: what an earlier run of this node has told is its own. */
  #newGroupId(): string {
    const id = `${this.#groupPrefix}${Date.now()}${String(this.#groups.length).padStart(3, '0')}`;
    this.#groups.push(id);
    return id;
  }

  get #groupPrefix(): string {
    return `${this.identity.topic}-${this.#options.node.replaceAll(/[^\w.]/g, '_')}-`;
  }

  /** Deletes the groups of earlier incarnations of this node, once, as far as the brokers let it. */
  async #sweepGroups(): Promise<void> {
    if (this.#groupsSwept) return;
    this.#groupsSwept = true;
    const { logger } = this.#options;
    try {
      const { groups } = await this.#admin.listGroups();
      const old = groups
        .map((group) => group.groupId)
        .filter((id) => id.startsWith(this.#groupPrefix) && /^\d+$/.test(id.slice(this.#groupPrefix.length)) && !this.#groups.includes(id));
      // One by one: a group that still has a member is refused, and must not save the others.
      for (const id of old.slice(0, 50)) {
        await this.#admin
          .deleteGroups([id])
          .catch((error) => logger.debug({ event: 'log.group', group: id, error: messageOf(error) }, 'an old group stays'));
      }
    } catch (error) {
      logger.debug({ event: 'log.groups', error: messageOf(error) }, 'old groups were not looked for');
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(new BitacoraError('log-unavailable', 'the log did not tell its ends in time'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
