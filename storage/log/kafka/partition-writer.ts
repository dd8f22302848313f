/**
 * Appends to one partition: natural group commit, one batch in flight, not given up.
 *
 * kafkajs rolls its sequence number back when a request fails, so after a send that was given up, or beside a second one in flight, the
 * broker takes the next batch for a duplicate and kafkajs reports it as written (measured: one acknowledged write lost at each pause of
 * the broker). Hence: one batch at a time, the *same* batch again and again on the same producer, until the broker has answered for it; a
 * producer that could not get an answer in `giveUpMs` is thrown away with the batch, whose outcome stays unknown.
 *
 * A batch is `sent` once a produce request has been handed to a socket. Before that, its records are certainly not in the log and can be
 * withdrawn append by append; afterwards they cannot, and a caller who stops waiting is told `unknown-outcome`.
 *
 * An append is of one record or of several together. These are never divided: a batch takes the whole append or leaves it to the next, and
 * kafkajs makes one RecordBatch of what one partition gets in one send, which the broker keeps whole or not at all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger, NewRecord, Offset, Partition, Position } from '../../../src/ports.ts';
import { sealedError } from '../sealed-shared.ts';
import { refuseTogether } from '../together-shared.ts';
import { batchFrame } from './batch-size.ts';
import { atMost, type Client, isRequestTimeout, messageOf, type Producer, protocolError, type SocketWatch } from './client.ts';
import { fatal, forbidden, provesNothingKept, refusals, tooLarge } from './produce-answers.ts';
import { isSealed } from './seal.ts';

export interface WriterLimits {
  /** Bytes of a record, and of the appends that share a produce request; must stay below the topic's `max.message.bytes`. */
  readonly batchBytes: number;
  readonly batchRecords: number;
  /** As `LogIdentity.togetherBytes`. A single append of so many goes alone, beyond the two limits before. */
  readonly togetherBytes: number;
  /** Records that may wait for their turn, per partition. */
  readonly queueRecords: number;
  readonly queueBytes: number;
  readonly giveUpMs: number;
}

/** One append. */
interface Pending {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly resolve: (position: Position) => void;
  readonly reject: (error: BitacoraError) => void;
  readonly unwatch: () => void;
  /** The caller has stopped waiting and has had his answer. */
  gone: boolean;
  /** The caller wants to stop waiting, while an attempt is under way that may or may not send. */
  leaving: boolean;
}

interface Batch {
  pending: Pending[];
  /** A produce request with this batch has left, and no answer proves that the broker kept nothing of it. */
  sent: boolean;
  /** Produce requests of the attempt under way. */
  writes: number;
  trying: boolean;
}

/** How long a leader may wait for its followers before it answers: so much later a write that it had taken may still be acknowledged. */
export const produceTimeoutMs = 4_000;
/** Far above what a request and its one repetition may take. */
const sendLimitMs = 60_000;

export class PartitionWriter {
  readonly #topic: string;
  readonly #partition: Partition;
  readonly #limits: WriterLimits;
  readonly #logger: Logger;
  readonly #newClient: (watch: SocketWatch) => Client;
  readonly #outcome: (ok: boolean) => void;
  readonly #seal: { readonly sealed: boolean; limit(): Promise<number | undefined> };
  readonly #stop = new AbortController();
  #producer: { readonly client: Client; readonly producer: Producer } | undefined;
  #queue: Pending[] = [];
  #queuedRecords = 0;
  #queuedBytes = 0;
  /** Records of the next batch at most: fewer after a refusal, twice as many after each success. */
  #mostRecords: number;
  #batch: Batch | undefined;
  #running: Promise<void> | undefined;

  constructor(options: {
    topic: string;
    partition: Partition;
    limits: WriterLimits;
    logger: Logger;
    newClient: (watch: SocketWatch) => Client;
    /** Told after each attempt whether the broker answered. */
    outcome: (ok: boolean) => void;
    /** What is known of the topic's seal, and the question how many bytes a batch may have now; undefined: no answer. */
    seal: { readonly sealed: boolean; limit(): Promise<number | undefined> };
  }) {
    this.#topic = options.topic;
    this.#partition = options.partition;
    this.#limits = options.limits;
    this.#mostRecords = options.limits.batchRecords;
    this.#logger = options.logger;
    this.#newClient = options.newClient;
    this.#outcome = options.outcome;
    this.#seal = options.seal;
  }

  /** See `Log.append` for one record and `Log.appendTogether` for several. `tries`: also when the log is known to be sealed. */
  append(records: readonly NewRecord[], signal?: AbortSignal, tries = false): Promise<Position> {
    if (this.#seal.sealed && !tries && !this.#stop.signal.aborted) return Promise.reject(sealedError());
    const sizes = records.map(sizeOf);
    const refusal = this.#refusal(records, sizes);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (signal?.aborted) return Promise.reject(notSent());
    const bytes = sum(sizes);
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#leave(pending);
      signal?.addEventListener('abort', onAbort, { once: true });
      const unwatch = () => signal?.removeEventListener('abort', onAbort);
      const pending: Pending = { records, bytes, resolve, reject, unwatch, gone: false, leaving: false };
      this.#queue.push(pending);
      this.#count([pending], 1);
      this.#running ??= this.#run();
    });
  }

  #refusal(records: readonly NewRecord[], sizes: readonly number[]): BitacoraError | undefined {
    const { batchBytes, togetherBytes, queueRecords, queueBytes } = this.#limits;
    if (this.#stop.signal.aborted) return new BitacoraError('closed', 'the log is closed');
    const tooLarge = sizes.find((size) => size > batchBytes);
    if (tooLarge !== undefined) {
      return new BitacoraError('value-too-large', `the record has ${tooLarge} bytes with its headers, the log takes ${batchBytes}`);
    }
    const refusal = refuseTogether(records, togetherBytes);
    if (refusal !== undefined) return refusal;
    if (this.#queuedRecords + records.length > queueRecords || this.#queuedBytes + sum(sizes) > queueBytes)
      return new BitacoraError('overloaded', 'too many writes wait for the log');
    return undefined;
  }

  /** Counts what joins the queue (1) or leaves it (-1). */
  #count(appends: readonly Pending[], sign: 1 | -1): void {
    for (const { records, bytes } of appends) {
      this.#queuedRecords += sign * records.length;
      this.#queuedBytes += sign * bytes;
    }
  }

  /** Ends the wait of everyone; bounded. */
  async close(limitMs: number): Promise<void> {
    if (!this.#stop.signal.aborted) {
      // What is under way gets its chance: a drained node has callers no more, but a batch may still be on its way.
      if (this.#running !== undefined) await atMost(limitMs, this.#running);
      this.#stop.abort();
    }
    this.#count(this.#queue, -1);
    for (const pending of this.#queue.splice(0)) settle(pending, new BitacoraError('closed', 'the log is closed'));
    const batch = this.#batch;
    // An attempt under way may still send, until its producer is cut.
    const certain = batch === undefined || (!batch.sent && !batch.trying);
    for (const pending of batch?.pending ?? []) settle(pending, certain ? notSent() : unknown('the log was closed'));
    await this.#discard(limitMs);
  }

  #leave(pending: Pending): void {
    const batch = this.#batch;
    if (batch?.pending.includes(pending)) {
      if (batch.sent) settle(pending, unknown('the log has not answered in time'));
      else if (batch.trying) pending.leaving = true;
      else this.#withdraw(batch, pending);
      return;
    }
    const index = this.#queue.indexOf(pending);
    if (index < 0) return;
    this.#queue.splice(index, 1);
    this.#count([pending], -1);
    settle(pending, notSent());
  }

  #withdraw(batch: Batch, pending: Pending): void {
    batch.pending = batch.pending.filter((other) => other !== pending);
    settle(pending, notSent());
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
      this.#batch = { pending: this.#take(), sent: false, writes: 0, trying: false };
      await this.#write(this.#batch);
      this.#batch = undefined;
    }
    // In the same breath in which the queue was seen empty: an append one microtask later must find no loop and start one.
    this.#running = undefined;
  }

  #take(): Pending[] {
    let bytes = 0;
    let records = 0;
    let appends = 0;
    for (const pending of this.#queue) {
      bytes += pending.bytes;
      records += pending.records.length;
      if (appends > 0 && (bytes > this.#limits.batchBytes || records > this.#mostRecords)) break;
      appends++;
    }
    const taken = this.#queue.splice(0, appends);
    this.#count(taken, -1);
    return taken;
  }

  /** Returns when the fate of the batch is known, or given up. */
  async #write(batch: Batch): Promise<void> {
    const began = performance.now();
    for (let attempt = 0; ; attempt++) {
      if (this.#stop.signal.aborted || batch.pending.length === 0) return;
      const sentBefore = batch.sent;
      try {
        batch.trying = true;
        batch.writes = 0;
        const base = await this.#attempt(batch);
        this.#outcome(true);
        this.#mostRecords = Math.min(this.#limits.batchRecords, this.#mostRecords * 2);
        let next = base;
        for (const pending of batch.pending) {
          settle(pending, { partition: this.#partition, offset: next as Offset });
          next += pending.records.length;
        }
        return;
      } catch (error) {
        batch.trying = false;
        const type = protocolError(error);
        // kafkajs may have tried twice in one attempt, and tells only the last answer: it proves nothing about the first.
        if (batch.writes === 1 && type !== undefined && provesNothingKept.has(type)) batch.sent = sentBefore;
        if (await this.#failed(batch, error, performance.now() - began)) return;
      }
      // Nobody waits for a record that has not left: it goes, and with the last of them the batch.
      if (!batch.sent) for (const pending of batch.pending.filter((each) => each.leaving)) this.#withdraw(batch, pending);
      const pause = Math.min(50 * 2 ** Math.min(attempt, 5), 1_000) * (0.75 + Math.random() / 2);
      await sleep(pause, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  async #attempt(batch: Batch): Promise<number> {
    const { producer } = await this.#ensureProducer();
    if (this.#stop.signal.aborted) throw new BitacoraError('closed', 'the log is closed');
    const answers = await this.#within(
      producer.send({
        topic: this.#topic,
        acks: -1,
        timeout: produceTimeoutMs,
        messages: recordsOf(batch).map((record) => ({
          partition: this.#partition,
          key: buffer(record.key),
          value: record.value && buffer(record.value),
          headers: Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, buffer(value)])),
        })),
      }),
      batch,
    );
    const base = Number(answers[0]?.baseOffset);
    // A broker answers -1 for a duplicate it can no longer place.
    if (!Number.isSafeInteger(base) || base < 0) throw new BitacoraError('unknown-outcome', 'the log gave no position');
    return base;
  }

  /** kafkajs has limits of its own, and has been seen to miss them. What it does after this one nobody knows: the batch counts as sent. */
  async #within<T>(sending: Promise<T>, batch: Batch): Promise<T> {
    if (!(await atMost(sendLimitMs, sending))) {
      batch.sent = true;
      throw new BitacoraError('unknown-outcome', `the client gave no answer in ${sendLimitMs} ms`);
    }
    return sending;
  }

  /** True: the batch is over. False: try it again. */
  async #failed(batch: Batch, error: unknown, spentMs: number): Promise<boolean> {
    const type = protocolError(error);
    this.#outcome(type !== undefined && refusals.has(type));
    const fields = {
      event: 'log.append.retry',
      partition: this.#partition,
      records: recordsOf(batch).length,
      sent: batch.sent,
      error: messageOf(error),
    };
    this.#logger.debug(fields, 'an append was not answered well');
    if (type !== undefined && refusals.has(type) && !batch.sent) {
      await this.#refused(batch, type);
      return true;
    }
    if (type !== undefined && forbidden.has(type) && !batch.sent) {
      for (const pending of batch.pending) settle(pending, new BitacoraError('log-unavailable', `the broker refuses writes: ${type}`));
      return true;
    }
    // From here on a batch that is left behind takes its producer with it: the next batch would get its sequence number.
    const answered = type !== undefined && (refusals.has(type) || forbidden.has(type) || fatal.has(type));
    const over = answered || (error instanceof BitacoraError && error.code === 'unknown-outcome');
    if (over || spentMs > this.#limits.giveUpMs) {
      this.#logger.error({ ...fields, event: 'log.append.given-up' }, 'a batch was given up; its outcome is unknown');
      for (const pending of batch.pending) settle(pending, batch.sent ? unknown(messageOf(error)) : notSent());
      await this.#discard(1_000);
      return true;
    }
    if (isRequestTimeout(error)) this.#producer?.client.cut();
    return false;
  }

  /** Nothing of the batch was kept: because nothing is taken any more, because the brokers do not agree on what is, or for one bad record. */
  async #refused(batch: Batch, type: string): Promise<void> {
    // Who stops waiting now may be told at once that nothing was written.
    const limit = tooLarge.has(type) ? await this.#seal.limit() : Number.POSITIVE_INFINITY;
    if (limit !== undefined && isSealed(limit)) return this.#refuseAll(batch);
    const bytes = sum(batch.pending.map((pending) => pending.bytes));
    // A leader may have heard of another limit than the broker that was asked.
    if (tooLarge.has(type) && (limit === undefined || bytes + batchFrame <= limit)) {
      for (const pending of batch.pending) settle(pending, new BitacoraError('log-unavailable', `the broker refuses the batch: ${type}`));
      return;
    }
    this.#halve(batch, type);
  }

  /** Those who wait for their turn would hear the same. */
  #refuseAll(batch: Batch): void {
    this.#count(this.#queue, -1);
    for (const pending of [...batch.pending, ...this.#queue.splice(0)]) settle(pending, sealedError());
  }

  /**
   * One bad record fails its whole batch. It goes back to the head of the queue and comes in halves, until the
   * append with the bad record stands alone.
   */
  #halve(batch: Batch, type: string): void {
    if (batch.pending.length > 1) {
      this.#mostRecords = Math.floor(recordsOf(batch).length / 2);
      this.#count(batch.pending, 1);
      this.#queue.unshift(...batch.pending);
      batch.pending = [];
      return;
    }
    for (const pending of batch.pending) settle(pending, this.#refusedAlone(pending, type));
  }

  #refusedAlone({ records, bytes }: Pending, type: string): BitacoraError {
    if (!tooLarge.has(type)) return new BitacoraError('log-unavailable', `the broker refuses the record: ${type}`);
    if (records.length === 1) return new BitacoraError('value-too-large', `the broker refuses the record: ${type}`);
    // Within the limit that was derived from the topic: it has been lowered since, or there are more headers than was left room for.
    const detail = `the broker refuses ${records.length} records of ${bytes} bytes together, though at most ${this.#limits.togetherBytes}: ${type}`;
    return new BitacoraError('batch-invalid', detail);
  }

  async #ensureProducer(): Promise<{ client: Client; producer: Producer }> {
    if (this.#producer !== undefined) return this.#producer;
    const client = this.#newClient({
      produced: () => {
        const batch = this.#batch;
        if (batch === undefined) return;
        batch.sent = true;
        batch.writes++;
        for (const pending of batch.pending) if (pending.leaving) settle(pending, unknown('the log has not answered in time'));
      },
    });
    // kafkajs wants at least one retry for an idempotent producer; it repeats the same batch under the same sequence, as we do.
    const producer = client.kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      retry: { retries: 1, initialRetryTime: 50, maxRetryTime: 200 },
    });
    try {
      await producer.connect();
    } catch (error) {
      await atMost(500, producer.disconnect());
      client.cut();
      throw error;
    }
    this.#producer = { client, producer };
    return this.#producer;
  }

  async #discard(limitMs: number): Promise<void> {
    const held = this.#producer;
    this.#producer = undefined;
    if (held === undefined) return;
    // kafkajs's disconnect may wait for ever for requests in flight.
    await atMost(limitMs, held.producer.disconnect());
    held.client.cut();
  }
}

const recordsOf = (batch: Batch): readonly NewRecord[] => batch.pending.flatMap(({ records }) => records);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

function settle(pending: Pending, outcome: Position | BitacoraError): void {
  if (pending.gone) return;
  pending.gone = true;
  pending.unwatch();
  if (outcome instanceof BitacoraError) pending.reject(outcome);
  else pending.resolve(outcome);
}

function notSent(): BitacoraError {
  return new BitacoraError('log-unavailable', 'the log did not take the write in time; it was not sent');
}

function unknown(why: string): BitacoraError {
  return new BitacoraError('unknown-outcome', `the write was sent and may or may not be in the log: ${why}`);
}

/** kafkajs encodes only `Buffer`s as bytes; this is a view, not a copy. */
function buffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes on the wire, a little more than exact. */
function sizeOf(record: NewRecord): number {
  let bytes = 32 + record.key.length + (record.value?.length ?? 0);
  for (const [name, value] of Object.entries(record.headers)) bytes += name.length + value.length + 8;
  return bytes;
}
