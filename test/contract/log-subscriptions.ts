/** The log's contract, chapter three: subscriptions. */
import { describe, expect, test } from 'vitest';
import type { Log, LogBatch } from '../../src/ports.ts';
import type { Stage } from './log.ts';
import { collect, failure, fromStart, newRecord, o, p, readAll } from './log-harness.ts';

export function subscriptionContract(stage: Stage): void {
  const patience = () => stage.harness.timeoutMs;
  const fill = (log: Log, partition: number, count: number, name = 'v') =>
    Promise.all(Array.from({ length: count }, (_, i) => log.append(p(partition), newRecord(`k${i}`, `${name}${i}`))));

  describe('subscriptions', () => {
    test('from the beginning, everything comes in order, and then what is new', async () => {
      const log = await stage.log();
      await fill(log, 0, 30);
      const { collector, subscription } = await collect(log, fromStart(log));
      await collector.until(() => collector.next(0) === 30, '30 records', patience());
      await fill(log, 0, 30, 'w');
      await collector.until(() => collector.next(0) === 60, '60 records', patience());
      expect(collector.values(0)).toEqual([...Array(30).keys()].map((i) => `v${i}`).concat([...Array(30).keys()].map((i) => `w${i}`)));
      expect(collector.batches.every((batch) => !batch.jumped)).toBe(true);
      expect(collector.violations).toEqual([]);
      await subscription.close();
    });

    test('from the middle, nothing before it comes', async () => {
      const log = await stage.log();
      await fill(log, 0, 10);
      await fill(log, 1, 10);
      const read = await readAll(log, patience(), [o(7), o(0), o(0)]);
      expect(read.values(0)).toEqual(['v7', 'v8', 'v9']);
      expect(read.values(1)).toHaveLength(10);
    });

    test('from the end, only what is appended later comes', async () => {
      const log = await stage.log();
      await fill(log, 0, 10);
      const { collector, subscription } = await collect(log, [o(10), o(0), o(0)]);
      await fill(log, 0, 5, 'new');
      await collector.until(() => collector.next(0) === 15, 'the new ones', patience());
      expect(collector.values(0)).toEqual(['new0', 'new1', 'new2', 'new3', 'new4']);
      await subscription.close();
    });

    test('a position beyond the end ends the subscription as log-changed, before any batch', async () => {
      const log = await stage.log();
      await fill(log, 0, 5);
      await fill(log, 1, 5);
      const { collector, subscription } = await collect(log, [o(6), o(0), o(0)]);
      await collector.until(() => collector.error !== undefined, 'the end', patience());
      expect(collector.error).toMatchObject({ code: 'log-changed' });
      expect(collector.batches).toEqual([]);
      await subscription.close();
    });

    test('a slow partition gets one batch at a time and does not hold up the others', async () => {
      const log = await stage.log();
      let release: () => void = () => undefined;
      const slow = new Promise<void>((resolve) => {
        release = resolve;
      });
      const gate = (batch: LogBatch) => (batch.partition === 0 ? slow : undefined);
      const { collector, subscription } = await collect(log, fromStart(log), undefined, gate);
      await fill(log, 0, 5);
      await collector.until(() => collector.next(0) > 0, 'the slow batch', patience());
      await fill(log, 0, 5, 'w');
      await fill(log, 1, 5);
      await fill(log, 2, 5);
      await collector.until(() => collector.next(1) === 5 && collector.next(2) === 5, 'the others', patience());
      expect(collector.batches.filter((batch) => batch.partition === 0)).toHaveLength(1);
      release();
      await collector.until(() => collector.next(0) === 10, 'the rest', patience());
      expect(collector.violations).toEqual([]);
      await subscription.close();
    });

    test("a subscriber's rejection ends the subscription with that error, once", async () => {
      const log = await stage.log();
      const wrong = new Error('cannot store it');
      await fill(log, 0, 5);
      const { collector, subscription } = await collect(log, fromStart(log), undefined, () => Promise.reject(wrong));
      await collector.until(() => collector.error !== undefined, 'the end', patience());
      const seen = collector.batches.length;
      await fill(log, 0, 5);
      await fill(log, 1, 5);
      await subscription.close();
      expect(collector.error).toBe(wrong);
      expect(collector.endings).toBe(1);
      expect(collector.batches).toHaveLength(seen);
      // The log itself is well: another subscription reads on.
      expect((await readAll(log, patience())).next(0)).toBe(10);
    });

    test('close is idempotent, no batch begins afterwards, and a second subscription resumes', async () => {
      const log = await stage.log();
      await fill(log, 0, 5);
      const { collector, subscription } = await collect(log, fromStart(log));
      await collector.until(() => collector.next(0) === 5, 'the first five', patience());
      subscription.progress([o(5), o(0), o(0)]);
      await Promise.all([subscription.close(), subscription.close()]);
      await subscription.close();
      await fill(log, 0, 5, 'w');
      const read = await readAll(log, patience(), [collector.next(0), o(0), o(0)]);
      expect(read.values(0)).toEqual(['w0', 'w1', 'w2', 'w3', 'w4']);
      expect(collector.values(0)).toHaveLength(5);
      expect(collector.endings).toBe(0);
    });

    test('a second subscription beside the first is refused', async () => {
      const log = await stage.log();
      const { subscription } = await collect(log, fromStart(log));
      expect(await failure(collect(log, fromStart(log)))).toBeDefined();
      await subscription.close();
    });

    test('close may be called from within a batch', async () => {
      const log = await stage.log();
      await fill(log, 0, 3);
      const closing: { subscription?: { close(): Promise<void> }; closed?: boolean } = {};
      const { collector, subscription } = await collect(log, fromStart(log), undefined, async () => {
        await collector.until(() => closing.subscription !== undefined, 'the subscription', patience());
        await closing.subscription?.close();
        closing.closed = true;
      });
      closing.subscription = subscription;
      await fill(log, 1, 1);
      await subscription.close();
      await expect.poll(() => closing.closed ?? collector.batches.length === 0, { timeout: patience() }).toBe(true);
    });

    test('bounds say where the log begins and ends', async () => {
      const log = await stage.log();
      const empty = await log.bounds();
      expect(empty).toHaveLength(log.identity.partitions);
      expect(empty.every((bounds) => bounds.first === 0 && bounds.next === 0)).toBe(true);
      await fill(log, 1, 7);
      const bounds = await log.bounds(AbortSignal.timeout(patience()));
      expect(bounds.map(({ next }) => next).slice(0, 3)).toEqual([0, 7, 0]);
      expect(await failure(log.bounds(AbortSignal.abort()))).toBe('log-unavailable');
    });
  });
}
