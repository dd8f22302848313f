/** When a partition stands still, or its end contradicts what was read: the watchdog of a subscription. */
import { afterEach, expect, test } from 'vitest';
import type { LogBatch, LogRecord, Millis, Offset, PartitionBounds } from '../../src/ports.ts';
import { Lane } from '../../storage/log/kafka/lane.ts';
import { TopicClue } from '../../storage/log/kafka/topic-clue.ts';
import { Verdicts } from '../../storage/log/kafka/verdicts.ts';
import { Watchdog } from '../../storage/log/kafka/watchdog.ts';
import { o, p } from '../contract/log-harness.ts';
import { silentLogger } from '../contract/silent-logger.ts';

const timeoutMs = 20_000;
let watchdog: Watchdog | undefined;
afterEach(() => watchdog?.end());

function watch(lanes: readonly Lane[], ends: () => readonly number[], clue = new TopicClue(), firstSince?: readonly number[]) {
  const told = { suspected: [] as string[], changed: [] as string[], stalled: [] as string[], looks: 0 };
  watchdog = new Watchdog({
    ...{ lanes, clue, verdicts: new Verdicts(), logger: silentLogger },
    bounds: async () => ends().map((next) => ({ first: 0, next }) as PartitionBounds),
    firstSince: firstSince === undefined ? undefined : async () => firstSince as readonly Offset[],
    reading: () => true,
    suspected: (why) => void told.suspected.push(why),
    changed: (why) => void told.changed.push(why),
    stalled: (why) => void told.stalled.push(why),
    looked: () => void told.looks++,
  });
  return told;
}

const lane = (partition: number, from: number, hand: (batch: LogBatch) => Promise<void> = async () => undefined) =>
  new Lane(p(partition), o(from), hand);
const longAgo = () => performance.now() - 60_000;

test('a partition that stands still before its end is told; one at its end, or whose subscriber is busy, is not', async () => {
  const lanes = [lane(0, 5), lane(1, 5), lane(2, 5, () => new Promise(() => undefined))];
  const batch = { partition: p(2), first: o(5), next: o(6), end: o(9), jumped: false, records: [] };
  lanes[2]?.take(batch);
  for (const each of lanes) each.moved = longAgo();
  const told = watch(lanes, () => [9, 5, 9]);
  await expect.poll(() => told.looks, { timeout: timeoutMs }).toBeGreaterThan(1);
  // Once: what is made anew has its time.
  expect(told.stalled).toEqual(['nothing comes of partition 0 from 5 on']);
});

test('an end before what was read is a suspicion at once, and believed at the third time in a row', async () => {
  let end = 4;
  const told = watch([lane(0, 5)], () => [end]);
  await expect.poll(() => told.suspected.length, { timeout: timeoutMs }).toBeGreaterThan(0);
  expect(told.changed).toEqual([]);
  end = 5;
  const looks = told.looks;
  await expect.poll(() => told.looks, { timeout: timeoutMs }).toBeGreaterThan(looks + 1);
  const before = told.suspected.length;
  end = 4;
  await expect.poll(() => told.changed.length, { timeout: timeoutMs }).toBeGreaterThan(0);
  expect(told.suspected.length - before).toBeGreaterThan(1);
});

test('a topic that begins anew after what was read is suspected', async () => {
  const clue = new TopicClue();
  const record = (offset: number, time: number) => ({ offset, time: time as Millis }) as LogRecord;
  clue.heard(p(0), [record(10, 1_000), record(11, 2_000)]);
  const told = watch([lane(0, 12)], () => [12], clue, [0]);
  await expect.poll(() => told.suspected, { timeout: timeoutMs }).toEqual(['the topic may be another one']);
  expect(clue.since).toBeUndefined();
});
