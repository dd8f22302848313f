/** The log's contract, chapter eight: stretches over holes, beginnings that are gone, and other producers' transactions. */
import { describe, expect, test } from 'vitest';
import type { Log, LogBatch } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { bytes, newRecord, o, p, range, readAll, readStretch, text, valuesOf } from './log-harness.ts';

export function stretchPlaceContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;
  const offsetsOf = (batches: readonly LogBatch[]) => batches.flatMap(({ records }) => records.map(({ offset }) => offset));
  const jumps = (batches: readonly LogBatch[]) => batches.some(({ jumped }) => jumped);

  /** After compaction 19, 20 and 40 are left of the first 41 offsets; commits of one record, and of many. */
  async function withHoles(log: Log): Promise<void> {
    for (let i = 0; i < 20; i += 1) await log.append(p(0), newRecord('a', `a${i}`));
    await log.append(p(0), newRecord('b', 'b'));
    await Promise.all(Array.from({ length: 20 }, (_, i) => log.append(p(0), newRecord('c', `c${i}`))));
  }

  describe('stretches over holes', () => {
    test('holes are jumps wherever a stretch begins or ends: before, within and behind them', async (context) => {
      const topic = await stage.topic({ compacts: true });
      if (topic.compact === undefined) return context.skip('this topic cannot be compacted');
      const log = await stage.open(topic);
      await withHoles(log);
      await topic.compact();
      const kept = [19, 20, 40];
      for (const [from, to, jumped] of [
        [0, 41, true],
        [0, 19, true],
        [5, 12, true],
        [10, 20, true],
        [19, 21, false],
        [19, 20, false],
        [20, 30, true],
        [21, 40, true],
        [30, 39, true],
        [39, 41, true],
        [40, 41, false],
      ] as const) {
        const batches = await readStretch(log, range(0, from, to));
        const what = `${from} to ${to}`;
        expect(offsetsOf(batches), what).toEqual(kept.filter((offset) => offset >= from && offset < to));
        expect(batches.at(-1)?.next, what).toBe(to);
        expect(jumps(batches), what).toBe(jumped);
      }
      const whole = await readStretch(log, range(0, 0, 1_000_000));
      const subscribed = await readAll(log, patience());
      expect(whole.flatMap(({ records }) => records)).toEqual(subscribed.records(0));
      expect(whole.at(-1)?.next).toBe(subscribed.next(0));
    });

    test('a stretch under way goes on across a compaction', async (context) => {
      const topic = await stage.topic({ compacts: true });
      if (topic.compact === undefined) return context.skip('this topic cannot be compacted');
      const log = await stage.open(topic);
      for (let round = 0; round < 2; round += 1) {
        await Promise.all(Array.from({ length: 100 }, (_, i) => log.append(p(0), newRecord(`k${i}`, `${round}-${i}`.padEnd(15_000, 'x')))));
      }
      const reading = log.read(range(0, 0, 200))[Symbol.asyncIterator]();
      const batches: LogBatch[] = [(await reading.next()).value as LogBatch];
      await topic.compact();
      for (let next = await reading.next(); !next.done; next = await reading.next()) batches.push(next.value as LogBatch);
      expect(batches.at(-1)?.next).toBe(200);
      expect(batches.map(({ first }) => first)).toEqual([0, ...batches.slice(0, -1).map(({ next }) => next)]);
      expect(offsetsOf(batches).filter((offset) => offset >= 100)).toEqual(Array.from({ length: 100 }, (_, i) => 100 + i));
    });

    test('what stands before the beginning of the log is a jump', async (context) => {
      const topic = await stage.topic();
      if (topic.truncate === undefined) return context.skip('this log keeps its beginning');
      const log = await stage.open(topic);
      for (let i = 0; i < 20; i += 1) await log.append(p(0), newRecord(`k${i}`, `v${i}`));
      await topic.truncate(p(0), o(12));
      expect((await log.bounds())[0]).toEqual({ first: 12, next: 20 });
      const across = await readStretch(log, range(0, 5, 15));
      expect(valuesOf(across)).toEqual(['v12', 'v13', 'v14']);
      expect(across[0]).toMatchObject({ first: 5, jumped: true });
      expect(across.at(-1)?.next).toBe(15);
      expect(await readStretch(log, range(0, 3, 9))).toMatchObject([{ first: 3, next: 9, jumped: true, records: [] }]);
      expect(await readStretch(log, range(0, 12, 14))).toMatchObject([{ first: 12, next: 14, jumped: false }]);
    });
  });

  describe("stretches over other producers' records", () => {
    test('records come as they are: without key, without headers', async (context) => {
      const topic = await stage.topic();
      if (topic.inject === undefined) return context.skip('nobody else writes to this log');
      const log = await stage.open(topic);
      await topic.inject(p(0), { key: null, value: bytes('theirs') });
      await topic.inject(p(0), { key: bytes('k'), value: null });
      const [keyless, tombstone] = (await readStretch(log, range(0, 0, 2))).flatMap(({ records }) => records);
      expect(keyless?.key).toBeNull();
      expect(text(keyless?.value)).toBe('theirs');
      expect(text(tombstone?.key)).toBe('k');
      expect(tombstone?.value).toBeNull();
    });

    test('transactions are no jump: control records are passed over, and what was aborted is not shown', async (context) => {
      const topic = await stage.topic();
      if (topic.transact === undefined) return context.skip('this log knows no transactions');
      const log = await stage.open(topic);
      await log.append(p(0), newRecord('k', 'first'));
      await topic.transact(p(0), ['c0', 'c1'], 'commit');
      await topic.transact(p(0), ['a0', 'a1'], 'abort');
      await log.append(p(0), newRecord('k', 'last'));
      // 0 first, 1 c0, 2 c1, 3 commit, 4 a0, 5 a1, 6 abort, 7 last
      const subscribed = await readAll(log, patience());
      expect(subscribed.values(0)).toEqual(['first', 'c0', 'c1', 'last']);
      for (const [from, to] of [
        [0, 8],
        [0, 4],
        [1, 3],
        [2, 6],
        [3, 4],
        [4, 6],
        [5, 7],
        [3, 7],
        [6, 8],
        [7, 8],
      ] as const) {
        const batches = await readStretch(log, range(0, from, to));
        const what = `${from} to ${to}`;
        expect(offsetsOf(batches), what).toEqual([0, 1, 2, 7].filter((offset) => offset >= from && offset < to));
        expect(batches.at(-1)?.next, what).toBe(to);
        expect(jumps(batches), what).toBe(false);
      }
    });
  });
}
