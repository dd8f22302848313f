/**
 * Appends to one partition: natural group commit, one batch in flight, not given up.
 *
 * kafkajs rolls its sequence number back when a request fails, so after a send that was given up, or beside a second one in flight, the
 * broker takes the next batch for a duplicate and kafkajs reports it as written (measured: one acknowledged write lost at each pause of
 * the broker). Hence: one batch at a time, the *same* batch again and again on the same producer, until the broker has answered for it; a
 * producer that could not get an answer in `giveUpMs` is thrown away with the batch, whose outcome stays unknown.
 *
 * A batch is `sent` once a produce request has been handed to a socket. Before that, its records are certainly not in the log and can be
 * withdrawn one by one; afterwards they cannot, and a caller who stops waiting is told `unknown-outcome`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger, NewRecord, Offset, Partition, Position } from '../../../src/ports.ts';
import { atMost, type Client, isRequestTimeout, messageOf, type Producer, protocolError, type SocketWatch } from './client.ts';

export interface WriterLimits {
  /** Bytes of one produce request; must stay below the topic's `max.message.bytes`. */
  readonly batchBytes: number;
  readonly batchRecords: number;
  /** Records that may wait for their turn, per partition. */
  readonly queueRecords: number;
  readonly queueBytes: number;
  readonly giveUpMs: number;
}

interface Pending {
  readonly record: NewRecord;
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

/** Far above what a request and its one repetition may take. */
const sendLimitMs = 60_000;

/** The broker has refused the batch as it stands and kept nothing of it. */
const refusals = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
]);
/**
 * Answers that prove that the broker kept nothing: they come before the append, and from nothing but a produce request. Others look the same
 * and prove nothing: `NOT_LEADER_FOR_PARTITION` and its like may also come after the append, or from kafkajs's question for metadata, which
 * it asks when a connection was lost and whose failure then hides the loss.
 */
const provesNothingKept = new Set([...refusals, 'NOT_ENOUGH_REPLICAS']);
const forbidden = new Set(['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED', 'POLICY_VIOLATION']);
/** The broker and this producer no longer agree on what was written: only a new producer can go on. */
const fatal = new Set(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'DUPLICATE_SEQUENCE_NUMBER', 'INVALID_PRODUCER_EPOCH', 'UNKNOWN_PRODUCER_ID']);

export class PartitionWriter {
  readonly #topic: string;
  readonly #partition: Partition;
  readonly #limits: WriterLimits;
  readonly #logger: Logger;
  readonly #newClient: (watch: SocketWatch) => Client;
  readonly #outcome: (ok: boolean) => void;
  readonly #stop = new AbortController();
  #producer: { readonly client: Client; readonly producer: Producer } | undefined;
  #queue: Pending[] = [];
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
  }) {
    this.#topic = options.topic;
    this.#partition = options.partition;
    this.#limits = options.limits;
    this.#mostRecords = options.limits.batchRecords;
    this.#logger = options.logger;
    this.#newClient = options.newClient;
    this.#outcome = options.outcome;
  }

  append(record: NewRecord, signal?: AbortSignal): Promise<Position> {
    const bytes = sizeOf(record);
    if (this.#stop.signal.aborted) return Promise.reject(new BitacoraError('closed', 'the log is closed'));
    if (bytes > this.#limits.batchBytes) {
      const detail = `the record has ${bytes} bytes with its headers, the log takes ${this.#limits.batchBytes}`;
      return Promise.reject(new BitacoraError('value-too-large', detail));
    }
    if (this.#queue.length >= this.#limits.queueRecords || this.#queuedBytes + bytes > this.#limits.queueBytes) {
      return Promise.reject(new BitacoraError('overloaded', 'too many writes wait for the log'));
    }
    if (signal?.aborted) return Promise.reject(notSent());
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#leave(pending);
      signal?.addEventListener('abort', onAbort, { once: true });
      const unwatch = () => signal?.removeEventListener('abort', onAbort);
      const pending: Pending = { record, bytes, resolve, reject, unwatch, gone: false, leaving: false };
      this.#queue.push(pending);
      this.#queuedBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  /** Ends the wait of everyone; bounded. */
  async close(limitMs: number): Promise<void> {
    if (!this.#stop.signal.aborted) {
      // What is under way gets its chance: a drained node has callers no more, but a batch may still be on its way.
      if (this.#running !== undefined) await atMost(limitMs, this.#running);
      this.#stop.abort();
    }
    for (const pending of this.#queue.splice(0)) settle(pending, new BitacoraError('closed', 'the log is closed'));
    this.#queuedBytes = 0;
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
    this.#queuedBytes -= pending.bytes;
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
    let count = 0;
    for (const pending of this.#queue) {
      if (count > 0 && (bytes + pending.bytes > this.#limits.batchBytes || count >= this.#mostRecords)) break;
      bytes += pending.bytes;
      count++;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
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
        batch.pending.forEach((pending, i) => {
          settle(pending, { partition: this.#partition, offset: (base + i) as Offset });
        });
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
        timeout: 4_000,
        messages: batch.pending.map(({ record }) => ({
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
      records: batch.pending.length,
      sent: batch.sent,
      error: messageOf(error),
    };
    this.#logger.debug(fields, 'an append was not answered well');
    if (type !== undefined && refusals.has(type) && !batch.sent) {
      this.#refused(batch, type);
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

  /**
   * One bad record fails its whole batch, of which nothing was kept. It goes back to the head of the queue and comes in halves, until the
   * bad record stands alone.
   */
  #refused(batch: Batch, type: string): void {
    if (batch.pending.length > 1) {
      this.#mostRecords = Math.floor(batch.pending.length / 2);
      for (const pending of batch.pending) this.#queuedBytes += pending.bytes;
      this.#queue.unshift(...batch.pending);
      batch.pending = [];
      return;
    }
    const code = type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE' ? 'value-too-large' : 'log-unavailable';
    for (const pending of batch.pending) settle(pending, new BitacoraError(code, `the broker refuses the record: ${type}`));
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
