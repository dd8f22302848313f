/**
 * Reads the topic for one subscription: a kafkajs consumer that is rebuilt whenever it dies, and a watchdog for when it only looks alive.
 *
 * kafkajs consumes only in a group. A group whose member was killed makes its next member wait for the session timeout, so every
 * incarnation, and every rebuild, uses a group id of its own and resumes from the positions kept here; after each (re)join all
 * partitions are sought again. Before any batch is delivered the landmark is looked for, because a topic that was deleted and made again
 * under the same name looks the same to kafkajs.
 *
 * Progress is measured by position. What compaction or a transaction left empty never reaches `eachBatch`; its position is taken from the
 * END_BATCH_PROCESS event. An empty record batch at the very end gives no event at all: the watchdog then steps over it.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { LogBatch, Logger, Millis, Offset, Partition, SubscribeOptions, Subscriber } from '../../../src/ports.ts';
import { atMost, type Client, type Consumer, messageOf, protocolError } from './client.ts';
import { lastOffsetOf, type RawMessage, toRecord, toRecords } from './records.ts';
import { TopicClue } from './topic-clue.ts';

export interface ReaderOptions {
  readonly topic: string;
  readonly partitions: number;
  /** A group id that was never used before. */
  readonly newGroupId: () => string;
  readonly newClient: () => Client;
  /** The largest batch that a partition may hold. */
  readonly largestBatchBytes: number;
  readonly ends: () => Promise<readonly Offset[]>;
  /** By partition the first offset at or after a time; its end where there is none. Undefined where the records' times may go back. */
  readonly firstSince: ((time: Millis) => Promise<readonly Offset[]>) | undefined;
  readonly logger: Logger;
  /** Told when the consumer works and when it does not. */
  readonly outcome: (ok: boolean) => void;
}

const fetchWaitMs = 500;
/** Small enough that what one fetch decodes into dies young: with 8 MiB a restore needed 300 MB more and was no faster. */
const fetchBytes = 1024 * 1024;
const smallestShareBytes = 128 * 1024;
/** A batch above its share comes only when the partitions before it have nothing; one that waits this long while others move gets more. */
const starvedAfterMs = 3_000;
const watchEveryMs = 1_000;
/** Nothing at all from the consumer for this long, though the log has more: it is rebuilt. Longer than a broker's ordinary pause. */
const deadAfterMs = 20_000;
/** The consumer fetches, and yet a partition stands still before the end for this long: what lies there is empty, step over it. */
const emptyAfterMs = 4_000;
/** An end below what was read is believed when it is told this often: a new leader may tell an old one for a moment. */
const verdicts = 3;
const commitEveryMs = 5_000;
/** How often a topic that moves on as if nothing had happened is asked whether it is still the same. */
const compareEveryMs = 5_000;

export class Reader {
  readonly #options: ReaderOptions;
  readonly #subscribe: SubscribeOptions;
  readonly #subscriber: Subscriber;
  /** Next offset to deliver, by partition. */
  readonly #positions: Offset[];
  readonly #delivering: Promise<void>[];
  /** When a partition last moved, or was known to be at its end. */
  readonly #moved: number[];
  #heard = performance.now();
  /** Fetches completed, by broker, of the consumer that runs now. */
  readonly #fetches = new Map<string, number>();
  #busy = 0;
  #consumer: { readonly consumer: Consumer; readonly client: Client; readonly dead: () => void } | undefined;
  /** How often in a row the log told an end below what was read from it. */
  #shorter = 0;
  /** By partition, how often in a row records came from before its position. */
  readonly #setbacks: number[] = [];
  /** Joins after which the landmark's search did not move. */
  #lostSearches = 0;
  /** Share of a fetch that each partition gets, bytes. */
  #shareBytes: number;
  #landmarkSought = false;
  /** From where the landmark is still looked for, and since when this has not moved. */
  #landmarkFrom = 0;
  #landmarkSince = 0;
  #closed = false;
  #loop: Promise<void> = Promise.resolve();
  #watch: NodeJS.Timeout | undefined;
  #applied: readonly Offset[] | undefined;
  #committed: readonly Offset[] | undefined;
  #committedAt = 0;
  #watching = false;
  readonly #clue = new TopicClue();
  #comparedAt = 0;

  constructor(options: ReaderOptions, subscribe: SubscribeOptions, subscriber: Subscriber) {
    this.#options = options;
    this.#subscribe = subscribe;
    this.#subscriber = subscriber;
    this.#positions = [...subscribe.from];
    this.#shareBytes = Math.max(smallestShareBytes, Math.floor(fetchBytes / options.partitions));
    this.#delivering = this.#positions.map(() => Promise.resolve());
    this.#moved = this.#positions.map(() => performance.now());
  }

  start(): void {
    this.#loop = this.#run();
    this.#watch = setInterval(() => void this.#look(), watchEveryMs);
    this.#watch.unref();
  }

  progress(applied: readonly Offset[]): void {
    this.#applied = applied;
  }

  async close(limitMs: number): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearInterval(this.#watch);
      this.#consumer?.dead();
    }
    await atMost(limitMs, Promise.all([this.#loop, ...this.#delivering]));
  }

  #end(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.#consumer?.dead();
    this.#subscriber.ended(error);
  }

  /** One consumer after the other, until closed. */
  async #run(): Promise<void> {
    for (let failures = 0; !this.#closed; ) {
      const began = performance.now();
      const why = await this.#consume();
      if (this.#closed) return;
      this.#options.outcome(false);
      this.#options.logger.debug({ event: 'log.reader.rebuild', reason: why, failures }, 'the consumer ended and is made anew');
      failures = performance.now() - began > 30_000 ? 0 : failures + 1;
      const pauseMs = Math.min(100 * 2 ** Math.min(failures, 5), 2_000);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** Runs one consumer; resolves with why it ended. */
  async #consume(): Promise<string> {
    const client = this.#options.newClient();
    const consumer = client.kafka.consumer({
      groupId: this.#options.newGroupId(),
      allowAutoTopicCreation: false,
      sessionTimeout: 30_000,
      rebalanceTimeout: 60_000,
      heartbeatInterval: 3_000,
      maxWaitTimeInMs: fetchWaitMs,
      minBytes: 1,
      // A fair share for each: kafkajs asks in the same order every time, and a broker stops filling the answer at `maxBytes`.
      maxBytes: this.#shareBytes * this.#options.partitions,
      maxBytesPerPartition: this.#shareBytes,
      retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: async () => false },
    });
    let died: (why: string) => void = () => undefined;
    const death = new Promise<string>((resolve) => {
      died = resolve;
    });
    // From then on it delivers nothing more, whatever kafkajs still has in hand.
    let dying = false;
    const dead = () => {
      dying = true;
      died('it was told to end');
    };
    this.#consumer = { consumer, client, dead };
    this.#heard = performance.now();
    consumer.on(consumer.events.CRASH, (event) => died(messageOf(event.payload.error)));
    consumer.on(consumer.events.GROUP_JOIN, () => this.#joined(consumer));
    this.#fetches.clear();
    consumer.on(consumer.events.FETCH, ({ payload }) => {
      this.#heard = performance.now();
      const node = String((payload as { nodeId?: unknown }).nodeId);
      this.#fetches.set(node, (this.#fetches.get(node) ?? 0) + 1);
      this.#options.outcome(true);
    });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      this.#heard = performance.now();
      if (payload.batchSize === 0 && !dying) this.#empty(payload.partition as Partition, payload.firstOffset, Number(payload.lastOffset));
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topic: this.#options.topic, fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: this.#options.partitions,
        eachBatch: async ({ batch, resolveOffset, heartbeat, isStale }) => {
          this.#heard = performance.now();
          if (isStale() || dying || this.#closed || this.#consumer?.consumer !== consumer) return;
          const beats = setInterval(
            () =>
              heartbeat().catch((error) => this.#options.logger.debug({ event: 'log.heartbeat', error: messageOf(error) }, 'no heartbeat')),
            3_000,
          );
          try {
            const raw = (batch as unknown as { rawMessages: RawMessage[] }).rawMessages;
            const last = await this.#batch(
              batch.partition as Partition,
              raw,
              batch.messages as readonly RawMessage[],
              Number(batch.highWatermark),
            );
            if (last !== undefined) resolveOffset(String(last));
          } finally {
            clearInterval(beats);
          }
        },
      });
      return await death;
    } catch (error) {
      return messageOf(error);
    } finally {
      this.#consumer = undefined;
      await atMost(1_000, consumer.disconnect());
      client.cut();
    }
  }

  /** After every join kafkajs would go on from committed offsets or the beginning: seek, and look for the landmark first. */
  #joined(consumer: Consumer): void {
    const { topic } = this.#options;
    const landmark = this.#subscribe.landmark();
    this.#positions.forEach((offset, partition) => {
      this.#moved[partition] = performance.now();
      consumer.seek({ topic, partition, offset: String(partition === landmark?.partition ? landmark.offset : offset) });
    });
    this.#landmarkSought = landmark !== undefined;
    if (landmark === undefined) return;
    this.#landmarkFrom = landmark.offset;
    this.#landmarkSince = performance.now();
    const others = this.#positions.map((_, partition) => partition).filter((partition) => partition !== landmark.partition);
    if (others.length > 0) consumer.pause([{ topic, partitions: others }]);
  }

  /** Handles a batch that has messages. Returns the last offset dealt with; undefined: nothing was, fetch again. */
  async #batch(
    partition: Partition,
    raw: readonly RawMessage[],
    messages: readonly RawMessage[],
    end: number,
  ): Promise<number | undefined> {
    if (this.#landmarkSought) {
      this.#seekLandmark(partition, messages);
      return undefined;
    }
    const first = this.#positions[partition] as Offset;
    const earliest = Number(messages[0]?.offset);
    if (earliest < first) return this.#setBack(partition, first, earliest);
    this.#setbacks[partition] = 0;
    const last = lastOffsetOf(raw);
    // A batch may begin before what was asked for, and its offsets ascend.
    let before = 0;
    while (before < raw.length && Number(raw[before]?.offset) < first) before++;
    const seen = raw.length - before;
    const batch: LogBatch = {
      partition,
      first,
      next: (last + 1) as Offset,
      end: Math.max(end, last + 1) as Offset,
      jumped: seen < last + 1 - first,
      records: toRecords(messages),
    };
    this.#positions[partition] = batch.next;
    this.#moved[partition] = performance.now();
    this.#clue.heard(partition, batch.records);
    await this.#deliver(batch);
    return last;
  }

  /**
   * Records from before the position: kafkajs answers an offset out of range by going to the beginning, in silence; but after a change of
   * leader it may also bring a stretch twice. Merely to seek again would be to miss a topic made anew that has meanwhile grown longer than
   * the old one, so a new consumer looks for the landmark.
   */
  #setBack(partition: Partition, first: Offset, earliest: number): undefined {
    const times = (this.#setbacks[partition] ?? 0) + 1;
    this.#setbacks[partition] = times;
    if (times < verdicts && this.#subscribe.landmark() !== undefined) this.#consumer?.dead();
    else this.#end(new BitacoraError('log-changed', `partition ${partition} jumped back from ${first} to ${earliest}`));
  }

  /** A stretch with nothing to serve: control records, or what compaction left. */
  #empty(partition: Partition, firstOffset: string | null, last: number): void {
    const first = this.#positions[partition] as Offset;
    if (this.#landmarkSought || !Number.isSafeInteger(last) || last < first) return;
    const explained = firstOffset !== null && Number(firstOffset) === first && last === first;
    this.#stepOver(partition, last, !explained);
  }

  #stepOver(partition: Partition, last: number, jumped: boolean): void {
    const first = this.#positions[partition] as Offset;
    const next = (last + 1) as Offset;
    this.#positions[partition] = next;
    this.#moved[partition] = performance.now();
    void this.#deliver({ partition, first, next, end: next, jumped, records: [] });
  }

  /** In order per partition; a rejection of the subscriber ends the subscription. */
  #deliver(batch: LogBatch): Promise<void> {
    const before = this.#delivering[batch.partition] as Promise<void>;
    this.#busy++;
    const now = before
      .then(() => (this.#closed ? undefined : this.#subscriber.batch(batch)))
      .catch((error) => this.#end(error instanceof Error ? error : new Error(String(error))))
      .finally(() => this.#busy--);
    this.#delivering[batch.partition] = now;
    return now;
  }

  #seekLandmark(partition: Partition, messages: readonly RawMessage[]): void {
    const landmark = this.#subscribe.landmark();
    const consumer = this.#consumer?.consumer;
    if (landmark === undefined || consumer === undefined || partition !== landmark.partition) return;
    const { topic } = this.#options;
    if (Number(messages[0]?.offset) < this.#landmarkFrom) {
      this.#end(new BitacoraError('log-changed', `the topic ${topic} ends before ${this.#landmarkFrom}, where its genesis record was`));
      return;
    }
    for (const message of messages) {
      const verdict = landmark.recognise(toRecord(message));
      if (verdict === false) {
        this.#end(new BitacoraError('log-changed', `the topic ${topic} is another one than before, under the same name`));
        return;
      }
      if (verdict === true) {
        this.#landmarkSought = false;
        this.#lostSearches = 0;
        consumer.seek({ topic, partition, offset: String(this.#positions[partition]) });
        consumer.resume([{ topic, partitions: this.#positions.map((_, each) => each) }]);
        return;
      }
    }
    // Not in this stretch: its newest record stands further on, or it is not there, which the watchdog finds.
    this.#landmarkFrom = Math.max(this.#landmarkFrom, Number(messages.at(-1)?.offset) + 1);
    this.#landmarkSince = performance.now();
    consumer.seek({ topic, partition, offset: String(this.#landmarkFrom) });
  }

  /** The watchdog: compares positions with the log's ends, and acts when nothing moves. */
  async #look(): Promise<void> {
    if (this.#watching || this.#closed) return;
    this.#watching = true;
    try {
      // Taken before the question: what is read while the answer is on its way may lie beyond the ends it tells.
      const before = [...this.#positions];
      const soughtTo = this.#landmarkFrom;
      const ends = await this.#options.ends();
      const now = performance.now();
      this.#judgeEnds(before, ends);
      const behind = this.#positions.flatMap((position, partition) => {
        const end = ends[partition] as Offset;
        if (position >= end) this.#moved[partition] = now;
        return position < end ? [partition] : [];
      });
      if (this.#closed) return;
      if (behind.length > 0 && now - this.#heard > deadAfterMs) this.#consumer?.dead();
      this.#feedStarved(behind, now);
      await this.#stepOverEmpty(behind, now);
      this.#landmarkOverdue(ends, soughtTo, now);
      await this.#compare(now);
      await this.#commit();
    } catch (error) {
      this.#options.logger.debug({ event: 'log.watchdog', error: messageOf(error) }, 'the log did not tell its ends');
    } finally {
      this.#watching = false;
    }
  }

  /** Makes the shares large enough for the largest batch, once, when a partition stands still though others move. */
  #feedStarved(behind: readonly number[], now: number): void {
    if (this.#shareBytes >= this.#options.largestBatchBytes || this.#landmarkSought) return;
    const starved = behind.some((partition) => now - (this.#moved[partition] as number) > starvedAfterMs);
    const others = this.#moved.some((moved, partition) => now - moved < watchEveryMs && behind.includes(partition));
    if (!starved || !others) return;
    this.#shareBytes = this.#options.largestBatchBytes;
    this.#options.logger.info(
      { event: 'log.reader.share', bytes: this.#shareBytes },
      'large records: every partition gets a larger share of a fetch',
    );
    this.#consumer?.dead();
  }

  #judgeEnds(read: readonly Offset[], ends: readonly Offset[]): void {
    const partition = read.findIndex((offset, each) => offset > (ends[each] as Offset));
    this.#shorter = partition < 0 ? 0 : this.#shorter + 1;
    if (this.#shorter === 0) return;
    if (this.#shorter < verdicts) {
      // A topic made anew may be longer than the old one a second later, when nothing shows any more: the landmark is looked for at once.
      this.#consumer?.dead();
      return;
    }
    const detail = `partition ${partition} ends at ${ends[partition]}, before ${read[partition]}, up to where it was read`;
    this.#end(new BitacoraError('log-changed', detail));
  }

  /**
   * An empty record batch at the end of a partition. Stepping over one that is not empty would lose data, so it takes proof: no partition
   * has moved for a while (or a fetch may have been filled by the others), nothing is being delivered (or kafkajs does not fetch), and since
   * then every broker has answered two whole fetches.
   */
  async #stepOverEmpty(behind: readonly number[], now: number): Promise<void> {
    const consumer = this.#consumer?.consumer;
    const still = () => this.#busy === 0 && !this.#landmarkSought && !this.#closed && this.#consumer?.consumer === consumer;
    if (consumer === undefined || behind.length === 0 || !still()) return;
    if (behind.some((partition) => now - (this.#moved[partition] as number) < emptyAfterMs)) return;
    const before = new Map(this.#fetches);
    const positions = [...this.#positions];
    const fetched = () => before.size > 0 && [...before].every(([node, count]) => (this.#fetches.get(node) ?? 0) >= count + 3);
    await waitUntil(() => fetched() || !still(), 8 * fetchWaitMs);
    if (!fetched() || !still() || positions.some((position, partition) => position !== this.#positions[partition])) return;
    for (const partition of behind) {
      const position = positions[partition] as Offset;
      this.#options.logger.debug({ event: 'log.step-over', partition, position }, 'an empty stretch is stepped over');
      this.#stepOver(partition as Partition, position, true);
      this.#moved[partition] = now - emptyAfterMs;
      consumer.seek({ topic: this.#options.topic, partition, offset: String(position + 1) });
    }
  }

  /** The landmark was not found up to the end: the topic does not hold it. */
  #landmarkOverdue(ends: readonly Offset[], soughtTo: number, now: number): void {
    const landmark = this.#subscribe.landmark();
    if (!this.#landmarkSought || landmark === undefined) return;
    const end = ends[landmark.partition] as Offset;
    const stuck = now - this.#landmarkSince > deadAfterMs / 2 && now - this.#heard < 2 * watchEveryMs;
    if (stuck && ++this.#lostSearches < verdicts) {
      // The partition's leader may be away and kafkajs not know it; a new consumer asks anew.
      this.#landmarkSince = now;
      this.#consumer?.dead();
      return;
    }
    if (soughtTo >= end || stuck) {
      this.#end(new BitacoraError('log-changed', `the topic ${this.#options.topic} no longer holds its genesis record`));
    }
  }

  /** A topic made anew that has outgrown the old one shows in nothing that is read: topic-clue.ts says how it is noticed. */
  async #compare(now: number): Promise<void> {
    const { firstSince } = this.#options;
    const { since } = this.#clue;
    if (firstSince === undefined || since === undefined || now - this.#comparedAt < compareEveryMs || this.#landmarkSought) return;
    this.#comparedAt = now;
    if (this.#clue.fits(await firstSince(since)) || this.#closed) return;
    this.#clue.forget();
    this.#options.logger.warn({ event: 'log.topic-suspected' }, 'the topic may be another one than before: its identity is looked for');
    this.#consumer?.dead();
  }

  /** So that operators' tools show this node's lag; never used to resume. */
  async #commit(): Promise<void> {
    const applied = this.#applied;
    const now = performance.now();
    if (applied === undefined || applied === this.#committed || now - this.#committedAt < commitEveryMs) return;
    this.#committedAt = now;
    const consumer = this.#consumer?.consumer;
    if (consumer === undefined) return;
    const { topic } = this.#options;
    try {
      await consumer.commitOffsets(applied.map((offset, partition) => ({ topic, partition, offset: String(offset) })));
      this.#committed = applied;
    } catch (error) {
      this.#options.logger.debug(
        { event: 'log.commit', error: protocolError(error) ?? messageOf(error) },
        'the progress was not committed',
      );
    }
  }
}

async function waitUntil(holds: () => boolean, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs;
  while (!holds() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
}
