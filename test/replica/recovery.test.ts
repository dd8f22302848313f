/** Bad days: the log or the local database is lost, changed or broken, and the node comes back by itself. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import type { Partition } from '../../src/ports.ts';
import { put } from '../core/records.ts';
import { codeFrom, holds, openWorld, partitionIn, readyNode, remove, startNode, untilApplied, untilReady, write } from './node.ts';

test('a node that is started again on its disk reads only what is new', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  for (let i = 0; i < 40; i++) await write(world, first, `k${i}`, `${i}`);
  await untilApplied(world, first);
  await world.clock.outcome(first.replica.close());
  for (let i = 0; i < 3; i++) world.topic.inject(partitionIn(world, `k${i}`), put(`k${i}`, 'new'));
  const second = await readyNode(world, { disk: first.disk() });
  expect(second.replica.status.recordsApplied).toBe(3);
  expect(await holds(second, 'k0')).toBe('new');
  expect(await holds(second, 'k39')).toBe('39');
  expect(second.aside).toEqual([]);
});

test.each(['same-cluster', 'other-cluster'] as const)('a log made anew under the same name (%s): rebuilt, loudly', async (where) => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'old', 'v');
  const genesis = node.replica.status.genesis;
  world.topic.recreate(where);
  for (let i = 0; i < 20; i++) for (const key of ['a', 'b']) world.topic.inject(partitionIn(world, key), put(key, `${i}`));
  await world.clock.until('it is rebuilt', () => node.aside.length > 0);
  await untilReady(world, node);
  await untilApplied(world, node);
  expect(node.aside).toHaveLength(1);
  expect(node.lastCopies).toEqual([true]);
  expect(await holds(node, 'old')).toBeUndefined();
  expect(await holds(node, 'a')).toBe('19');
  expect(node.replica.status.genesis).not.toBe(genesis);
});

test('a log made anew while the node was down is noticed when it comes back', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  await write(world, first, 'old', 'v');
  await world.clock.outcome(first.replica.close());
  world.topic.recreate('other-cluster');
  const second = await readyNode(world, { disk: first.disk() });
  expect(second.aside).toHaveLength(1);
  expect(second.aside[0]).toContain('cluster');
  expect(second.lastCopies).toEqual([true]);
  expect(await holds(second, 'old')).toBeUndefined();
});

test('of a log that is gone a store without keys of users is no loss, one with a deleted key may be', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await world.clock.until('the log has its identity', () => node.replica.status.genesis !== undefined);
  await untilApplied(world, node);
  world.topic.recreate('other-cluster');
  await world.clock.until('it is rebuilt', () => node.aside.length === 1);
  await untilReady(world, node);
  await write(world, node, 'k', 'v');
  await remove(world, node, 'k');
  await untilApplied(world, node);
  world.topic.recreate('other-cluster');
  await world.clock.until('it is rebuilt again', () => node.aside.length === 2);
  expect(node.lastCopies).toEqual([false, true]);
});

test('the status can be asked at any moment of a rebuild', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'k', 'v');
  const failures: unknown[] = [];
  let looks = 0;
  let watching = true;
  const look = () => {
    try {
      expect(node.replica.status.lagMs).toBeGreaterThanOrEqual(0);
      node.replica.peek('k');
      looks++;
    } catch (error) {
      failures.push(error);
    }
    if (watching) setImmediate(look);
  };
  look();
  for (const code of ['store-failed', 'store-damaged'] as const) {
    node.faults.write = code;
    world.topic.inject(0 as Partition, put('x', 'y'));
    world.topic.inject(1 as Partition, put('x', 'y'));
    await world.clock.advance(2_000);
    await untilReady(world, node);
  }
  watching = false;
  expect(failures).toEqual([]);
  expect(looks).toBeGreaterThan(10);
  expect(node.aside).toHaveLength(1);
});

test('a write whose fate is not known is reported as unknown, and may be there', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  world.topic.hold('after');
  const written = node.replica.put('k', bytesOf('v'));
  await world.clock.advance(10);
  world.topic.release('unknown');
  expect(await codeFrom(world, written)).toBe('unknown-outcome');
  expect(await holds(node, 'k')).toBe('v');
  world.topic.hold('before');
  const held = node.replica.put('held', bytesOf('v'));
  expect(await codeFrom(world, held)).toBe('unknown-outcome');
  expect(await holds(node, 'held')).toBeUndefined();
  world.topic.release();
  await world.clock.until('it came late', () => node.replica.peek('held') !== undefined);
});

test('a caller’s signal ends his wait and not the write', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const over = AbortSignal.abort();
  expect(await codeFrom(world, node.replica.put('k', bytesOf('v'), { signal: over }))).toBe('log-unavailable');
  world.topic.hold('before');
  const stop = new AbortController();
  const written = node.replica.put('k', bytesOf('v'), { signal: stop.signal });
  await world.clock.advance(10);
  stop.abort();
  expect(await codeFrom(world, written)).toBe('unknown-outcome');
  world.topic.release();
  await world.clock.until('it is there', () => node.replica.peek('k') !== undefined);
});

test.each(['store-failed', 'store-damaged'] as const)(
  'the store fails once with %s on a quiet log: nothing acknowledged is lost',
  async (code) => {
    const world = openWorld();
    const node = await readyNode(world);
    for (let i = 0; i < 10; i++) await write(world, node, `k${i}`, `${i}`);
    await remove(world, node, 'k3');
    // Nothing comes after the batch that fails, not even a statement: nobody else would tell of the failure.
    await world.clock.advance(10_000);
    node.faults.write = code;
    await write(world, node, 'k4', 'new');
    await world.clock.until('the failure was met', () => node.faults.write === undefined);
    await untilApplied(world, node);
    await untilReady(world, node);
    expect(node.aside).toHaveLength(code === 'store-damaged' ? 1 : 0);
    const values = await Promise.all(Array.from({ length: 10 }, (_, i) => holds(node, `k${i}`)));
    expect(values).toEqual(['0', '1', '2', undefined, 'new', '5', '6', '7', '8', '9']);
    expect(node.replica.status.entries).toBe(node.disk().entries.size);
    expect(node.fatal).toEqual([]);
  },
);

test('damage that a read finds is mended, too', async () => {
  const world = openWorld();
  const node = await readyNode(world, { cacheBytes: 0 });
  await write(world, node, 'k', 'v');
  node.faults.read = 'store-damaged';
  expect(await codeFrom(world, node.replica.readLocal('k'))).toBe('store-damaged');
  await world.clock.until('it is set aside', () => node.aside.length === 1);
  await untilReady(world, node);
  await untilApplied(world, node);
  expect(await holds(node, 'k')).toBe('v');
});

test('damage that nobody reads is found a minute after catching up, and mended', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'k', 'v');
  node.faults.verify = 'partition 0 has fewer entries than it should';
  await world.clock.until('it is set aside', () => node.aside.length === 1);
  expect(node.aside[0]).toContain('fewer entries');
  await untilReady(world, node);
  await untilApplied(world, node);
  expect(await holds(node, 'k')).toBe('v');
});

test('what cannot be understood is counted, listed, and passed over', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const partition = partitionIn(world, 'k');
  const strange = world.topic.inject(partition, { ...put('k', 'x'), headers: { op: bytesOf('?') } });
  const keyless = world.topic.inject(partition, { key: null, value: bytesOf('x') });
  const misplaced = world.topic.inject((1 - partition) as Partition, put('k', 'x'));
  world.topic.inject(partition, put('k', 'v'));
  await untilApplied(world, node);
  expect(node.replica.skipped).toEqual(
    expect.arrayContaining([
      { position: strange, key: 'k', reason: 'unknown-operation' },
      { position: keyless, key: '', reason: 'key-missing' },
      { position: misplaced, key: 'k', reason: 'wrong-partition' },
    ]),
  );
  expect(node.metered.toSorted()).toEqual(['key-missing', 'unknown-operation', 'wrong-partition']);
  expect(await holds(node, 'k')).toBe('v');
});

test('a node that was away longer than the log keeps tombstones does not trust what it holds', async () => {
  const world = openWorld({ compactionLagMs: 1_000, deleteRetentionMs: 100_000 });
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  await world.clock.outcome(first.replica.close());
  const partition = partitionIn(world, 'k');
  world.topic.inject(partition, { key: bytesOf('k'), value: null });
  await world.clock.advance(10_000);
  world.topic.compact();
  await world.clock.advance(200_000);
  world.topic.compact();
  world.topic.inject(partition, put('k2', 'v'));
  const second = await readyNode(world, { disk: first.disk() });
  expect(await holds(second, 'k')).toBeUndefined();
  // The log is its own, and holds what the store held.
  expect([second.aside.length, second.lastCopies]).toEqual([1, [false]]);
});

test('a node that was away for long, and whose log was made anew meanwhile, keeps what it has', async () => {
  const world = openWorld({ deleteRetentionMs: 100_000 });
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  await world.clock.until('the log has its identity', () => first.replica.status.genesis !== undefined);
  await untilApplied(world, first);
  await world.clock.outcome(first.replica.close());
  await world.clock.advance(200_000);
  world.topic.recreate('same-cluster');
  // Longer than the old one: by its ends it may be that one.
  for (let i = 0; i < 50; i++) for (const key of ['k', 'k2']) world.topic.inject(partitionIn(world, key), put(key, `${i}`));
  const second = await readyNode(world, { disk: first.disk() });
  expect([second.aside.length, second.lastCopies]).toEqual([1, [true]]);
  expect(second.aside[0]).toContain('was last followed longer ago');
});

test('a state that is made anew because somebody asks is kept for good where the log may be another one', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'k', 'v');
  await world.clock.until('the log has its identity', () => node.replica.status.genesis !== undefined);
  await untilApplied(world, node);
  await node.replica.resync();
  await world.clock.until('it is set aside', () => node.aside.length === 1);
  await untilReady(world, node);
  await untilApplied(world, node);
  node.logs.at(-1)?.disconnect();
  await node.replica.resync();
  await world.clock.until('it is set aside again', () => node.aside.length === 2);
  expect(node.lastCopies).toEqual([false, true]);
});

test('a quiet log is no long absence', async () => {
  const world = openWorld({ deleteRetentionMs: 100_000 });
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  await untilApplied(world, first);
  await world.clock.outcome(first.replica.close());
  await world.clock.advance(1_000_000);
  const second = await readyNode(world, { disk: first.disk() });
  expect(second.aside).toEqual([]);
});

test('a topic made anew with another number of partitions is another log', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  await world.clock.outcome(first.replica.close());
  const other = openWorld({ clock: world.clock, partitions: 3 });
  Object.defineProperty(other.topic, 'identity', { value: { ...world.topic.identity, partitions: 3 } });
  const writer = await readyNode({ ...other, clock: world.clock }, { name: 'n2:8082' });
  for (let i = 0; i < 20; i++) await write(world, writer, `new-${i}`, 'v');
  const node = await readyNode({ ...other, clock: world.clock }, { disk: first.disk() });
  expect(node.aside).toHaveLength(1);
  expect(node.aside[0]).toContain('3 partitions');
  expect(node.lastCopies).toEqual([true]);
  await untilApplied({ ...other, clock: world.clock }, node);
  expect(await holds(node, 'new-0')).toBe('v');
});

test('a topic that cannot be used ends the node, saying why', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  await world.clock.outcome(first.replica.close());
  Object.defineProperty(world.topic, 'identity', { value: { ...world.topic.identity, partitions: 3 } });
  const node = await startNode(world, { disk: first.disk() });
  await world.clock.until('it says so', () => node.fatal.length > 0);
  expect(node.fatal[0]).toMatchObject({ code: 'topic-unusable' });
  expect(node.fatal[0]?.message).toContain('3 partitions');
});
