/** How a node goes: writes are refused, those under way finish, and the end comes within a bound from whatever state. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { BitacoraError, codeOf } from '../../src/core/errors.ts';
import type { Log, Millis } from '../../src/ports.ts';
import { put } from '../core/records.ts';
import { codeFrom, holds, openWorld, partitionIn, readyNode, startNode, type TestNode, type World, write } from './node.ts';

/** Closes a node, which must not take longer than ten seconds of its time; twice, because that must not matter. */
async function closes(world: World, node: TestNode): Promise<void> {
  await world.clock.outcome(Promise.all([node.replica.close(), node.replica.close()]), 10_000);
  await node.replica.close();
  expect(node.replica.status).toMatchObject({ state: 'stopped', ready: false, writable: false });
  expect(node.peers.closed).toBe(true);
}

test('leaving is announced: not ready, and served on until the door is closed', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  node.replica.announceLeaving();
  expect(node.replica.status).toMatchObject({ state: 'draining', ready: false, writable: false });
  await write(world, node, 'k', 'v');
  expect(await holds(node, 'k')).toBe('v');
});

test('draining refuses new writes and waits for those under way', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  world.topic.hold('before');
  const written = node.replica.put('k', bytesOf('v'));
  let drained = false;
  const drain = node.replica.drain().then(() => {
    drained = true;
  });
  expect(await codeFrom(world, node.replica.put('late', bytesOf('v')))).toBe('draining');
  expect(await codeFrom(world, node.replica.delete('late'))).toBe('draining');
  await world.clock.advance(100);
  expect(drained).toBe(false);
  world.topic.release();
  await world.clock.outcome(drain);
  expect((await written).position.offset).toBeGreaterThanOrEqual(0);
  expect(await holds(node, 'k')).toBe('v');
  await node.replica.drain();
});

test('a write that never ends does not hold the drain for ever', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  world.topic.hold('before');
  const written = node.replica.put('k', bytesOf('v'));
  const drain = node.replica.drain();
  expect(await codeFrom(world, written)).toBe('unknown-outcome');
  await world.clock.outcome(drain, 6_000);
});

test('a node that is ready closes, and what it held is on its disk', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'k', 'v');
  await closes(world, node);
  expect(node.disk().entries.has('k')).toBe(true);
  expect(await codeFrom(world, node.replica.put('k', bytesOf('v')))).toBe('draining');
  expect(node.logs[0]?.state).toBe('closed');
});

test('a node that never reached its log closes, and a log that comes too late is closed', async () => {
  const world = openWorld();
  let come: (log: Log) => void = () => undefined;
  const node = await startNode(world, {
    openLog: () =>
      new Promise((resolve) => {
        come = resolve;
      }),
  });
  await closes(world, node);
  const { openMemoryLog } = await import('../../storage/log/memory-log.ts');
  const log = openMemoryLog(world.topic);
  come(log);
  await world.clock.advance(10);
  expect(log.state).toBe('closed');
});

test('a node whose log refuses again and again closes between two attempts', async () => {
  const world = openWorld();
  let attempts = 0;
  const node = await startNode(world, {
    openLog: () => {
      attempts++;
      return Promise.reject(new BitacoraError('log-unavailable', 'nobody is there'));
    },
  });
  await world.clock.advance(20_000);
  expect(attempts).toBeGreaterThan(3);
  expect(attempts).toBeLessThan(20);
  expect(node.replica.status).toMatchObject({ state: 'starting', reason: 'nobody is there', log: 'disconnected' });
  expect(await codeFrom(world, node.replica.put('k', bytesOf('v')))).toBe('log-unavailable');
  await closes(world, node);
});

test('a node that restores closes in the middle, and goes on from there', async () => {
  const world = openWorld();
  const partition = partitionIn(world, 'k');
  for (let i = 0; i < 5_000; i++) world.topic.inject(partition, put(`k${i % 10}`, `${i}`));
  const node = await startNode(world);
  await closes(world, node);
  const again = await readyNode(world, { disk: node.disk() });
  expect(again.replica.status.applied).toEqual(world.topic.bounds.map(({ next }) => next));
});

test('a node whose log is away closes, and the writes it holds end', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  world.topic.hold('before');
  const code = node.replica.put('k', bytesOf('v')).then(() => 'none', codeOf);
  await world.clock.advance(10);
  world.topic.disconnect();
  await closes(world, node);
  expect(await code).toBe('unknown-outcome');
  world.topic.release();
});

test('a deadline that is no time is refused before anything is sent: every node would skip the record', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const ends = world.topic.bounds;
  for (const expires of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(await codeFrom(world, node.replica.put('k', bytesOf('v'), { expires: expires as Millis }))).toBe('bad-request');
  }
  expect(await codeFrom(world, node.replica.put('', bytesOf('v')))).toBe('key-invalid');
  expect(await codeFrom(world, node.replica.put('k', new Uint8Array(1_001)))).toBe('value-too-large');
  expect(await codeFrom(world, node.replica.read('\0genesis'))).toBe('key-invalid');
  expect(world.topic.bounds).toEqual(ends);
});
