/** What a subscription makes of brokers' answers: fairness, slow subscribers, empty stretches, moved leaders, lost brokers, other logs. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Landmark, LogBatch, Logger, LogRecord, Offset, PartitionBounds } from '../../src/ports.ts';
import { Reader } from '../../storage/log/kafka/reader.ts';
import { Collector, o, p, text } from '../contract/log-harness.ts';
import { batchBytes, type FetchAsked, type PartitionToEncode } from './kafka-bytes.ts';
import { playedKafka } from './played-kafka.ts';

const timeoutMs = 20_000;
const outOfRange = 1;
const unknownTopic = 3;
const notLeader = 6;

interface Kept {
  readonly last: number;
  readonly bytes: Buffer;
}

/** Partitions as brokers keep them and tell of them. */
class PlayedLog {
  readonly batches: Kept[][];
  readonly first: number[];
  readonly ends: number[];
  /** By partition, what a fetch of it is answered with instead. */
  readonly troubles = new Map<number, (from: number) => Partial<PartitionToEncode> | undefined>();
  leaders: number[];
  readonly asked: FetchAsked[] = [];
  lost = new Set<number>();
  #troubled = false;

  constructor(leaders: readonly number[]) {
    this.leaders = [...leaders];
    this.batches = leaders.map(() => []);
    this.first = leaders.map(() => 0);
    this.ends = leaders.map(() => 0);
  }

  append(partition: number, count: number, valueBytes = 1): void {
    for (let i = 0; i < count; i++) {
      const offset = this.ends[partition]!++;
      const bytes = batchBytes({ records: [{ offset, value: Buffer.alloc(valueBytes, 'v') }], time: 1_000 + offset });
      this.batches[partition]!.push({ last: offset, bytes });
    }
  }

  bounds(): PartitionBounds[] {
    return this.ends.map((next, i) => ({ first: this.first[i] as Offset, next: next as Offset }));
  }

  async answer(asked: FetchAsked, leader: number): Promise<PartitionToEncode[]> {
    this.asked.push(asked);
    for (const until = performance.now() + asked.maxWaitMs; ; ) {
      if (this.lost.has(leader)) throw new Error('connection lost');
      let left = asked.maxBytes;
      this.#troubled = false;
      const told = asked.partitions.map(({ partition, from, maxBytes }) => {
        const found = this.#find(partition, from, leader, Math.min(left, maxBytes), left === asked.maxBytes);
        left = Math.max(0, left - found.batches.length);
        return found;
      });
      const atOnce = this.#troubled || told.some(({ error = 0 }) => error !== 0);
      if (left < asked.maxBytes || atOnce || performance.now() > until) return told;
      await pause(2);
    }
  }

  /** The first that has anything gives a whole batch. */
  #find(partition: number, from: number, leader: number, mostBytes: number, whole: boolean): PartitionToEncode {
    const end = this.ends[partition]!;
    const plain = { partition, end, batches: Buffer.alloc(0) };
    const trouble = this.troubles.get(partition)?.(from);
    if (trouble !== undefined) {
      this.#troubled = true;
      return { ...plain, ...trouble };
    }
    if (this.leaders[partition] !== leader) return { ...plain, error: notLeader };
    if (from > end || from < this.first[partition]!) return { ...plain, end: -1, error: outOfRange };
    const taken: Buffer[] = [];
    let bytes = 0;
    for (const kept of this.batches[partition]!) {
      if (kept.last < from) continue;
      if (bytes + kept.bytes.length > mostBytes && !(whole && bytes === 0)) break;
      taken.push(kept.bytes);
      bytes += kept.bytes.length;
    }
    return { ...plain, batches: Buffer.concat(taken) };
  }
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function openReader(log: PlayedLog, settings: { from?: readonly number[]; landmark?: Landmark; gate?: Collector['gate'] } = {}) {
  const from = settings.from?.map(o) ?? log.ends.map(() => o(0));
  const kafka = playedKafka(log.leaders, (asked, leader) => log.answer(asked, leader));
  const told: boolean[] = [];
  const lines: string[] = [];
  const note = (fields: object) => void lines.push((fields as { event: string }).event);
  const logger = { debug: () => undefined, info: note, warn: note, error: note } as unknown as Logger;
  const collector = new Collector(from);
  collector.gate = settings.gate;
  const reader = new Reader(
    {
      ...{ topic: 't', groupId: 'group', newClient: kafka.newClient, bounds: async () => log.bounds(), firstSince: undefined, logger },
      outcome: (ok) => void told.push(ok),
    },
    { from, landmark: () => settings.landmark },
    collector,
  );
  reader.start();
  closing.push(() => reader.close(1_000));
  const until = (partition: number, next: number) =>
    collector.until(() => collector.next(partition) >= next, `${partition} up to ${next}`, timeoutMs);
  return { reader, collector, kafka, told, lines, until };
}

const landmarkAt = (offset: number, verdict: (record: LogRecord) => boolean | undefined): Landmark => {
  return { partition: p(0), offset: o(offset), recognise: verdict };
};
const gateOf = (partition: number) => {
  let open: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { gate: (batch: LogBatch) => (batch.partition === partition ? wait : undefined), open };
};

describe('fairness', () => {
  test('a large record comes though all others always have more than fits into an answer', async () => {
    const log = new PlayedLog([1, 1, 1, 1]);
    for (const partition of [0, 1, 2]) log.append(partition, 200, 60_000);
    log.append(3, 3, 900_000);
    const { collector, until } = openReader(log);
    await until(3, 3);
    expect(log.asked.length).toBeLessThan(15);
    for (const partition of [0, 1, 2]) await until(partition, 200);
    expect(collector.violations).toEqual([]);
  });

  test('of a partition whose subscriber is slow one piece waits, the others go on, and nothing is missing at the end', async () => {
    const log = new PlayedLog([1, 1]);
    log.append(0, 40, 60_000);
    const { gate, open } = gateOf(0);
    const { collector, until } = openReader(log, { gate });
    for (let i = 1; i <= 20; i++) {
      log.append(1, 1);
      await until(1, i);
    }
    const pieces = new Set(
      log.asked.flatMap(({ partitions }) => partitions.filter(({ partition }) => partition === 0).map(({ from }) => from)),
    );
    expect(pieces.size).toBe(2);
    expect(collector.batches.filter(({ partition }) => partition === 0)).toHaveLength(1);
    open();
    await until(0, 40);
    expect(collector.violations).toEqual([]);
  });
});

describe('empty stretches', () => {
  test('what is empty up to the end is stepped over as a jump, and what comes behind it is not', async () => {
    const log = new PlayedLog([1, 1]);
    log.append(0, 3);
    log.append(1, 1);
    log.ends[0] = 50_000;
    const { collector, until } = openReader(log);
    await until(0, 50_000);
    expect(collector.batches.filter(({ partition }) => partition === 0)).toMatchObject([
      { first: 0, next: 3, jumped: false },
      { first: 3, next: 50_000, jumped: true, records: [] },
    ]);
    const [last] = log.asked.filter(({ maxWaitMs }) => maxWaitMs === 0);
    expect(last?.partitions).toHaveLength(1);
    log.append(0, 1);
    await until(0, 50_001);
    expect(collector.records(0).at(-1)?.offset).toBe(50_000);
    expect(collector.violations).toEqual([]);
  });

  test('a record that comes between two questions is not stepped over', async () => {
    const log = new PlayedLog([1]);
    log.append(0, 1);
    let questions = 0;
    // The end is told of a moment after the records were looked for.
    log.troubles.set(0, (from) => {
      if (from !== 1 || ++questions !== 3) return undefined;
      log.append(0, 1);
      return { end: 2 };
    });
    const { collector, until } = openReader(log);
    await until(0, 2);
    expect(collector.records(0).map(({ offset }) => offset)).toEqual([0, 1]);
    expect(collector.batches.every(({ jumped }) => !jumped)).toBe(true);
  });

  test('a beginning that has moved is a jump', async () => {
    const log = new PlayedLog([1]);
    log.append(0, 20);
    log.first[0] = 12;
    log.batches[0]!.splice(0, 12);
    const { collector, until } = openReader(log, { from: [5] });
    await until(0, 20);
    expect(collector.batches[0]).toMatchObject({ first: 5, jumped: true });
    expect(collector.records(0).map(({ offset }) => offset)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
  });
});

describe('trouble', () => {
  test('a leader that has moved is followed, and the other partitions do not notice', async () => {
    const log = new PlayedLog([1, 2]);
    log.append(0, 1);
    log.append(1, 1);
    const { collector, kafka, until } = openReader(log);
    await Promise.all([until(0, 1), until(1, 1)]);
    // Nobody leads it for a while.
    log.leaders = [1, 3];
    kafka.leaders = [1, -1];
    await expect.poll(() => kafka.counts.clients, { timeout: timeoutMs }).toBeGreaterThan(2);
    for (let i = 2; i < 6; i++) {
      log.append(0, 1);
      await until(0, i);
    }
    log.append(1, 1);
    kafka.leaders = [1, 3];
    await until(1, 2);
    expect(collector.violations).toEqual([]);
    expect(collector.error).toBeUndefined();
  });

  test('while a broker is lost and nobody can be connected to, what the others lead comes, and the trouble is told', async () => {
    const log = new PlayedLog([1, 2]);
    const { collector, kafka, told, until } = openReader(log);
    log.append(0, 1);
    log.append(1, 1);
    await Promise.all([until(0, 1), until(1, 1)]);
    expect(told.at(-1)).toBe(true);
    let attempts = 0;
    kafka.connect = async () => {
      attempts++;
      throw new Error('nobody there');
    };
    log.lost.add(2);
    await expect.poll(() => attempts, { timeout: timeoutMs }).toBeGreaterThan(1);
    log.append(0, 1);
    await until(0, 2);
    expect(told.at(-1)).toBe(false);
    kafka.connect = async () => undefined;
    log.lost.clear();
    log.append(1, 1);
    await until(1, 2);
    await expect.poll(() => told.at(-1), { timeout: timeoutMs }).toBe(true);
    expect(collector.violations).toEqual([]);
    // All connections but the last are cut.
    expect(kafka.counts.cuts).toBeGreaterThanOrEqual(kafka.counts.clients - 1);
  });

  test('a batch that is not as it was written is never served, is said to be there, and does not hold up the others', async () => {
    const log = new PlayedLog([1, 1]);
    log.append(0, 3);
    const broken = log.batches[0]![1]!.bytes;
    broken[broken.length - 2]! ^= 1;
    const { collector, lines, until } = openReader(log);
    await expect.poll(() => lines, { timeout: timeoutMs }).toContain('log.unreadable');
    log.append(1, 1);
    await until(1, 1);
    expect(collector.records(0)).toEqual([]);
    broken[broken.length - 2]! ^= 1;
    await until(0, 3);
    expect(collector.records(0)).toHaveLength(3);
    expect(lines.filter((event) => event === 'log.unreadable')).toHaveLength(1);
  });

  test('a close does not wait for a broker that does not answer', async () => {
    const log = new PlayedLog([1]);
    const { reader, kafka } = openReader(log);
    kafka.connect = () => new Promise(() => undefined);
    log.lost.add(1);
    await expect.poll(() => kafka.counts.clients, { timeout: timeoutMs }).toBeGreaterThan(1);
    const began = performance.now();
    await reader.close(300);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(kafka.counts.cuts).toBe(kafka.counts.clients);
  });
});

describe('another log', () => {
  test('the landmark is looked for over every connection, before anything is delivered over it', async () => {
    const log = new PlayedLog([1, 2]);
    log.append(0, 6);
    log.append(1, 1);
    const shown: number[] = [];
    const landmark = landmarkAt(2, (record) => {
      shown.push(record.offset);
      return record.offset === 4 ? text(record.value) === 'v' : undefined;
    });
    const { collector, until } = openReader(log, { landmark });
    await Promise.all([until(0, 6), until(1, 1)]);
    expect(shown).toEqual([2, 3, 4]);
    // Made anew, with as many records: only the landmark's value shows it.
    log.batches[0]![4] = { last: 4, bytes: batchBytes({ records: [{ offset: 4, value: Buffer.from('w') }] }) };
    log.troubles.set(1, () => ({ error: unknownTopic }));
    log.append(0, 1);
    await collector.until(() => collector.error !== undefined, 'the end', timeoutMs);
    expect(collector.error).toMatchObject({ code: 'log-changed' });
    expect(collector.endings).toBe(1);
  });

  test('an end before the position that is told for a moment costs nothing; one that stays is another log', async () => {
    const log = new PlayedLog([1]);
    log.append(0, 5);
    const landmark = landmarkAt(0, () => true);
    const { collector, kafka, until } = openReader(log, { landmark });
    await until(0, 5);
    log.ends[0] = 3;
    const before = kafka.counts.clients;
    await expect.poll(() => kafka.counts.clients, { timeout: timeoutMs }).toBeGreaterThan(before);
    log.ends[0] = 5;
    log.append(0, 1);
    await until(0, 6);
    expect(collector.error).toBeUndefined();
    log.ends[0] = 3;
    await collector.until(() => collector.error !== undefined, 'the end', timeoutMs);
    expect(collector.error).toMatchObject({ code: 'log-changed' });
    expect(collector.violations).toEqual([]);
  });

  test('a landmark that is nowhere is believed to be lost when it was not found again and again', async () => {
    const log = new PlayedLog([1]);
    log.append(0, 5);
    const { collector, kafka } = openReader(log, { landmark: landmarkAt(0, () => undefined) });
    await collector.until(() => collector.error !== undefined, 'the end', timeoutMs);
    expect(collector.error).toMatchObject({ code: 'log-changed' });
    expect(collector.batches).toEqual([]);
    expect(kafka.counts.clients).toBe(3);
  });
});

test('the progress is told to the group that has no members', async () => {
  const log = new PlayedLog([1, 1]);
  log.append(0, 2);
  const { reader, kafka, until } = openReader(log);
  await until(0, 2);
  reader.progress([o(2), o(0)]);
  await expect
    .poll(() => kafka.committed.get('group'), { timeout: timeoutMs })
    .toMatchObject([
      {
        topic: 't',
        partitions: [
          { partition: 0, offset: '2' },
          { partition: 1, offset: '0' },
        ],
      },
    ]);
});
