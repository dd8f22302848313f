/** A node that has jumped: what it does not know for certain it neither states nor answers, and it asks those who know. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { conditionalPutRecord, putRecord } from '../../src/core/record.ts';
import type { Log } from '../../src/ports.ts';
import { by } from '../core/records.ts';
import { fakePeers, saying } from './fake-peers.ts';
import { codeFrom, openWorld, partitionIn, reads, readyNode, startNode, textOfAnswer, untilApplied, type World, write } from './node.ts';

/** The key’s newest record is conditional, and what it was decided against is compacted away; nobody has stated it. */
async function unstated(world: World): Promise<void> {
  const partition = partitionIn(world, 'k');
  world.topic.inject(partition, putRecord(bytesOf('k'), bytesOf('old'), by(1, 'x/1')));
  world.topic.inject(partition, conditionalPutRecord(bytesOf('k'), bytesOf('new'), 'present', by(2, 'x/1')));
  await world.clock.advance(10_000);
  world.topic.compact();
}

const lag = { compactionLagMs: 5_000 };

test('its reads end as in-doubt, its conditional writes as unknown, and nothing is stated', async () => {
  const world = openWorld(lag);
  await unstated(world);
  const node = await readyNode(world, { peerReads: 'never' });
  const end = world.topic.bounds[partitionIn(world, 'k')]?.next;
  expect(node.disk().doubtful).toEqual(new Set(['k']));
  expect(node.replica.peek('k')).toBeUndefined();
  expect(await codeFrom(world, node.replica.read('k'))).toBe('in-doubt');
  expect(await codeFrom(world, node.replica.readLocal('k'))).toBe('in-doubt');
  expect(await codeFrom(world, node.replica.list({ prefix: 'k', limit: 10 }))).toBe('in-doubt');
  expect(await codeFrom(world, node.replica.put('k', bytesOf('mine'), { condition: 'present' }))).toBe('unknown-outcome');
  // One question after six seconds, none of them an answer: all nodes are in doubt.
  expect(world.topic.bounds[partitionIn(world, 'k')]?.next).toBeGreaterThan(end as number);
  expect(node.disk().doubtful).toEqual(new Set(['k']));
});

test('it is in doubt after a restart, too', async () => {
  const world = openWorld(lag);
  await unstated(world);
  const node = await readyNode(world, { peerReads: 'never' });
  await world.clock.outcome(node.replica.close());
  const again = await readyNode(world, { disk: node.disk(), peerReads: 'never' });
  expect(await codeFrom(world, again.replica.read('k'))).toBe('in-doubt');
});

test('a peer that is not in doubt answers for it', async () => {
  const world = openWorld(lag);
  await unstated(world);
  const peers = fakePeers(world.clock, saying(2, 'from a peer'), saying(undefined, 'from an older node, without a position'));
  const node = await readyNode(world, { peers });
  expect(await reads(world, node, 'k')).toBe('from a peer');
});

test('a peer that has not come to the record in doubt does not answer for it: it knows less than this node has told', async () => {
  const world = openWorld(lag);
  await unstated(world);
  const node = await readyNode(world, { peers: fakePeers(world.clock, saying(1, 'from behind')) });
  expect(await codeFrom(world, node.replica.read('k'))).toBe('in-doubt');
});

test('a plain write ends it', async () => {
  const world = openWorld(lag);
  await unstated(world);
  const node = await readyNode(world, { peerReads: 'never' });
  await write(world, node, 'k', 'settled');
  expect(await reads(world, node, 'k')).toBe('settled');
  expect(node.disk().doubtful.size).toBe(0);
});

test('who knows the key states it when asked, and the doubt ends', async () => {
  const world = openWorld(lag);
  const knowing = await readyNode(world);
  const partition = partitionIn(world, 'k');
  await write(world, knowing, 'k', 'old');
  // The statement of the node that knows is held back until the other one has jumped.
  world.topic.hold('before');
  world.topic.inject(partition, conditionalPutRecord(bytesOf('k'), bytesOf('new'), 'present', by(2, 'x/1')));
  await world.clock.advance(10_000);
  world.topic.compact();
  const late = await startNode(world, { name: 'n2:8082', peerReads: 'never' });
  await world.clock.until('it is ready', () => late.replica.status.ready);
  expect(late.disk().doubtful).toContain('k');
  world.topic.release();
  await world.clock.until('the doubt is over', () => late.disk().doubtful.size === 0);
  expect(await reads(world, late, 'k')).toBe('new');
});

test('behind a jump a node vouches for nothing until it knows an end of the log that was asked for later', async () => {
  const world = openWorld(lag);
  const first = await readyNode(world);
  for (let i = 0; i < 20; i++) await write(world, first, 'k', `${i}`);
  const { position } = await write(world, first, 'k', 'last');
  await world.clock.advance(10_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  let told = (): void => undefined;
  const untold = new Promise<void>((resolve) => {
    told = resolve;
  });
  // The log does not tell its ends.
  const silent = (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'bounds') return () => untold.then(() => target.bounds());
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const late = await startNode(world, { name: 'n2:8082', changed: silent, peerReads: 'never' });
  await untilApplied(world, late);
  expect(await codeFrom(world, late.replica.readLocal('k'))).toBe('in-doubt');
  const seen = { genesis: late.replica.genesis as string, positions: [position] };
  expect(await codeFrom(world, late.replica.read('k', { seen }))).toBe('position-not-reached');
  const waiting = late.replica.read('k', { seen, waitMs: 60_000 });
  told();
  expect(textOfAnswer(await world.clock.outcome(waiting))).toBe('last');
  expect(await codeFrom(world, late.replica.readLocal('k'))).toBe('none');
});

test('a jump that was not resolved when the node went is not resolved when it comes back', async () => {
  const world = openWorld(lag);
  const first = await readyNode(world);
  for (let i = 0; i < 20; i++) await write(world, first, 'k', `${i}`);
  await world.clock.advance(10_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  await world.clock.outcome(first.replica.close());
  // The log does not tell its ends, but for the start of a node, which compares them with its store.
  const silent = (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'bounds') return () => (following ? new Promise(() => undefined) : target.bounds());
        if (name === 'subscribe') following = true;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  let following = false;
  const late = await startNode(world, { name: 'n2:8082', changed: silent, peerReads: 'never' });
  await untilApplied(world, late);
  await world.clock.outcome(late.replica.close());
  following = false;
  const again = await startNode(world, { name: 'n2:8082', disk: late.disk(), changed: silent, peerReads: 'never' });
  world.topic.inject(partitionIn(world, 'k'), conditionalPutRecord(bytesOf('k'), bytesOf('new'), 'present', by(2, 'x/1')));
  await untilApplied(world, again);
  expect(again.disk().doubtful).toEqual(new Set(['k']));
});
