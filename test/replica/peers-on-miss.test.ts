/** Reads of what is not here: who is asked, when, and whose word counts. */
import { expect, test } from 'vitest';
import type { Log, Offset, SubscribeOptions, Subscriber } from '../../src/ports.ts';
import { put } from '../core/records.ts';
import { asking, type FakePeer, fakePeers, saying } from './fake-peers.ts';
import { gate } from './gate.ts';
import { holds, openWorld, partitionIn, reads, readyNode, remove, startNode, textOfAnswer, untilApplied, write } from './node.ts';

/** A ready node whose peers are these. */
async function nodeWith(...members: FakePeer[]) {
  const world = openWorld();
  const node = await readyNode(world, { peers: fakePeers(world.clock, ...members) });
  return { world, node };
}

test('a hit asks nobody; a miss is answered by a peer, as such, and is never stored', async () => {
  const { world, node } = await nodeWith(saying(1_000, 'theirs'));
  await write(world, node, 'k', 'mine');
  expect(await reads(world, node, 'k')).toBe('mine');
  expect(node.peers.questions).toEqual([]);
  const answer = await world.clock.outcome(node.replica.read('other'));
  expect(answer).toMatchObject({ source: 'peer', applied: { partition: partitionIn(world, 'other'), offset: 1_000 } });
  expect(textOfAnswer(answer)).toBe('theirs');
  expect(await holds(node, 'other')).toBeUndefined();
  expect(node.disk().entries.has('other')).toBe(false);
  expect(node.replica.peek('other')).toBeUndefined();
});

test('all are asked at once, and the furthest wins, absence included', async () => {
  const { world, node } = await nodeWith(saying(10_000, 'stale', 20), saying(20_000, undefined, 30), saying(3, 'older', 40));
  const before = world.clock.monotonic();
  expect(await reads(world, node, 'k')).toBeUndefined();
  expect(world.clock.monotonic() - before).toBeLessThanOrEqual(60);
  node.peers.members.push(saying(30_000, 'newest', 50));
  expect(await reads(world, node, 'k')).toBe('newest');
});

test('what has come by the time limit counts; who is silent is left out', async () => {
  const { world, node } = await nodeWith(saying(10_000, 'in time', 59), saying(20_000, 'too late', 61));
  const before = world.clock.monotonic();
  expect(await reads(world, node, 'k')).toBe('in time');
  expect(world.clock.monotonic() - before).toBeGreaterThanOrEqual(60);
  node.peers.members.length = 0;
  node.peers.members.push(saying(20_000, 'too late', 1_000));
  expect(await reads(world, node, 'k')).toBeUndefined();
});

test('concurrent misses of one key share a question, those of another key do not, and a later one asks anew', async () => {
  const { world, node } = await nodeWith(saying(1_000, 'v', 10));
  const all = Promise.all([node.replica.read('a'), node.replica.read('a'), node.replica.read('b'), node.replica.read('a')]);
  expect((await world.clock.outcome(all)).map(textOfAnswer)).toEqual(['v', 'v', 'v', 'v']);
  expect(node.peers.questions.toSorted()).toEqual(['a', 'b']);
  await reads(world, node, 'a');
  expect(node.peers.questions).toHaveLength(3);
});

test('an answer from where this node is, or behind, does not bring back what was deleted here', async () => {
  const { world, node } = await nodeWith(saying(1, 'stale'), saying(0, 'staler'));
  await write(world, node, 'k', 'v');
  await remove(world, node, 'k');
  expect(await reads(world, node, 'k')).toBeUndefined();
  expect(node.peers.questions).toEqual(['k']);
});

test('nor does an answer of an older node, which tells no position, from before the delete', async () => {
  const { world, node } = await nodeWith(saying(undefined, 'stale', 1, { time: 1 }));
  await write(world, node, 'k', 'v');
  await remove(world, node, 'k');
  expect(await reads(world, node, 'k')).toBeUndefined();
  expect(await reads(world, node, 'never here')).toBe('stale');
});

test('a node started without a log knows from its disk how far it is, and tells others so', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  const { position } = await remove(world, first, 'k');
  await world.clock.outcome(first.replica.close());
  world.topic.disconnect();
  const openLog = () => new Promise<never>(() => undefined);
  const node = await startNode(world, { disk: first.disk(), openLog, peers: fakePeers(world.clock, saying(position.offset, 'stale')) });
  expect(await reads(world, node, 'k')).toBeUndefined();
  expect((await node.replica.readLocal('k')).applied).toEqual({ partition: position.partition, offset: position.offset + 1 });
});

test('answers from another log are worthless', async () => {
  const { world, node } = await nodeWith(saying(10_000, 'other log', 1, { genesis: 'another' }));
  expect(await reads(world, node, 'k')).toBeUndefined();
  node.peers.members.push(saying(5_000, 'ours', 1, { genesis: node.replica.status.genesis ?? '' }));
  expect(await reads(world, node, 'k')).toBe('ours');
});

test.each([
  ['a value', put('k', 'from the log'), 'from the log'],
  ['a delete', { key: Buffer.from('k'), value: null }, undefined],
])('the log overtakes the peers with %s: its word is the answer, at once', async (_, record, expected) => {
  const { world, node } = await nodeWith(saying(10_000, 'from a peer', 50));
  const read = node.replica.read('k');
  await world.clock.until('the question is open', () => node.peers.questions.length === 1);
  const before = world.clock.monotonic();
  world.topic.inject(partitionIn(world, 'k'), record);
  const answer = await world.clock.outcome(read);
  expect(world.clock.monotonic() - before).toBeLessThan(40);
  expect(answer.source).toBe('local');
  expect(textOfAnswer(answer)).toBe(expected);
});

test('another key from the log does not answer the question', async () => {
  const { world, node } = await nodeWith(saying(10_000, 'from a peer', 50));
  const read = node.replica.read('k');
  await world.clock.until('the question is open', () => node.peers.questions.length === 1);
  world.topic.inject(partitionIn(world, 'x'), put('x', 'y'));
  expect(textOfAnswer(await world.clock.outcome(read))).toBe('from a peer');
});

test('a node that is held behind answers from a peer that is not', async () => {
  const world = openWorld();
  const ahead = await readyNode(world);
  const behind = await readyNode(world, { name: 'n2:8082', peers: fakePeers(world.clock, asking(ahead.replica)) });
  behind.logs[0]?.disconnect();
  await write(world, ahead, 'k', 'v');
  expect(await holds(behind, 'k')).toBeUndefined();
  expect(await reads(world, behind, 'k')).toBe('v');
  behind.logs[0]?.reconnect();
  await untilApplied(world, behind);
  expect(await holds(behind, 'k')).toBe('v');
});

test('a node that restores asks for what it has, too: it may be long gone', async () => {
  const world = openWorld({ partitions: 1 });
  const ahead = await readyNode(world);
  const first = await write(world, ahead, 'k', '1');
  for (const value of ['2', '3']) await write(world, ahead, 'k', value);
  await write(world, ahead, 'gone', 'v');
  await remove(world, ahead, 'gone');
  // It has applied the first of its values, and then nothing comes for a while.
  const between = gate();
  let brought = 0;
  const firstOnly = (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name !== 'subscribe') {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return (options: SubscribeOptions, subscriber: Subscriber) =>
          target.subscribe(options, {
            batch: async (batch) => {
              const all = batch.records;
              const cut = all.findIndex(({ key }) => key !== null && Buffer.from(key).toString() === 'k') + 1;
              if (brought++ > 0 || cut === 0) return subscriber.batch(batch);
              const next = ((all[cut - 1]?.offset ?? 0) + 1) as Offset;
              await subscriber.batch({ ...batch, next, records: all.slice(0, cut) });
              between.shut();
              await between.opened();
              return subscriber.batch({ ...batch, first: next, records: all.slice(cut) });
            },
            ended: (error) => subscriber.ended(error),
          });
      },
    });
  const fresh = await startNode(world, { name: 'n2:8082', changed: firstOnly, peers: fakePeers(world.clock, asking(ahead.replica)) });
  await world.clock.until('it has the first value', () => (fresh.replica.status.applied[0] ?? 0) > first.position.offset);
  expect(await holds(fresh, 'k')).toBe('1');
  expect(fresh.replica.status.ready).toBe(false);
  expect(fresh.replica.peek('k')).toBeUndefined();
  expect(await reads(world, fresh, 'k')).toBe('3');
  expect(await reads(world, fresh, 'gone')).toBeUndefined();
  // Nobody there: what it has, as old as it is.
  fresh.peers.members.length = 0;
  expect(await reads(world, fresh, 'k')).toBe('1');
  between.open();
  await untilApplied(world, fresh);
  await world.clock.until('it is ready', () => fresh.replica.status.ready);
  const asked = fresh.peers.questions.length;
  expect(await reads(world, fresh, 'k')).toBe('3');
  expect(fresh.peers.questions).toHaveLength(asked);
});

test('peers are asked as configured: never; only while behind', async () => {
  const world = openWorld();
  const never = await readyNode(world, { peerReads: 'never', peers: fakePeers(world.clock, saying(9_000, 'v')) });
  const behind = await readyNode(world, { name: 'n2:8082', peerReads: 'behind', peers: fakePeers(world.clock, saying(9_000, 'v')) });
  await world.clock.advance(2_000);
  expect(await reads(world, never, 'k')).toBeUndefined();
  expect(await reads(world, behind, 'k')).toBeUndefined();
  expect([never.peers.questions, behind.peers.questions]).toEqual([[], []]);
  world.topic.disconnect();
  await world.clock.advance(20_000);
  expect(await reads(world, never, 'k')).toBeUndefined();
  expect(await reads(world, behind, 'k')).toBe('v');
  expect(never.peers.questions).toEqual([]);
});
