/**
 * Reads the topic for one subscription: fetches straight from the partitions' leaders, watched by watchdog.ts for when they only look alive.
 *
 * Positions are kept here, and nothing else is resumed from. Whatever fails, a broker or the knowledge of who leads what, new connections are
 * made, behind those that still work, and take over once the landmark was found over them: a topic that was deleted and made again under the
 * same name looks the same to a broker. When something hints at that, nothing more is delivered until it was found.
 *
 * Progress is measured by position: what compaction or a transaction left empty is stepped over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { LogBatch, Logger, Millis, Offset, Partition, PartitionBounds, SubscribeOptions, Subscriber } from '../../../src/ports.ts';
import { atMost, brokerError, type Client, messageOf } from './client.ts';
import { runFetchLoop } from './fetch-loop.ts';
import { type FetchedPartition, recordsOf } from './fetched.ts';
import { searchLandmark } from './landmark-search.ts';
import { Lane } from './lane.ts';
import { Progress } from './progress.ts';
import { BatchError } from './record-batch.ts';
import { Sitting, type Trouble } from './sitting.ts';
import { TopicClue } from './topic-clue.ts';
import { TopicConnection } from './topic-connection.ts';
import { Verdicts } from './verdicts.ts';
import { Watchdog } from './watchdog.ts';

export interface ReaderOptions {
  readonly topic: string;
  /** Under which the progress is shown; never used before. */
  readonly groupId: string;
  readonly newClient: () => Client;
  readonly bounds: () => Promise<readonly PartitionBounds[]>;
  /** By partition the first offset at or after a time; its end where there is none. Undefined where the records' times may go back. */
  readonly firstSince: ((time: Millis) => Promise<readonly Offset[]>) | undefined;
  readonly logger: Logger;
  /** Told whether all partitions can be read. */
  readonly outcome: (ok: boolean) => void;
}

const connectMs = 10_000;
/** After the landmark was not found. */
const searchAgainMs = 1_000;
const longestPauseMs = 2_000;
/** Connections that were good for so long have nothing to do with the failure before them. */
const steadyMs = 30_000;

/** The broker's codes of which more follows than new connections. */
const offsetOutOfRange = 1;
const unknownTopic = 3;

export class Reader {
  readonly #options: ReaderOptions;
  readonly #subscribe: SubscribeOptions;
  readonly #subscriber: Subscriber;
  readonly #lanes: readonly Lane[];
  readonly #progress: Progress;
  readonly #stop = new AbortController();
  #sitting: Sitting | undefined;
  /** That the log ends before what was read, that a partition does, that the landmark is lost. */
  readonly #verdicts = new Verdicts();
  /** How often everything was dropped: a landmark that was found before says nothing. */
  #drops = 0;
  #loop: Promise<unknown> = Promise.resolve();
  #watchdog: Watchdog | undefined;
  readonly #clue = new TopicClue();
  /** What was last said to be unreadable, and when it may be said again. */
  #complaint = { text: '', until: 0 };

  constructor(options: ReaderOptions, subscribe: SubscribeOptions, subscriber: Subscriber) {
    this.#options = options;
    this.#subscribe = subscribe;
    this.#subscriber = subscriber;
    this.#lanes = subscribe.from.map((from, i) => new Lane(i as Partition, from, (batch) => this.#hand(batch)));
    this.#progress = new Progress(options.groupId, options.topic, options.logger);
  }

  start(): void {
    this.#loop = this.#run();
    const { bounds, firstSince, logger } = this.#options;
    this.#watchdog = new Watchdog({
      ...{ lanes: this.#lanes, clue: this.#clue, verdicts: this.#verdicts, bounds, firstSince, logger },
      reading: () => this.#sitting !== undefined,
      suspected: (why) => this.#drop(why),
      changed: (why) => this.#changed(why),
      stalled: (why) => this.#sitting?.tell(why),
      looked: () => {
        if (this.#sitting !== undefined) this.#progress.commit(this.#sitting.connection.cluster);
      },
    });
  }

  progress(applied: readonly Offset[]): void {
    this.#progress.applied(applied);
  }

  async close(limitMs: number): Promise<void> {
    this.#finish();
    await atMost(limitMs, Promise.all([this.#loop, ...this.#lanes.map(({ handled }) => handled)]));
  }

  get #closed(): boolean {
    return this.#stop.signal.aborted;
  }

  #finish(): void {
    if (this.#closed) return;
    this.#stop.abort();
    this.#watchdog?.end();
    this.#drop('the subscription has ended');
  }

  #end(error: Error): void {
    if (this.#closed) return;
    this.#finish();
    this.#subscriber.ended(error);
  }

  #changed(detail: string): void {
    this.#end(new BitacoraError('log-changed', detail));
  }

  /** Nothing more counts of what comes over the connections there are; new ones look for the landmark first. */
  #drop(why: string): void {
    this.#drops++;
    this.#sitting?.end(why);
    this.#sitting = undefined;
    for (const lane of this.#lanes) lane.drop();
  }

  /** One set of connections after the other, until closed. */
  async #run(): Promise<void> {
    for (let failures = 0; !this.#closed; ) {
      const began = performance.now();
      const { why, answered } = await this.#sit().catch((error): Trouble => ({ why: messageOf(error), answered: false }));
      if (this.#closed) return;
      if (!answered) this.#options.outcome(false);
      failures = performance.now() - began > steadyMs ? 0 : failures + 1;
      this.#options.logger.debug({ event: 'log.reader.renew', reason: why, failures }, 'connections to the log are made anew');
      const pauseMs = this.#verdicts.suspects('landmark') ? searchAgainMs : Math.min(100 * 2 ** Math.min(failures, 5), longestPauseMs);
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Connects and reads; resolves with why new connections are needed. Errors: why there are none. */
  async #sit(): Promise<Trouble> {
    const drops = this.#drops;
    const connection = await this.#connect();
    if (drops === this.#drops) return this.#read(connection);
    connection.cut();
    throw new Error('the landmark was looked for too early');
  }

  /** Connections over which the landmark was found. */
  async #connect(): Promise<TopicConnection> {
    const client = this.#options.newClient();
    // A close must not wait for brokers that do not answer.
    const cut = () => client.cut(true);
    this.#stop.signal.addEventListener('abort', cut, { once: true });
    try {
      const connection = await TopicConnection.open(client, this.#options.topic, connectMs);
      const landmark = this.#subscribe.landmark();
      const verdict = landmark === undefined ? 'found' : await searchLandmark(landmark, connection, this.#options.bounds);
      if (verdict === 'found') return connection;
      if (verdict === 'another') this.#changed(`the topic ${this.#options.topic} is another one than before, under the same name`);
      else this.#lost();
      throw new Error('the landmark was not found');
    } catch (error) {
      cut();
      throw error;
    } finally {
      this.#stop.signal.removeEventListener('abort', cut);
    }
  }

  /** The landmark is not where it was. */
  #lost(): void {
    this.#drop('the landmark was not found');
    if (this.#verdicts.told('landmark')) this.#changed(`the topic ${this.#options.topic} does not hold its genesis record any more`);
  }

  /** From now on these connections count; those before are cut. */
  #read(connection: TopicConnection): Promise<Trouble> {
    this.#drop('others have taken over');
    this.#verdicts.clear('landmark');
    const sitting = new Sitting(connection);
    this.#sitting = sitting;
    const led = new Map<number, Lane[]>();
    for (const lane of this.#lanes) {
      const leader = connection.leaderOf(lane.partition);
      if (leader === undefined) sitting.tell(`partition ${lane.partition} has no leader`);
      else led.set(leader, [...(led.get(leader) ?? []), lane]);
    }
    for (const [leader, lanes] of led) void this.#fetch(sitting, leader, lanes);
    return sitting.trouble;
  }

  async #fetch(sitting: Sitting, leader: number, lanes: readonly Lane[]): Promise<void> {
    const loop = {
      lanes,
      ended: () => sitting.ended,
      fetch: async (request: Parameters<TopicConnection['fetch']>[1]) => {
        const answer = await sitting.connection.fetch(leader, request);
        if (sitting.whole) this.#options.outcome(true);
        return answer;
      },
      take: (lane: Lane, fetched: FetchedPartition) => this.#take(sitting, lane, fetched),
      stepOver: (lane: Lane, to: number) => {
        this.#options.logger.debug({ event: 'log.step-over', partition: lane.partition, from: lane.fetched, to }, 'nothing is left there');
        this.#passOver(lane, to, to);
      },
      failed: (lane: Lane, error: unknown) => this.#failed(sitting, lane, error),
    };
    try {
      await runFetchLoop(loop);
    } catch (error) {
      sitting.tell(`broker ${leader}: ${messageOf(error)}`);
    }
  }

  /** What came from `lane.fetched` on; true: something. */
  async #take(sitting: Sitting, lane: Lane, fetched: FetchedPartition): Promise<boolean> {
    if (fetched.errorCode === offsetOutOfRange) return this.#outOfRange(sitting, lane);
    if (fetched.errorCode !== 0) throw brokerError(fetched.errorCode);
    const first = lane.fetched;
    const { records, next, held } = recordsOf(fetched, first);
    if (next <= first) return false;
    this.#verdicts.clear(`position of ${lane.partition}`);
    this.#clue.heard(lane.partition, records);
    const end = Math.max(fetched.highWatermark, next) as Offset;
    lane.take({ partition: lane.partition, first, next, end, jumped: held < next - first, records });
    return true;
  }

  /** A stretch with nothing to serve. */
  #passOver(lane: Lane, to: number, end: number): void {
    const next = to as Offset;
    lane.take({ partition: lane.partition, first: lane.fetched, next, end: Math.max(end, to) as Offset, jumped: true, records: [] });
  }

  /**
   * The beginning of the log may have moved beyond the position. If its end lies before it, this may be another log, but also a leader that
   * was just elected: new connections look for the landmark, at once, because a topic made anew may soon be longer than the old one was.
   */
  async #outOfRange(sitting: Sitting, lane: Lane): Promise<boolean> {
    const { partition, fetched } = lane;
    const bounds = (await this.#options.bounds())[partition] as PartitionBounds;
    if (sitting.ended) return false;
    if (fetched < bounds.first) {
      this.#passOver(lane, bounds.first, bounds.next);
      return true;
    }
    if (fetched <= bounds.next) throw new Error(`partition ${partition} cannot be read from ${fetched} on, before its end ${bounds.next}`);
    const detail = `partition ${partition} ends at ${bounds.next}, before ${fetched}, up to where it was read`;
    if (this.#verdicts.told(`position of ${partition}`)) this.#changed(detail);
    else this.#drop(detail);
    return false;
  }

  /** Others go on over these connections. */
  #failed(sitting: Sitting, lane: Lane, error: unknown): void {
    if (sitting.ended) return;
    const why = `partition ${lane.partition}: ${messageOf(error)}`;
    if ((error as { code?: unknown }).code === unknownTopic) this.#drop(why);
    else sitting.tell(why, error instanceof BatchError);
    if (!(error instanceof BatchError)) return;
    const now = performance.now();
    if (why === this.#complaint.text && now < this.#complaint.until) return;
    this.#complaint = { text: why, until: now + 60_000 };
    const fields = { event: 'log.unreadable', partition: lane.partition, from: lane.fetched, error: messageOf(error) };
    this.#options.logger.warn(fields, 'what the log holds there cannot be read; it is asked for again');
  }

  /** A rejection of the subscriber ends the subscription. */
  async #hand(batch: LogBatch): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#subscriber.batch(batch);
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
