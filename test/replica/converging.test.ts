/** Nodes on one topic: the same state everywhere, whatever each of them missed. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { genesisKey } from '../../src/core/keys.ts';
import { deleteRecord, putRecord } from '../../src/core/record.ts';
import type { Millis } from '../../src/ports.ts';
import { by, put } from '../core/records.ts';
import { holds, openWorld, partitionIn, readyNode, remove, startNode, type TestNode, untilApplied, untilReady, write } from './node.ts';

/** Everything on a node's disk but what only says how it came there. */
const stateOf = (node: TestNode) =>
  [...node.disk().entries]
    .map(([key, { entry }]) => ({
      key,
      version: entry.version,
      value: String(entry.value),
      deleted: entry.deleted,
      expires: entry.expires,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));

test('what is written on a node is read on it at once, and on the other soon, with the same version', async () => {
  const world = openWorld();
  const [a, b] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  const { position } = await write(world, a, 'k', 'v');
  expect(a.replica.peek('k')?.found?.version).toEqual(position);
  await write(world, b, 'k', 'w');
  expect(await holds(b, 'k')).toBe('w');
  for (let i = 0; i < 20; i++) await write(world, i % 2 ? a : b, `k${i % 7}`, `${i}`);
  await untilApplied(world, a, b);
  expect(stateOf(a)).toEqual(stateOf(b));
});

test('a write that the log brings back before it acknowledges it does not wait for anything more', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await world.clock.advance(5_000);
  world.topic.hold('after');
  const written = node.replica.put('k', bytesOf('v'));
  await world.clock.until('it is visible', () => node.replica.peek('k') !== undefined);
  const before = world.clock.monotonic();
  world.topic.release();
  await written;
  expect(world.clock.monotonic()).toBe(before);
});

test('a delete is a marker: the log holds an empty value, the node an entry', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'k', 'v');
  const { position } = await remove(world, node, 'k');
  expect(await holds(node, 'k')).toBeUndefined();
  const { records } = world.topic.read(position.partition, position.offset, { maxBatchRecords: 1, maxBatchBytes: 1 });
  expect(records[0]).toMatchObject({ offset: position.offset, value: new Uint8Array(0) });
  expect(node.disk().entries.get('k')?.entry).toMatchObject({ deleted: true, version: position.offset });
  expect((await remove(world, node, 'never-there')).position.offset).toBeGreaterThanOrEqual(0);
});

test('a key deleted while a node was away stays deleted on it, also behind a compaction', async () => {
  const world = openWorld({ compactionLagMs: 1_000 });
  const [a, b] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  await write(world, a, 'k', 'v');
  await untilApplied(world, a, b);
  await world.clock.outcome(b.replica.close());
  await remove(world, a, 'k');
  for (let i = 0; i < 10; i++) await write(world, a, 'other', `${i}`);
  await world.clock.advance(10_000);
  world.topic.compact();
  const back = await readyNode(world, { name: 'n2:8082', disk: b.disk() });
  await untilApplied(world, back);
  expect(await holds(back, 'k')).toBeUndefined();
  expect(stateOf(back)).toEqual(stateOf(a));
});

test('a value reads as absent from its deadline on, on every node, without any record', async () => {
  const world = openWorld();
  const [a, b] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  const expires = (world.clock.now() + 30_000) as Millis;
  await world.clock.outcome(a.replica.put('k', bytesOf('v'), { expires, contentType: 'text/x' }));
  await untilApplied(world, a, b);
  await world.clock.advance(expires - world.clock.now() - 1);
  expect(b.replica.peek('k')?.found).toMatchObject({ expires, contentType: 'text/x' });
  await world.clock.advance(1);
  expect([a.replica.peek('k'), b.replica.peek('k')]).toEqual([undefined, undefined]);
  expect([await holds(a, 'k'), await holds(b, 'k')]).toEqual([undefined, undefined]);
});

test('a record that the log took twice is applied once, and the key is settled by one statement', async () => {
  const world = openWorld();
  const [a, b] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  const partition = partitionIn(world, 'k');
  const first = putRecord(bytesOf('k'), bytesOf('old'), by(1, 'x/1'));
  world.topic.inject(partition, first);
  const { offset } = world.topic.inject(partition, putRecord(bytesOf('k'), bytesOf('new'), by(2, 'x/1')));
  world.topic.inject(partition, first);
  await untilApplied(world, a, b);
  expect([await holds(a, 'k'), await holds(b, 'k')]).toEqual(['new', 'new']);
  expect(a.disk().unsettled).toContain('k');
  await world.clock.until('both have it settled', () => !a.disk().unsettled.has('k') && !b.disk().unsettled.has('k'));
  expect(a.disk().entries.get('k')?.entry).toMatchObject({ version: offset, settled: true });
  const end = world.topic.bounds[partition]?.next;
  await world.clock.advance(30_000);
  expect(world.topic.bounds[partition]?.next).toBe(end);
});

test('what was unsettled when all nodes went down is stated when one comes back, before compaction can lose it', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const partition = partitionIn(world, 'k');
  const first = putRecord(bytesOf('k'), bytesOf('old'), by(1, 'x/1'));
  world.topic.inject(partition, first);
  world.topic.inject(partition, putRecord(bytesOf('k'), bytesOf('acknowledged'), by(2, 'x/1')));
  world.topic.inject(partition, first);
  await untilApplied(world, node);
  await world.clock.outcome(node.replica.close());
  expect(node.disk().unsettled).toContain('k');
  const again = await readyNode(world, { disk: node.disk() });
  await world.clock.until('it is settled', () => !again.disk().unsettled.has('k'));
  await world.clock.advance(2 * 3_600_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  const late = await readyNode(world, { name: 'n2:8082' });
  expect(await holds(late, 'k')).toBe('acknowledged');
});

test('several nodes that give a topic its identity at once agree on one, and it is settled', async () => {
  const world = openWorld();
  world.topic.hold('before');
  const nodes = [await startNode(world), await startNode(world, { name: 'n2:8082' }), await startNode(world, { name: 'n3:8082' })];
  await world.clock.until('all are ready', () => nodes.every(({ replica }) => replica.status.ready));
  await world.clock.advance(500);
  world.topic.release();
  await untilReady(world, ...nodes);
  expect(new Set(nodes.map(({ replica }) => replica.status.genesis)).size).toBe(1);
  const partition = partitionIn(world, genesisKey);
  expect(world.topic.bounds[partition]?.next).toBeGreaterThanOrEqual(3);
  await world.clock.until('it is settled', () => nodes.every((node) => !node.disk().unsettled.has(genesisKey)));
  const late = await readyNode(world, { name: 'n4:8082' });
  expect(late.replica.status.genesis).toBe(nodes[0]?.replica.status.genesis);
  await expect(late.replica.read(genesisKey)).rejects.toMatchObject({ code: 'key-invalid' });
  expect(() => late.replica.peek(genesisKey)).toThrow();
});

test('the attempt of a node that came second does not make the log look like another one', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await world.clock.until('it is settled', () => !node.disk().unsettled.has(genesisKey));
  const second = { ...put(genesisKey, 'another-id'), headers: { op: bytesOf('c'), if: bytesOf('absent') } };
  world.topic.inject(partitionIn(world, genesisKey), second);
  await untilApplied(world, node);
  world.topic.disconnect();
  world.topic.reconnect();
  await world.clock.advance(30_000);
  expect(node.aside).toEqual([]);
  world.topic.inject(partitionIn(world, 'k'), deleteRecord(bytesOf('k'), by(1, 'x/1')));
  await untilApplied(world, node);
});
