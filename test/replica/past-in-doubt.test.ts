/** Watches and histories where this node does not know all, or not yet: nothing is told as if it did. */
import { expect, onTestFinished, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { conditionalPutRecord, putRecord } from '../../src/core/record.ts';
import type { Millis, Offset, WatchOptions } from '../../src/ports.ts';
import { by } from '../core/records.ts';
import { codeFrom, openWorld, partitionIn, reads, readyNode, type TestNode, textOfAnswer, untilApplied, write } from './node.ts';

/** What a watcher is told, as it comes. */
function toldTo(node: TestNode, options: WatchOptions): string[] {
  const told: string[] = [];
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  void (async () => {
    for await (const event of node.replica.watch({ ...options, signal: stop.signal }))
      told.push(event.kind === 'put' ? `${event.key}=${Buffer.from(event.found.value).toString()}` : event.kind);
  })();
  return told;
}

test('a watcher is not led past a write that this node is in doubt about: from what it was told it would miss it on another', async () => {
  const world = openWorld({ compactionLagMs: 5_000, partitions: 1 });
  const partition = partitionIn(world, 'k');
  world.topic.inject(partition, putRecord(bytesOf('k'), bytesOf('old'), by(1, 'x/1')));
  world.topic.inject(partition, conditionalPutRecord(bytesOf('k'), bytesOf('new'), 'present', by(2, 'x/1')));
  await world.clock.advance(10_000);
  world.topic.compact();
  const node = await readyNode(world, { peerReads: 'never' });
  const told = toldTo(node, { prefix: 'k' });
  await world.clock.advance(10);
  expect(told).toEqual(['sync']);
  world.topic.inject(partition, conditionalPutRecord(bytesOf('k'), bytesOf('newer'), 'present', by(3, 'x/1')));
  world.topic.inject(partition, putRecord(bytesOf('k2'), bytesOf('later'), by(4, 'x/1')));
  await world.clock.advance(20_000);
  expect(told).toEqual(['sync', 'reset']);
  world.topic.inject(partition, putRecord(bytesOf('k'), bytesOf('certain'), by(5, 'x/1')));
  await world.clock.advance(1_000);
  expect(told.slice(1)).toEqual(['reset', 'k=certain', 'k2=later', 'sync']);
});

test('no state is told that is older than what the watcher has seen', async () => {
  const world = openWorld({ compactionLagMs: 0 });
  const first = await readyNode(world);
  const { position } = await write(world, first, 'k', '1');
  await write(world, first, 'k', '2');
  await world.clock.advance(5_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  const other = ['a', 'b', 'c', 'd'].find((key) => partitionIn(world, key) !== position.partition) as string;
  const jumped = await readyNode(world, { name: 'n2:8082' });
  const partition = partitionIn(world, other);
  const ahead = { partition, offset: world.topic.bounds[partition]?.next as Offset };
  const told = toldTo(jumped, { prefix: '', from: { genesis: jumped.replica.genesis as string, positions: [ahead] } });
  await world.clock.advance(1_000);
  expect(told).toEqual([]);
  await write(world, first, other, 'seen');
  await untilApplied(world, jumped);
  await world.clock.advance(1_000);
  expect(told).toEqual(['reset', `${other}=seen`, 'k=2', 'sync']);
});

test('a key that never was there has no version, though it is stated that it is not', async () => {
  const world = openWorld({ partitions: 1 });
  const node = await readyNode(world);
  world.topic.inject(partitionIn(world, 'k'), conditionalPutRecord(bytesOf('k'), bytesOf('refused'), 'present', by(1, 'x/1')));
  await world.clock.advance(10_000);
  expect(node.disk().entries.get('k')?.entry).toMatchObject({ version: -1, settled: true });
  expect((await world.clock.outcome(node.replica.history('k', { limit: 10 }))).versions).toEqual([]);
});

test('what had a deadline is not told of a place whose record is gone: nobody can tell how late it was there', async () => {
  const world = openWorld({ partitions: 1, compactionLagMs: 10_000 });
  const node = await readyNode(world);
  await world.clock.outcome(node.replica.put('k', bytesOf('short'), { expires: (world.clock.now() + 2_000) as Millis }));
  const before = (await write(world, node, 'other', '1')).position;
  await world.clock.advance(3_000);
  const after = (await write(world, node, 'other', '2')).position;
  expect(textOfAnswer(await world.clock.outcome(node.replica.readAt('k', before)))).toBe('short');
  expect(textOfAnswer(await world.clock.outcome(node.replica.readAt('k', after)))).toBeUndefined();
  await write(world, node, 'other', '3');
  await world.clock.advance(20_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  expect(await reads(world, node, 'k')).toBeUndefined();
  expect(await codeFrom(world, node.replica.readAt('k', after))).toBe('history-compacted');
});
