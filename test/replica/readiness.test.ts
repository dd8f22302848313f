/** When a node may say that it is ready. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import type { Log, LogBatch, Millis, Offset, Partition, PartitionBounds } from '../../src/ports.ts';
import { Progress } from '../../src/replica/progress.ts';
import { put } from '../core/records.ts';
import { codeFrom, holds, openWorld, partitionIn, readyNode, startNode, untilApplied, untilReady, write } from './node.ts';
import { TestClock } from './test-clock.ts';

const offsets = (...numbers: number[]): Offset[] => numbers as Offset[];
const bounds = (...ends: number[]): PartitionBounds[] => ends.map((next) => ({ first: 0 as Offset, next: next as Offset }));
const batch = (first: number, next: number, jumped = false): LogBatch => ({
  ...{ partition: 0 as Partition, first: first as Offset, next: next as Offset, end: next as Offset, jumped, records: [] },
});
/** Applies a batch and says what came of it. */
function take(progress: Progress, taken: LogBatch) {
  progress.began(taken);
  return progress.finished(taken.partition, taken.next, taken.records.length);
}

test('a node catches up with what was written before it came, and is ready only then', async () => {
  const world = openWorld();
  for (let i = 0; i < 50; i++) world.topic.inject(partitionIn(world, `k${i}`), put(`k${i}`, `v${i}`));
  world.topic.disconnect();
  const node = await startNode(world);
  await world.clock.advance(10_000);
  expect(node.replica.status).toMatchObject({ ready: false, writable: false });
  world.topic.reconnect();
  await untilReady(world, node);
  expect(await holds(node, 'k49')).toBe('v49');
  expect(node.replica.status).toMatchObject({ state: 'ready', writable: true, progress: 1, lagMs: 0 });
});

test('a node becomes ready while others write without pause', async () => {
  const world = openWorld();
  let written = 0;
  // Whenever the node asks for the ends, there is more in the log than it has applied.
  const busy = (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name !== 'bounds') {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async () => {
          const ends = await target.bounds();
          for (const partition of [0, 1]) world.topic.inject(partition as Partition, put('k', `${written++}`));
          return ends.map(({ first, next }) => ({ first, next: (next + 1) as Offset }));
        };
      },
    });
  const node = await startNode(world, { changed: busy });
  await world.clock.until('it is ready', () => node.replica.status.ready, 5_000);
  await world.clock.advance(60_000);
  expect(node.replica.status).toMatchObject({ ready: true, lagMs: 0 });
});

test('the end that was asked for is enough, though the log has moved on when it is reached', () => {
  const progress = new Progress(new TestClock(), offsets(0), 0);
  expect(progress.answered(bounds(10), progress.asking(), 0)).toBe(false);
  expect(take(progress, batch(0, 9))).toBeUndefined();
  expect(progress.answered(bounds(1_000), progress.asking(), 0)).toBe(false);
  expect(take(progress, batch(9, 12))).toBe('caught-up');
  expect(progress.caughtUp).toBe(true);
});

test('a jump takes readiness back until an end asked for after it is applied', () => {
  const progress = new Progress(new TestClock(), offsets(0), 0);
  progress.answered(bounds(5), progress.asking(), 0);
  expect(take(progress, batch(0, 5))).toBe('caught-up');
  const askedBefore = progress.asking();
  progress.began(batch(5, 9, true));
  expect(progress).toMatchObject({ caughtUp: false, doubt: true });
  expect(progress.finished(0 as Partition, 9 as Offset, 0)).toBe('ask');
  expect(progress.answered(bounds(9), askedBefore, 0)).toBe(false);
  expect(progress.caughtUp).toBe(false);
  expect(progress.answered(bounds(11), progress.asking(), 0)).toBe(false);
  expect(take(progress, batch(9, 10))).toBeUndefined();
  expect(take(progress, batch(10, 11))).toBe('caught-up');
  expect(progress.doubt).toBe(false);
});

test('a node that meets a jump is not ready until it knows a later end', async () => {
  const world = openWorld({ compactionLagMs: 0 });
  const node = await readyNode(world);
  await write(world, node, 'k', 'first');
  world.topic.disconnect();
  for (let i = 0; i < 10; i++) world.topic.inject(partitionIn(world, 'k'), put('k', `${i}`));
  await world.clock.advance(1_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  world.topic.reconnect();
  await untilApplied(world, node);
  await untilReady(world, node);
  expect(await holds(node, 'k')).toBe('9');
});

test('however often a node has to catch up, it asks for the ends about once a second', async () => {
  const world = openWorld({ compactionLagMs: 0 });
  let asked = 0;
  const counting = (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'bounds') asked++;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const node = await readyNode(world, { changed: counting });
  for (let i = 0; i < 10; i++) {
    world.topic.disconnect();
    for (let j = 0; j < 3; j++) world.topic.inject(partitionIn(world, 'k'), put('k', `${j}`));
    await world.clock.advance(10);
    expect(world.topic.compact()).toBeGreaterThan(0);
    world.topic.reconnect();
    await untilApplied(world, node);
    await untilReady(world, node);
  }
  asked = 0;
  await world.clock.advance(10_000);
  expect(asked).toBeLessThanOrEqual(11);
  expect(node.replica.status.ready).toBe(true);
});

test('what a node says of its age does not begin anew with the process', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  await world.clock.outcome(first.replica.close());
  await world.clock.advance(3_600_000);
  world.topic.disconnect();
  const second = await startNode(world, { disk: first.disk() });
  await world.clock.advance(2_000);
  expect(second.replica.status.lagMs).toBeGreaterThan(3_600_000);
  expect(second.replica.status.entries).toBeGreaterThan(0);
  world.topic.reconnect();
  await untilReady(world, second);
  expect(second.replica.status.lagMs).toBe(0 as Millis);
});

test('a node stays ready when the log goes away, says how old its answers are, and takes no writes', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'k', 'v');
  world.topic.disconnect();
  await world.clock.advance(20_000);
  expect(node.replica.status).toMatchObject({ state: 'ready', ready: true, writable: false, log: 'disconnected' });
  expect(node.replica.status.lagMs).toBeGreaterThan(15_000);
  expect(await holds(node, 'k')).toBe('v');
  expect(await codeFrom(world, node.replica.put('k', bytesOf('w')))).toBe('log-unavailable');
  world.topic.reconnect();
  await world.clock.until('it is writable', () => node.replica.status.writable && node.replica.status.lagMs === 0);
  await write(world, node, 'k', 'w');
  expect(await holds(node, 'k')).toBe('w');
});
