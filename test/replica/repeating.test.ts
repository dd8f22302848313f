/** The same request sent again with its idempotency key, to whichever node: it gets the first one's answer. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import type { WriteOptions } from '../../src/ports.ts';
import { by, put } from '../core/records.ts';
import { gate } from './gate.ts';
import { codeFrom, openWorld, partitionIn, readyNode, remove, type TestNode, untilApplied, type World, write } from './node.ts';

const again = (world: World, node: TestNode, options: WriteOptions) =>
  world.clock.outcome(node.replica.put('k', bytesOf('mine'), { idempotencyKey: 'r', ...options }));

test('a node that is behind, where the condition does not hold yet, tells that it was written', async () => {
  const world = openWorld();
  const { behind, shut, open } = gate();
  const [first, late] = [await readyNode(world), await readyNode(world, { name: 'n2:8082', changed: behind })];
  await write(world, first, 'k', 'older');
  await untilApplied(world, first, late);
  shut();
  const { position } = await write(world, first, 'k', 'old');
  const written = await again(world, first, { condition: position });
  const repeated = late.replica.put('k', bytesOf('mine'), { idempotencyKey: 'r', condition: position });
  await world.clock.advance(100);
  open();
  expect(await world.clock.outcome(repeated)).toEqual(written);
});

test('what was refused stays refused, though the condition holds meanwhile', async () => {
  const world = openWorld();
  const [one, other] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  const { position } = await write(world, one, 'k', 'in the way');
  await expect(again(world, one, { condition: 'absent' })).rejects.toMatchObject({ code: 'version-conflict', current: position });
  await remove(world, one, 'k');
  await expect(again(world, other, { condition: 'absent' })).rejects.toMatchObject({ code: 'version-conflict', current: position });
});

test('a partition that remembers as many requests as it may takes new ones when the old ones no longer count', async () => {
  const world = openWorld({ partitions: 1 });
  const node = await readyNode(world);
  for (let i = 0; i < 100_000; i++)
    world.topic.inject(partitionIn(world, 'k'), put(`k${i % 10}`, 'v', by(0, ''), { idempotencyKey: `r${i}` }));
  await untilApplied(world, node);
  expect(await codeFrom(world, again(world, node, {}))).toBe('overloaded');
  await world.clock.advance(2 * 3_600_000);
  expect(await codeFrom(world, again(world, node, {}))).toBe('overloaded');
  await world.clock.advance(1_000);
  expect(await codeFrom(world, again(world, node, {}))).toBe('none');
  expect(node.disk().answers.get(partitionIn(world, 'k'))?.size).toBe(1);
});

test('a node that stays behind writes nothing when it cannot tell whether the condition fails', async () => {
  const world = openWorld();
  const { behind, shut, open } = gate();
  const [first, late] = [await readyNode(world), await readyNode(world, { name: 'n2:8082', changed: behind })];
  await untilApplied(world, first, late);
  shut();
  expect(await codeFrom(world, late.replica.put('k', bytesOf('mine'), { condition: 'present' }))).toBe('position-not-reached');
  open();
  await untilApplied(world, first, late);
  expect(first.disk().entries.has('k')).toBe(false);
});
