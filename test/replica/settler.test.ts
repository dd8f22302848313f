/** The settler alone, on a log that takes everything: how many keys it keeps, and how often it asks. */
import { expect, test } from 'vitest';
import { textOf } from '../../src/core/bytes.ts';
import type { Entry, Log, NewRecord, Store } from '../../src/ports.ts';
import { Settler } from '../../src/replica/settler.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { by } from '../core/records.ts';
import { TestClock } from './test-clock.ts';

function settler(keys: readonly string[], doubtful = false) {
  const clock = new TestClock();
  const unsettled = new Set(keys);
  const appended: string[] = [];
  const settling: Settler = new Settler({
    store: {
      get: async () => ({ version: 0, newest: 1, settled: false, deleted: true, id: '', by: '', time: 0 }) as unknown as Entry,
      unsettled: async () => [...unsettled],
    } as unknown as Store,
    log: {
      identity: { partitions: 1 },
      append: async (_: number, record: NewRecord) => {
        const key = textOf(record.key) as string;
        appended.push(key);
        if (doubtful) return;
        unsettled.delete(key);
        queueMicrotask(() => settling.applied([key], new Map(), () => false));
      },
    } as unknown as Log,
    ...{ clock, logger: silentLogger, author: () => by(1), applied: () => [2], logTime: () => 0, mayState: () => true },
    isDoubtful: () => doubtful,
  } as never);
  settling.remember(keys);
  return { clock, appended, settling, unsettled };
}

test('more unsettled keys than it keeps are settled all the same', async () => {
  const { clock, settling, unsettled } = settler(Array.from({ length: 100_050 }, (_, i) => `k${i}`));
  expect(settling.waiting).toBe(100_000);
  await clock.until('all are settled', () => unsettled.size === 0);
  expect(settling.waiting).toBe(0);
  settling.stop();
}, 30_000);

test('it asks less and less often where nobody answers', async () => {
  const { clock, appended, settling } = settler(['k'], true);
  await clock.advance(60_000);
  expect(appended.length).toBe(4);
  await clock.advance(600_000);
  expect(appended.length).toBeLessThan(12);
  settling.stop();
});
