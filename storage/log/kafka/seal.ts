/**
 * Whether a topic takes writes, and how it is closed and opened again: by its `max.message.bytes`.
 *
 * The broker itself must refuse, or a node that was frozen and knows of nothing would write an hour later. Of the settings of a topic one
 * refuses every record: no record fits into 0 bytes. What was sent before and is repeated now is refused, too, before the broker compares it
 * with what it has: such a batch stays unknown (partition-writer.ts). The topic's setting is the truth; `sealed` is what is known of it here.
 *
 * kafkajs knows only the protocol's older way to alter settings, which puts every setting that is not named back to the broker's default.
 * So all that the topic has of its own are read first, and sent along.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError, codeOf } from '../../../src/core/errors.ts';
import type { Logger, NewRecord, Offset, Partition, PartitionBounds, Position, SealOptions } from '../../../src/ports.ts';
import { type Admin, atMost, messageOf } from './client.ts';

/** Kafka's name of the setting, and what it is while the topic is sealed; a topic on which nothing fits is taken for sealed all the same. */
const setting = 'max.message.bytes';
const closed = 0;
const largestClosed = 60;

const askMs = 5_000;
/** How often the topic is asked whether it is sealed: every second while it is, every so many of them while nothing says so. */
const tickMs = 1_000;
const ticksOpen = 10;
/** All leaders have heard of the setting within this time, or the sealing has failed. */
const provenMs = 30_000;
const probeEveryMs = 100;

/** `ConfigResourceTypes.TOPIC` of the protocol. */
const topicResource = 2;
/** `ConfigSource.TOPIC_CONFIG` of the protocol: set for this topic, and not the broker's or Kafka's own. */
const ofTopic = 1;

export interface SealLimits {
  /**
   * How long it takes, from when every leader was seen to refuse, until no write that it had taken before can be acknowledged any more. Until
   * then such a write may be in the leader and not on its followers, and so not before the ends that brokers tell.
   */
  readonly settleMs: number;
}

/** Whether so few bytes mean that a topic is sealed: no batch is so small, however little is in it. */
export function isSealed(maxMessageBytes: number): boolean {
  return maxMessageBytes <= largestClosed;
}

export interface KafkaSealOptions {
  readonly admin: Admin;
  readonly topic: string;
  readonly partitions: number;
  readonly logger: Logger;
  readonly limits: SealLimits;
  /** As `Log.append`, whatever is known of the seal. */
  readonly append: (partition: Partition, record: NewRecord, signal: AbortSignal) => Promise<Position>;
  readonly bounds: () => Promise<readonly PartitionBounds[]>;
}

export class KafkaSeal {
  readonly #options: KafkaSealOptions;
  readonly #stop = new AbortController();
  #sealed = false;
  /**
   * The ends that were told last, after a whole wait. While they stand the log was not opened in between: every sealing appends a record
   * before, and what is acknowledged moves them.
   */
  #settled: readonly Offset[] | undefined;
  #asking: Promise<number | undefined> | undefined;

  constructor(options: KafkaSealOptions) {
    this.#options = options;
  }

  get sealed(): boolean {
    return this.#sealed;
  }

  /** Asks now and again from now on, until `close`. */
  watch(): void {
    void this.#watch();
  }

  close(): void {
    this.#stop.abort();
  }

  /** How many bytes a batch may have, as the topic says it now; undefined: it does not answer. Questions asked together are one. */
  limit(): Promise<number | undefined> {
    this.#asking ??= this.#look().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** As `Log.seal`. */
  async seal({ keep, probe }: SealOptions): Promise<readonly Offset[]> {
    const { topic, logger } = this.#options;
    const settings = await this.#settings();
    if (!isSealed(settings.limit)) {
      await keep(settings.own.get(setting) ?? '');
      await this.#alter(new Map([...settings.own, [setting, String(closed)]]));
      logger.warn({ event: 'log.sealed', topic, before: settings.limit }, 'the topic is sealed: it takes no writes any more');
    }
    await Promise.all(Array.from({ length: this.#options.partitions }, (_, i) => this.#prove(i as Partition, probe(i as Partition))));
    this.#sealed = true;
    const ends = await this.#ends();
    if (ends.every((end, partition) => end === this.#settled?.[partition])) return ends;
    await this.#settle();
    this.#settled = await this.#ends();
    return this.#settled;
  }

  /** As `Log.unseal`. */
  async unseal(memo: string | undefined): Promise<void> {
    const { topic, logger } = this.#options;
    const { own, limit } = await this.#settings();
    if (isSealed(limit)) {
      const { [setting]: _, ...others } = Object.fromEntries(own);
      await this.#alter(new Map(Object.entries(memo === undefined || memo === '' ? others : { ...others, [setting]: memo })));
      logger.warn({ event: 'log.unsealed', topic }, 'the topic is open again: it takes writes');
    }
    for (const until = performance.now() + provenMs; isSealed((await this.limit()) ?? closed); await sleep(probeEveryMs)) {
      if (performance.now() > until) throw unanswered('the topic does not say that it is open');
    }
  }

  async #ends(): Promise<readonly Offset[]> {
    return (await this.#options.bounds()).map(({ next }) => next);
  }

  /** Errors: `closed`. */
  async #settle(): Promise<void> {
    const { signal } = this.#stop;
    // It ends early by the signal alone, which is told below.
    await sleep(this.#options.limits.settleMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) throw new BitacoraError('closed', 'the log is closed');
  }

  async #watch(): Promise<void> {
    for (let tick = 1; !this.#stop.signal.aborted; tick++) {
      if (this.#sealed || tick % ticksOpen === 0) await this.limit();
      // It ends early by the signal alone, as the loop does.
      await sleep(tickMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  async #look(): Promise<number | undefined> {
    try {
      const { limit } = await this.#settings();
      this.#noted(isSealed(limit));
      return limit;
    } catch (error) {
      this.#options.logger.debug({ event: 'log.seal.unasked', error: messageOf(error) }, 'the topic does not say whether it is sealed');
      return undefined;
    }
  }

  #noted(sealed: boolean): void {
    if (sealed === this.#sealed) return;
    this.#sealed = sealed;
    if (!sealed) this.#settled = undefined;
    const { logger, topic } = this.#options;
    if (sealed) logger.warn({ event: 'log.seal', topic, sealed }, 'the topic is sealed: reads go on, writes are refused');
    else logger.info({ event: 'log.seal', topic, sealed }, 'the topic is not sealed any more: writes go on');
  }

  /** The leader refuses what is sent to it: tried until it does. Errors: `log-unavailable`. */
  async #prove(partition: Partition, probe: NewRecord): Promise<void> {
    const limit = AbortSignal.timeout(provenMs);
    for (;;) {
      let failure: unknown;
      try {
        await this.#options.append(partition, probe, limit);
      } catch (error) {
        if (codeOf(error) === 'log-sealed') return;
        if (codeOf(error) === 'closed') throw error;
        // A leader that is away, or that has not heard of the setting yet: it is tried again.
        failure = error;
      }
      if (limit.aborted) throw unanswered(`partition ${partition} could not be seen to refuse writes`, failure);
      await sleep(probeEveryMs);
    }
  }

  /** What the topic has of its own, and the limit that holds, whoever set it. Errors: `log-unavailable`. */
  async #settings(): Promise<{ readonly own: ReadonlyMap<string, string>; readonly limit: number }> {
    const { admin, topic } = this.#options;
    const resources = [{ type: topicResource, name: topic }];
    const answer = await inTime(admin.describeConfigs({ includeSynonyms: false, resources }), 'the topic does not tell its settings');
    const entries = answer.resources[0]?.configEntries ?? [];
    const limit = Number(entries.find(({ configName }) => configName === setting)?.configValue);
    if (!Number.isSafeInteger(limit)) throw unanswered(`the topic does not tell its ${setting}`);
    const own = entries.filter(({ configSource }) => Number(configSource) === ofTopic);
    return { own: new Map(own.map(({ configName, configValue }) => [configName, configValue])), limit };
  }

  async #alter(own: ReadonlyMap<string, string>): Promise<void> {
    const { admin, topic } = this.#options;
    const configEntries = [...own].map(([name, value]) => ({ name, value }));
    const resources = [{ type: topicResource, name: topic, configEntries }];
    await inTime(admin.alterConfigs({ validateOnly: false, resources }), 'the settings of the topic cannot be altered');
  }
}

/** Errors: `log-unavailable`. */
async function inTime<T>(work: Promise<T>, otherwise: string): Promise<T> {
  if (!(await atMost(askMs, work))) throw unanswered(`${otherwise}: no answer`);
  try {
    return await work;
  } catch (cause) {
    throw unanswered(`${otherwise}: ${messageOf(cause)}`, cause);
  }
}

function unanswered(what: string, cause?: unknown): BitacoraError {
  return new BitacoraError('log-unavailable', what, { cause });
}
