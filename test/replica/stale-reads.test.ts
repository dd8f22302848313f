/** While a node makes its state anew it may answer from the one before: only if told to, only of the same log, and never without saying so. */
import { expect, test } from 'vitest';
import type { StalePlace } from '../../src/replica/stale-store.ts';
import { type MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { gate } from './gate.ts';
import { codeFrom, openWorld, readyNode, remove, textOfAnswer, untilApplied, untilReady, write } from './node.ts';

function staleKeeper(removed: Promise<void> = Promise.resolve()) {
  const seen = { aside: 0, forgotten: 0, kept: 0 };
  const place = (take: () => MemoryDisk): StalePlace => ({
    setAside: async () => {
      seen.aside++;
      return openMemoryStore(take());
    },
    forget: async (store) => {
      await removed;
      seen.forgotten++;
      await store.close();
    },
    keep: async (store) => {
      seen.kept++;
      await store.close();
    },
  });
  return { seen, place };
}

/** A node that held `k`, and of `gone` that it is deleted, told to resync, its store out of the way; the log tells it nothing yet. */
async function resyncing(removed?: Promise<void>) {
  const world = openWorld();
  const held = gate();
  const { seen, place } = staleKeeper(removed);
  const node = await readyNode(world, { stale: place, changed: held.behind });
  await write(world, node, 'k', 'v');
  await write(world, node, 'gone', 'v');
  await remove(world, node, 'gone');
  await untilApplied(world, node);
  held.shut();
  node.replica.resync();
  await world.clock.until('the store is out of the way', () => seen.aside === 1);
  return { world, held, seen, node };
}

test('a node told to resync answers as stale what it knew, until the log has told it anew', async () => {
  const { world, held, seen, node } = await resyncing();
  await world.clock.until('it answers as stale', () => node.replica.status.stale);
  expect(node.replica.status).toMatchObject({ state: 'restoring', ready: false, stale: true, writable: false });

  const read = (key: string) => world.clock.outcome(node.replica.read(key));
  const answer = await read('k');
  expect(answer.source).toBe('stale');
  expect(textOfAnswer(answer)).toBe('v');
  expect(await read('gone')).toMatchObject({ source: 'stale', found: undefined });
  // Nothing that a caller can rely on is stale.
  const code = await codeFrom(world, node.replica.read('k', { consistency: 'latest' }));
  expect(['position-not-reached', 'log-unavailable']).toContain(code);

  held.open();
  await untilReady(world, node);
  await untilApplied(world, node);
  expect(await read('k')).toMatchObject({ source: 'local' });
  expect(node.replica.status).toMatchObject({ ready: true, stale: false });
  expect(seen).toEqual({ aside: 1, forgotten: 1, kept: 0 });
  expect(node.aside).toEqual([]);
});

test('what the log has told already is not answered from the state of before', async () => {
  const { world, held, node } = await resyncing();
  // Nobody can tell this node: its answer is stale, and says so.
  const other = await readyNode(world, { name: 'n2:8082' });
  await write(world, other, 'k', 'new');
  expect(await world.clock.outcome(node.replica.read('k'))).toMatchObject({ source: 'stale' });
  held.open();
  await untilReady(world, node);
  await untilApplied(world, node);
  expect(textOfAnswer(await world.clock.outcome(node.replica.read('k')))).toBe('new');
});

test('the state of another log is no answer', async () => {
  const world = openWorld();
  const { seen, place } = staleKeeper();
  const node = await readyNode(world, { stale: place });
  await write(world, node, 'k', 'v');
  world.topic.recreate('other-cluster');
  await world.clock.until('it is rebuilt', () => node.aside.length > 0);
  await untilReady(world, node);
  expect(seen.aside).toBe(0);
  expect(await world.clock.outcome(node.replica.read('k'))).toMatchObject({ source: 'local', found: undefined });
});

test('when the log is lost before it has told all of it anew, the state of before is kept, and answers no more', async () => {
  const { world, held, seen, node } = await resyncing();
  world.topic.recreate('same-cluster');
  held.open();
  await untilReady(world, node);
  expect(await world.clock.outcome(node.replica.read('k'))).toMatchObject({ source: 'local', found: undefined });
  expect(seen).toEqual({ aside: 1, forgotten: 0, kept: 1 });
});

test('a node that goes before it knows whether the log has all of it keeps it', async () => {
  const { world, held, seen, node } = await resyncing();
  await world.clock.outcome(node.replica.close());
  expect(seen).toEqual({ aside: 1, forgotten: 0, kept: 1 });
  held.open();
});

test('a node does not go before the state of before is removed', async () => {
  let remove = (): void => undefined;
  const removed = new Promise<void>((resolve) => {
    remove = resolve;
  });
  const { world, held, seen, node } = await resyncing(removed);
  held.open();
  await untilReady(world, node);
  let gone = false;
  const closing = node.replica.close().then(() => {
    gone = true;
  });
  await world.clock.advance(60_000);
  expect([gone, seen.forgotten]).toEqual([false, 0]);
  remove();
  await world.clock.outcome(closing);
  expect(seen).toEqual({ aside: 1, forgotten: 1, kept: 0 });
});
