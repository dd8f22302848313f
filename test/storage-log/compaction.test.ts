/** Compaction against a model of Kafka's rules: the memory and the embedded log must leave exactly what the model leaves. */
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogRecord } from '../../src/ports.ts';
import { openLevel } from '../../storage/level.ts';
import { openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { newRecord, p, readAll, text } from '../contract/log-harness.ts';
import { realChance } from '../contract/log-memory-harness.ts';
import { freshDirectory, openIn, turnedClock } from './setting.ts';

const lagMs = 100;
const retentionMs = 1_000;

type Step =
  | { kind: 'append'; key: string; value: string | null }
  | { kind: 'turn'; byMs: number }
  | { kind: 'compact' }
  | { kind: 'reopen' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('append'), key: fc.constantFrom('a', 'b', 'c'), value: fc.constantFrom('x', 'y', null) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn'), byMs: fc.integer({ min: -50, max: 700 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
) as fc.Arbitrary<Step>;

interface ModelRecord {
  readonly offset: number;
  readonly time: number;
  readonly key: string;
  readonly value: string | null;
  due: number | undefined;
}

/** The rules, said as plainly as possible. */
class Model {
  records: ModelRecord[] = [];
  next = 0;
  #time = 0;

  append(key: string, value: string | null, now: number): void {
    this.#time = Math.max(this.#time, now);
    this.records.push({ offset: this.next++, time: this.#time, key, value, due: undefined });
  }

  compact(now: number): void {
    const old = this.records.filter((record) => record.time <= now - lagMs);
    const superseded = (record: ModelRecord) => old.some((other) => other.key === record.key && other.offset > record.offset);
    this.records = this.records.filter((record) => !(old.includes(record) && superseded(record)));
    for (const record of old) if (record.value === null) record.due ??= now + retentionMs;
    this.records = this.records.filter((record) => record.due === undefined || now < record.due);
  }
}

const shape = (records: readonly LogRecord[]) =>
  records.map(({ offset, time, key, value }) => [offset, time, text(key), value && text(value)]);

test('what compaction leaves is what the rules leave, in any order of appends, times, compactions and restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const clock = turnedClock();
      const model = new Model();
      const settings = { clock, compactionLagMs: lagMs, deleteRetentionMs: retentionMs, partitions: 2 };
      const topic = openMemoryTopic({ ...settings, chance: realChance });
      const memory = openMemoryLog(topic);
      const directory = await freshDirectory();
      let embedded = await openIn(directory, settings);
      for (const now of steps) {
        if (now.kind === 'turn') clock.turn(now.byMs);
        if (now.kind === 'append') {
          model.append(now.key, now.value, clock.now());
          await memory.append(p(0), newRecord(now.key, now.value));
          await embedded.append(p(0), newRecord(now.key, now.value));
        }
        if (now.kind === 'compact') {
          model.compact(clock.now());
          topic.compact();
          await embedded.compactNow();
        }
        if (now.kind === 'reopen') {
          await embedded.close();
          embedded = await openIn(directory, settings);
        }
      }
      const expected = model.records.map(({ offset, time, key, value }) => [offset, time, key, value]);
      for (const log of [memory, embedded]) {
        const read = await readAll(log, 10_000);
        expect(shape(read.records(0))).toEqual(expected);
        expect(read.next(0)).toBe(model.next);
        expect(read.violations).toEqual([]);
        await log.close();
      }
    }),
    { numRuns: 60 },
  );
});

test('many steps of compaction under appends lose no newest record, and hide no hole', async () => {
  const log = await openIn(await freshDirectory(), {
    compactionLagMs: 0,
    limits: { compactionIntervalMs: 1, compactionRecordsPerSecond: 50_000 },
  });
  const newest = new Map<string, string>();
  for (let round = 0; round < 20; round += 1) {
    const work = Array.from({ length: 100 }, (_, i) => {
      const key = `k${(round * 31 + i * 7) % 150}`;
      newest.set(key, `${round}-${i}`);
      return log.append(p(0), newRecord(key, `${round}-${i}`));
    });
    await Promise.all(work);
    expect((await readAll(log, 10_000)).violations).toEqual([]);
  }
  await log.compactNow();
  const read = await readAll(log, 10_000);
  expect(new Map(read.records(0).map((record) => [text(record.key), text(record.value)]))).toEqual(newest);
  expect(read.records(0)).toHaveLength(newest.size);
});

test('a key that was written again after its tombstone is compacted on, and a swept key leaves no row behind', async () => {
  const clock = turnedClock();
  const directory = await freshDirectory();
  const log = await openIn(directory, { clock, compactionLagMs: 0, deleteRetentionMs: retentionMs });
  const write = async (key: string, value: string | null) => {
    await log.append(p(0), newRecord(key, value));
    await log.compactNow();
  };
  await write('swept', null);
  await write('again', null);
  await write('again', 'x');
  clock.turn(2 * retentionMs);
  await write('again', 'y');
  await write('again', 'z');
  expect(shape((await readAll(log, 10_000)).records(0)).map(([offset, , key, value]) => [offset, key, value])).toEqual([[4, 'again', 'z']]);
  await log.close();
  const level = await openLevel(join(directory, 'level'), { create: false });
  const tags = (await level.keys().all()).map((key) => String.fromCharCode(key[0] ?? 0));
  await level.close();
  // The newest key's row, one record, and how far compaction and the partition are.
  expect(tags).toEqual(['c', 'i', 'k', 'p', 'r']);
});
