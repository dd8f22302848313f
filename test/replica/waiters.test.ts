/** Waiting for a position. */
import { expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Offset, Partition, Position } from '../../src/ports.ts';
import { Waiters } from '../../src/replica/waiters.ts';
import { TestClock } from './test-clock.ts';

const partition = 0 as Partition;
const place = (offset: number, at = partition): Position => ({ partition: at, offset: offset as Offset });
/** For ever, unless called off. */
const patient = () => () => undefined;

test('those are told whose position is applied, and only those; another partition does not count', async () => {
  const waiters = new Waiters(() => 0 as Offset);
  const ended: number[] = [];
  for (const offset of [3, 5]) void waiters.wait(place(offset), patient).then((reached) => ended.push(reached ? offset : -1));
  waiters.applied(1 as Partition, 100 as Offset);
  waiters.applied(partition, 3 as Offset);
  await Promise.resolve();
  expect(ended).toEqual([]);
  waiters.applied(partition, 4 as Offset);
  await Promise.resolve();
  expect(ended).toEqual([3]);
  expect(waiters.count).toBe(1);
  waiters.applied(partition, 9 as Offset);
  await Promise.resolve();
  expect(ended).toEqual([3, 5]);
  expect(waiters.count).toBe(0);
});

test('who asks for what is applied already does not wait', async () => {
  const waiters = new Waiters(() => 4 as Offset);
  expect(await waiters.wait(place(3), patient)).toBe(true);
  expect(waiters.count).toBe(0);
});

test('patience ends, and so does a node', async () => {
  const clock = new TestClock();
  const waiters = new Waiters(() => 0 as Offset);
  const short = waiters.wait(place(3), (giveUp) => clock.after(10, giveUp));
  const long = waiters.wait(place(3), patient);
  await clock.advance(10);
  expect(await short).toBe(false);
  waiters.release();
  expect(await long).toBe(false);
  expect(waiters.count).toBe(0);
});

test('more than the bound are refused, not kept', async () => {
  const waiters = new Waiters(() => 0 as Offset);
  const kept = Array.from({ length: 20_000 }, () => waiters.wait(place(1), patient));
  await expect(waiters.wait(place(1), patient).catch((error: unknown) => Promise.reject(codeOf(error)))).rejects.toBe('overloaded');
  waiters.applied(partition, 2 as Offset);
  expect((await Promise.all(kept)).every((reached) => reached)).toBe(true);
});
