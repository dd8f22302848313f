/** The log's contract, chapter four: landmarks, compacted holes, and records of other producers. */
import { describe, expect, test } from 'vitest';
import type { Landmark, Log, LogRecord } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { bytes, collect, fromStart, newRecord, o, p, readAll, text } from './log-harness.ts';

/** Looks for the key `landmark` from an offset on; it is ours if its value is `mine`. Notes what it was shown. */
function landmarkAt(offset: number, shown: LogRecord[] = []): Landmark {
  return {
    partition: p(0),
    offset: o(offset),
    recognise(record) {
      shown.push(record);
      return text(record.key) === 'landmark' ? text(record.value) === 'mine' : undefined;
    },
  };
}

export function placeContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;

  /** Five records, a landmark at 0:5 with the given value, five records. */
  async function withLandmark(log: Log, value: string): Promise<void> {
    for (let i = 0; i < 5; i += 1) await log.append(p(0), newRecord(`a${i}`, 'x'));
    await log.append(p(0), newRecord('landmark', value));
    for (let i = 0; i < 5; i += 1) await log.append(p(i % 3), newRecord(`b${i}`, 'x'));
  }

  async function refused(log: Log, landmark: Landmark): Promise<void> {
    const { collector, subscription } = await collect(log, fromStart(log), landmark);
    await collector.until(() => collector.error !== undefined, 'the end', patience());
    expect(collector.error).toMatchObject({ code: 'log-changed' });
    expect(collector.batches).toEqual([]);
    await subscription.close();
  }

  describe('landmarks', () => {
    test('a landmark that is there lets the subscription begin, at its positions', async () => {
      const log = await stage.log();
      await withLandmark(log, 'mine');
      const shown: LogRecord[] = [];
      const { collector, subscription } = await collect(log, [o(7), o(0), o(0)], landmarkAt(5, shown));
      await collector.until(() => collector.next(0) === 8 && collector.next(1) === 2, 'the end', patience());
      expect(shown.map((record) => record.offset)).toEqual([5]);
      expect(collector.records(0).map((record) => record.offset)).toEqual([7]);
      await subscription.close();
    });

    test('a landmark is found later than where it was expected', async () => {
      const log = await stage.log();
      await withLandmark(log, 'mine');
      const { collector, subscription } = await collect(log, fromStart(log), landmarkAt(2));
      await collector.until(() => collector.next(0) === 8, 'the end', patience());
      expect(collector.values(0)).toHaveLength(8);
      expect(collector.violations).toEqual([]);
      await subscription.close();
    });

    test("another log's landmark in its place ends the subscription before any batch", async () => {
      const log = await stage.log();
      await withLandmark(log, "another's");
      await refused(log, landmarkAt(5));
    });

    test('the first record under its key decides, whatever comes after it', async () => {
      const log = await stage.log();
      await withLandmark(log, "another's");
      await log.append(p(0), newRecord('landmark', 'mine'));
      await refused(log, landmarkAt(2));
    });

    test('a missing landmark ends the subscription before any batch', async () => {
      const log = await stage.log();
      await withLandmark(log, 'mine');
      await refused(log, landmarkAt(6));
    });

    test('a landmark beyond the end ends the subscription before any batch', async () => {
      const log = await stage.log();
      await withLandmark(log, 'mine');
      await refused(log, landmarkAt(60));
    });

    test('a topic recreated under the same name is found out by the landmark', async (context) => {
      const topic = await stage.topic();
      if (topic.recreate === undefined) return context.skip('this topic cannot be recreated');
      const log = await stage.open(topic);
      await withLandmark(log, 'mine');
      await log.close();
      await topic.recreate();
      const another = await stage.open(topic);
      expect((await another.bounds()).every(({ next }) => next === 0)).toBe(true);
      await withLandmark(another, "another's");
      await refused(another, landmarkAt(5));
    });
  });

  describe('holes', () => {
    test('compaction keeps the newest record of each key at its offset, and its holes are told as jumps', async (context) => {
      const topic = await stage.topic({ compacts: true });
      if (topic.compact === undefined) return context.skip('this topic cannot be compacted');
      const log = await stage.open(topic);
      for (let i = 0; i < 20; i += 1) await log.append(p(0), newRecord('a', `a${i}`));
      await log.append(p(0), newRecord('b', 'b'));
      for (let i = 0; i < 20; i += 1) await log.append(p(0), newRecord('c', `c${i}`));
      await log.append(p(0), newRecord('d', 'd'));
      await topic.compact();
      const read = await readAll(log, patience());
      const kept = read.records(0).filter((record) => record.offset < 42);
      expect(kept.map((record) => [record.offset, text(record.value)])).toEqual([
        [19, 'a19'],
        [20, 'b'],
        [40, 'c19'],
        [41, 'd'],
      ]);
      expect(read.batches.find((batch) => batch.partition === 0)).toMatchObject({ first: 0, jumped: true });
      expect(read.violations).toEqual([]);
      expect(log.identity.compactionLagMs).toBe(0);
    });

    test('from within a hole, reading begins at the next record that is left', async (context) => {
      const topic = await stage.topic({ compacts: true });
      if (topic.compact === undefined) return context.skip('this topic cannot be compacted');
      const log = await stage.open(topic);
      for (let i = 0; i < 20; i += 1) await log.append(p(0), newRecord('a', `a${i}`));
      await log.append(p(0), newRecord('b', 'b'));
      await topic.compact();
      const read = await readAll(log, patience(), [o(10), o(0), o(0)]);
      expect(read.batches.find(({ partition }) => partition === 0)).toMatchObject({ first: 10, jumped: true });
      expect(read.records(0)[0]?.offset).toBe(19);
      // Behind the hole, nothing is missing.
      const behind = await readAll(log, patience(), [o(19), o(0), o(0)]);
      expect(behind.batches.find(({ partition }) => partition === 0)).toMatchObject({ first: 19, jumped: false });
    });

    test('appends and a subscription go on across a compaction', async (context) => {
      const topic = await stage.topic({ compacts: true });
      if (topic.compact === undefined) return context.skip('this topic cannot be compacted');
      const log = await stage.open(topic);
      const { collector, subscription } = await collect(log, fromStart(log));
      for (let i = 0; i < 10; i += 1) await log.append(p(0), newRecord('a', `a${i}`));
      await collector.until(() => collector.next(0) >= 10, 'the first ten', patience());
      await topic.compact();
      const last = await log.append(p(0), newRecord('a', 'last'));
      await collector.until(() => collector.next(0) > last.offset, 'the last', patience());
      expect(collector.records(0).slice(0, 10)).toHaveLength(10);
      expect(collector.values(0).at(-1)).toBe('last');
      expect(collector.violations).toEqual([]);
      await subscription.close();
    });
  });

  describe("other producers' records", () => {
    test('come as they are: without key, without headers', async (context) => {
      const topic = await stage.topic();
      if (topic.inject === undefined) return context.skip('nobody else writes to this log');
      const log = await stage.open(topic);
      await log.append(p(0), newRecord('k', 'ours'));
      await topic.inject(p(0), { key: null, value: bytes('theirs') });
      await topic.inject(p(0), { key: bytes('k'), value: null });
      const [, keyless, tombstone] = (await readAll(log, patience())).records(0);
      expect(keyless?.key).toBeNull();
      expect(text(keyless?.value)).toBe('theirs');
      expect(Object.keys(keyless?.headers ?? {})).toEqual([]);
      expect(text(tombstone?.key)).toBe('k');
      expect(tombstone?.value).toBeNull();
    });
  });
}
