/** Nodes that hold the same come to the same digest at the same place, however busy the log is; one that does not is told apart. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { putRecord } from '../../src/core/record.ts';
import type { Verification } from '../../src/ports.ts';
import { by } from '../core/records.ts';
import {
  codeFrom,
  openWorld,
  partitionIn,
  reads,
  readyNode,
  remove,
  startNode,
  type TestNode,
  untilApplied,
  untilReady,
  type World,
  write,
} from './node.ts';

async function verified(world: World, node: TestNode, ...nodes: TestNode[]): Promise<(string | undefined)[][]> {
  const { run, positions }: Verification = await world.clock.outcome(node.replica.verify());
  expect(positions.map(({ partition }) => partition)).toEqual(world.topic.bounds.map((_, partition) => partition));
  await untilApplied(world, node, ...nodes);
  await world.clock.until('all have taken their digests', () =>
    [node, ...nodes].every(({ replica }) => replica.digests(run).length === positions.length),
  );
  return [node, ...nodes].map(({ replica }) => {
    const digests = replica.digests(run);
    expect(digests.map(({ position }) => position)).toEqual(positions);
    return digests.map(({ digest }) => digest && `${digest.entries} ${digest.hash}`);
  });
}

test('nodes that hold the same agree: after writes, deletes, conditions, a restart, and on a fresh store', async () => {
  const world = openWorld();
  const [one, two] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  for (let i = 0; i < 20; i++) await write(world, one, `k${i}`, `${i}`);
  await remove(world, two, 'k3');
  await world.clock.outcome(one.replica.put('k4', bytesOf('conditional'), { condition: 'present' }));
  const [first, second] = await verified(world, one, two);
  expect(first).toEqual(second);
  expect(first?.every((digest) => digest !== undefined)).toBe(true);
  await world.clock.outcome(two.replica.close());
  await write(world, one, 'k5', 'later');
  const back = await readyNode(world, { name: 'n2:8082', disk: two.disk() });
  const fresh = await readyNode(world, { name: 'n3:8082' });
  await world.clock.advance(10_000);
  const all = await verified(world, one, back, fresh);
  expect(all[1]).toEqual(all[0]);
  expect(all[2]).toEqual(all[0]);
  expect(all[0]).not.toEqual(first);
});

test('while the log is busy: marks in the midst of batches are all taken of the same state', async () => {
  const world = openWorld({ partitions: 1 });
  const [one, two] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  two.logs[0]?.disconnect();
  const partition = partitionIn(world, 'k');
  for (let i = 1; i <= 300; i++) world.topic.inject(partition, putRecord(bytesOf(`k${i % 7}`), bytesOf(`${i}`), by(i, 'x/1')));
  const { run, positions } = await world.clock.outcome(one.replica.verify());
  for (let i = 301; i <= 600; i++) world.topic.inject(partition, putRecord(bytesOf(`k${i % 7}`), bytesOf(`${i}`), by(i, 'x/1')));
  // One had some of it before, the other has all of it at once, the mark in the midst.
  two.logs[0]?.reconnect();
  await untilApplied(world, one, two);
  await world.clock.advance(100);
  const [ones, twos] = [one.replica.digests(run), two.replica.digests(run)];
  expect(ones).toHaveLength(1);
  expect(ones[0]?.position).toEqual(positions[0]);
  expect(ones[0]?.digest?.entries).toBe(7);
  if (twos[0]?.digest !== undefined) expect(twos).toEqual(ones);
  expect(twos[0]?.position).toEqual(positions[0]);
  expect(await reads(world, two, 'k1')).toBe('596');
});

test('a node whose disk has lost or changed a value comes to another digest, and agrees again after a resync', async () => {
  const world = openWorld({ partitions: 1 });
  const [one, two] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  for (let i = 0; i < 5; i++) await write(world, one, `k${i}`, `${i}`);
  await untilApplied(world, two);
  const held = two.disk().entries.get('k2');
  if (held !== undefined) two.disk().entries.set('k2', { ...held, entry: { ...held.entry, value: bytesOf('wrong') } });
  const [ones, twos] = await verified(world, one, two);
  expect(twos).not.toEqual(ones);
  two.replica.resync();
  await world.clock.until('it is not ready', () => !two.replica.status.ready);
  await untilReady(world, two);
  expect(two.aside).toEqual(['an operator has asked for it']);
  const again = await verified(world, one, two);
  expect(again[1]).toEqual(again[0]);
  expect(await reads(world, two, 'k2')).toBe('2');
});

test('a node that is not at the end, or without a log, begins none', async () => {
  const world = openWorld();
  const openLog = () => new Promise<never>(() => undefined);
  const node = await startNode(world, { openLog });
  expect(await codeFrom(world, node.replica.verify())).toBe('log-unavailable');
  expect(() => node.replica.resync()).toThrow(expect.objectContaining({ code: 'log-unavailable' }));
  expect(node.replica.digests('unheard of')).toEqual([]);
});
