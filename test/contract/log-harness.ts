/**
 * What the contract of the log needs of an implementation, and the tools its tests share.
 *
 * A harness makes fresh topics; a topic opens logs, one after another (a reopened log is `close` and `open` again). What only some
 * implementations can do is optional, and the tests that need it are then left out. Times are limits for conditions, never pauses.
 */
import { BitacoraError, codeOf, type ErrorCode } from '../../src/core/errors.ts';
import type {
  Headers,
  Landmark,
  Log,
  LogBatch,
  LogRange,
  LogRecord,
  NewRecord,
  Offset,
  Partition,
  Position,
  Subscriber,
  Subscription,
} from '../../src/ports.ts';

export interface TopicSettings {
  /** At least this many partitions are needed. */
  readonly partitions: number;
  /** `compact()` must be able to remove what is superseded: a compaction lag of nothing, tombstones that stay. */
  readonly compacts: boolean;
}

/** Bounds a test sets on one log. */
export interface LogBounds {
  readonly maxPendingRecords?: number;
  /** Records of one commit. */
  readonly maxCommitRecords?: number;
  /** Stretches that may be read at a time. */
  readonly maxStretches?: number;
}

/** One topic, fresh and empty when it is made. */
export interface LogTopic {
  /** One record of more than this many bytes is refused; one of `maxRecordBytes - 1000` is taken. */
  readonly maxRecordBytes: number;
  open(bounds?: LogBounds): Promise<Log>;
  /** Resolves when every superseded record that was there when it was called is gone; may append records of its own under other keys. */
  compact?(): Promise<void>;
  /** Another, empty topic under the same name. No log is open. */
  recreate?(): Promise<void>;
  /** Lets whatever keeps the log not answer for that long; resolves when it answers again. */
  interrupt?(forMs: number): Promise<void>;
  /** Nothing can be sent at all until `reconnect`: appends fail as `log-unavailable`. */
  disconnect?(): Promise<void>;
  reconnect?(): Promise<void>;
  /** A record of another producer: without key, or without headers. */
  inject?(partition: Partition, record: { key: Uint8Array | null; value: Uint8Array | null }): Promise<Position>;
  /** Another producer's transaction, in the end committed or aborted: its records, and a control record behind them. */
  transact?(partition: Partition, values: readonly string[], end: 'commit' | 'abort'): Promise<void>;
  /** Removes everything before an offset: the log begins there. */
  truncate?(partition: Partition, first: Offset): Promise<void>;
  /** How many commits a log has made so far. */
  commits?(log: Log): number;
  /** For every record of a partition the first offset of the batch in which the broker keeps it. */
  batches?(partition: Partition): Promise<readonly Offset[]>;
  remove(): Promise<void>;
}

export interface LogHarness {
  /** For one condition; a real broker needs more than memory. */
  readonly timeoutMs: number;
  /** The pause test: how often and how long the log is interrupted, and how long it runs in between. */
  readonly pauses: { readonly times: number; readonly forMs: number; readonly gapMs: number };
  fresh(settings: TopicSettings): Promise<LogTopic>;
}

export const p = (partition: number): Partition => partition as Partition;
export const o = (offset: number): Offset => offset as Offset;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array | null | undefined): string | undefined => (value ? new TextDecoder().decode(value) : undefined);

export function newRecord(key: string, value: string | null, headers: Headers = {}): NewRecord {
  return { key: bytes(key), value: value === null ? null : bytes(value), headers };
}

/** Beginnings at 0 for every partition. */
export const fromStart = (log: Log): Offset[] => Array.from({ length: log.identity.partitions }, () => o(0));

/** The code an operation fails with; undefined when it succeeds. */
export async function failure(work: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (!(error instanceof BitacoraError)) throw error;
    return codeOf(error);
  }
}

/** A subscriber that keeps copies of everything and checks what holds for every subscription. */
export class Collector implements Subscriber {
  readonly batches: LogBatch[] = [];
  error: Error | undefined;
  endings = 0;
  /** What broke a rule that every delivery keeps. */
  readonly violations: string[] = [];
  /** Held before a batch resolves, when set. */
  gate: ((batch: LogBatch) => Promise<void> | undefined) | undefined;
  readonly #running = new Set<Partition>();
  readonly #next = new Map<Partition, Offset>();
  #checks: (() => void)[] = [];

  constructor(from: readonly Offset[]) {
    for (const [partition, offset] of from.entries()) this.#next.set(p(partition), offset);
  }

  async batch(batch: LogBatch): Promise<void> {
    this.#inspect(batch);
    this.#running.add(batch.partition);
    this.batches.push({ ...batch, records: batch.records.map(copy) });
    this.#next.set(batch.partition, batch.next);
    for (const check of this.#checks) check();
    try {
      await this.gate?.(batch);
    } finally {
      this.#running.delete(batch.partition);
    }
  }

  ended(error: Error): void {
    this.endings += 1;
    this.error = error;
    for (const check of this.#checks) check();
  }

  next(partition: number): Offset {
    return this.#next.get(p(partition)) ?? o(0);
  }

  records(partition: number): LogRecord[] {
    return this.batches.filter((batch) => batch.partition === partition).flatMap((batch) => batch.records);
  }

  values(partition: number): (string | undefined)[] {
    return this.records(partition).map((record) => text(record.value));
  }

  /** Waits for a condition over what has been delivered. */
  until(condition: () => boolean, what: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => finish(() => reject(new Error(`waited ${timeoutMs} ms in vain: ${what}; ended: ${this.error}`))),
        timeoutMs,
      );
      const finish = (then: () => void) => {
        clearTimeout(timer);
        this.#checks = this.#checks.filter((other) => other !== check);
        then();
      };
      const check = () => {
        if (condition()) finish(resolve);
      };
      this.#checks.push(check);
      check();
    });
  }

  #inspect(batch: LogBatch): void {
    const place = `${batch.partition}:${batch.first}`;
    if (this.#running.has(batch.partition)) this.violations.push(`${place}: a batch came while another was unresolved`);
    if (this.#next.get(batch.partition) !== batch.first) this.violations.push(`${place}: does not begin where the last one ended`);
    if (batch.next <= batch.first) this.violations.push(`${place}: no progress`);
    if (batch.next > batch.end) this.violations.push(`${place}: next ${batch.next} is beyond the end ${batch.end}`);
    // No transactions here, so nothing but compaction can explain a missing offset.
    if (!batch.jumped && batch.records.length !== batch.next - batch.first) this.violations.push(`${place}: a hole without a jump`);
    let last = batch.first - 1;
    for (const record of batch.records) {
      if (record.offset <= last || record.offset >= batch.next) this.violations.push(`${place}: ${record.offset} is out of order`);
      last = record.offset;
    }
  }
}

/** Reads the log from the beginning (or from given offsets) up to the end it has now. */
export async function readAll(log: Log, timeoutMs: number, from: readonly Offset[] = fromStart(log)): Promise<Collector> {
  const ends = (await log.bounds()).map((bounds) => bounds.next);
  const collector = new Collector(from);
  const subscription = await log.subscribe({ from, landmark: () => undefined }, collector);
  await collector.until(() => ends.every((end, partition) => collector.next(partition) >= end), `all up to ${ends}`, timeoutMs);
  await subscription.close();
  return collector;
}

/** A stretch of a partition. */
export const range = (partition: number, from: number, to: number): LogRange => ({ partition: p(partition), from: o(from), to: o(to) });

/** Reads a stretch to its end, copies everything, and checks what holds for every stretch. */
export async function readStretch(log: Log, asked: LogRange, signal?: AbortSignal): Promise<LogBatch[]> {
  const batches: LogBatch[] = [];
  let next = asked.from;
  for await (const batch of log.read(asked, signal)) {
    const place = `${batch.partition}:${batch.first}`;
    if (batch.partition !== asked.partition) throw new Error(`${place}: another partition than ${asked.partition}`);
    if (batch.first !== next) throw new Error(`${place}: does not begin at ${next}`);
    if (batch.next <= batch.first || batch.next > asked.to) throw new Error(`${place}: ends at ${batch.next}`);
    if (batch.next > batch.end) throw new Error(`${place}: next ${batch.next} is beyond the end ${batch.end}`);
    let last = batch.first - 1;
    for (const { offset } of batch.records) {
      if (offset <= last || offset >= batch.next) throw new Error(`${place}: ${offset} is out of order`);
      last = offset;
    }
    next = batch.next;
    batches.push({ ...batch, records: batch.records.map(copy) });
  }
  return batches;
}

/** The values of a stretch. */
export const valuesOf = (batches: readonly LogBatch[]): (string | undefined)[] =>
  batches.flatMap(({ records }) => records.map(({ value }) => text(value)));

export interface Subscribed {
  readonly collector: Collector;
  readonly subscription: Subscription;
}

/** Subscribes a collector. */
export async function collect(log: Log, from: readonly Offset[], landmark?: Landmark, gate?: Collector['gate']): Promise<Subscribed> {
  const collector = new Collector(from);
  collector.gate = gate;
  const subscription = await log.subscribe({ from, landmark: () => landmark }, collector);
  return { collector, subscription };
}

function copy(record: LogRecord): LogRecord {
  return {
    offset: record.offset,
    time: record.time,
    key: record.key?.slice() ?? null,
    value: record.value?.slice() ?? null,
    headers:
      record.headers && Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, (value as Uint8Array).slice()])),
  };
}
