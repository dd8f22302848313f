/** The past as a node tells it that is behind the log, or whose log ends early for a moment: nothing may be missing unsaid. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import type { Log, LogRange, Millis, Position } from '../../src/ports.ts';
import { gate } from './gate.ts';
import { codeFrom, openWorld, readyNode, textOfAnswer, untilApplied, untilReady, write } from './node.ts';

/** A log whose stretches end so many records early, as under a new leader that does not know yet what is committed. */
const endingEarly =
  (by: { records: number }) =>
  (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'read') {
          return (range: LogRange, signal?: AbortSignal) =>
            target.read({ ...range, to: Math.max(range.from, range.to - by.records) as LogRange['to'] }, signal);
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

test('a resumed watch waits for the rest of a stretch', async () => {
  const world = openWorld({ partitions: 1 });
  const one = await readyNode(world);
  await world.clock.advance(5_000);
  const { position } = await write(world, one, 'k', '0');
  for (let i = 1; i <= 5; i++) await write(world, one, 'k', `${i}`);
  await world.clock.outcome(one.replica.close());
  const early = { records: 2 };
  const two = await readyNode(world, { disk: one.disk(), changed: endingEarly(early) });
  const told: string[] = [];
  const stop = new AbortController();
  const from = { genesis: two.replica.genesis as string, positions: [position] };
  void (async () => {
    for await (const event of two.replica.watch({ key: 'k', from, signal: stop.signal })) {
      told.push(event.kind === 'put' ? Buffer.from(event.found.value).toString() : event.kind);
    }
  })();
  await world.clock.advance(5_000);
  early.records = 0;
  await world.clock.advance(5_000);
  stop.abort();
  expect(told.filter((each) => each !== 'sync')).toEqual(['1', '2', '3', '4', '5']);
});

test('a history does not take for nothing what a stretch did not tell', async () => {
  const world = openWorld({ partitions: 1 });
  const early = { records: 0 };
  const node = await readyNode(world, { changed: endingEarly(early) });
  await world.clock.advance(5_000);
  const places: Position[] = [];
  for (let i = 0; i <= 5; i++) places.push((await write(world, node, 'k', `${i}`)).position);
  early.records = 2;
  expect(await codeFrom(world, node.replica.history('k', { limit: 100 }))).toBe('log-unavailable');
  expect(await codeFrom(world, node.replica.readAt('k', places[4] as Position))).toBe('log-unavailable');
  early.records = 0;
  expect((await world.clock.outcome(node.replica.history('k', { limit: 100 }))).versions).toHaveLength(6);
});

test('a node that is behind a time does not tell what stood there, and reverts nothing by it', async () => {
  const world = openWorld({ partitions: 1 });
  const one = await readyNode(world);
  const held = gate();
  const two = await readyNode(world, { name: 'n2:8082', changed: held.behind });
  await world.clock.advance(5_000);
  held.shut();
  await write(world, one, 'k', 'precious');
  await world.clock.advance(2_000);
  const at = (world.clock.now() - 1_000) as Millis;
  await world.clock.advance(1_000);
  const read = two.replica.readAt('k', at, { waitMs: 1_000 });
  expect(await codeFrom(world, read)).toBe('position-not-reached');
  const reverting = two.replica.revert('k', at, { condition: 'present' });
  await world.clock.advance(500);
  held.open();
  expect((await world.clock.outcome(reverting)).found?.value).toEqual(new Uint8Array(bytesOf('precious')));
  await untilApplied(world, one, two);
  expect(textOfAnswer(await one.replica.readLocal('k'))).toBe('precious');
  // What was applied since is proof that the time has passed: nobody has to be asked.
  await world.clock.advance(1_000);
  const before = world.clock.now();
  await world.clock.advance(1_000);
  await write(world, one, 'other', 'x');
  world.topic.disconnect();
  expect(textOfAnswer(await world.clock.outcome(one.replica.readAt('k', before)))).toBe('precious');
});

test('a full page below the horizon is refused as a longer one would be', async () => {
  const world = openWorld({ partitions: 1, compactionLagMs: 10_000 });
  const node = await readyNode(world);
  await world.clock.advance(5_000);
  const { position } = await write(world, node, 'o', '0');
  for (let i = 0; i < 3; i++) await write(world, node, 'k', `${i}`);
  for (let i = 0; i < 3; i++) await write(world, node, 'o', `${i}`);
  await world.clock.advance(60_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  await write(world, node, 'k', 'new');
  for (const limit of [2, 3, 100]) {
    expect(await codeFrom(world, node.replica.history('k', { limit, since: position }))).toBe('history-compacted');
  }
  // One that is full of what is certain is not: more of it may follow.
  const page = await world.clock.outcome(node.replica.history('k', { limit: 1, since: position }));
  expect([page.versions.length, page.next]).toEqual([1, page.versions[0]?.version]);
});

test('a node that comes to a mark minutes later takes its digest all the same', async () => {
  const world = openWorld({ partitions: 1 });
  const [one, two] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  two.logs[0]?.disconnect();
  const { run } = await world.clock.outcome(one.replica.verify());
  await world.clock.advance(180_000);
  for (const log of two.logs) log.reconnect();
  await untilApplied(world, one, two);
  await world.clock.advance(100);
  expect(two.replica.digests(run)).toEqual(one.replica.digests(run));
});

test('a watcher who took his time while the log became another one is told a reset before anything else', async () => {
  const world = openWorld({ partitions: 1 });
  const one = await readyNode(world);
  const { position } = await write(world, one, 'k', '0');
  for (let i = 1; i <= 3; i++) await write(world, one, 'k', `${i}`);
  await world.clock.outcome(one.replica.close());
  const two = await readyNode(world, { disk: one.disk() });
  const from = { genesis: two.replica.genesis as string, positions: [position] };
  const stop = new AbortController();
  const watch = two.replica.watch({ key: 'k', from, signal: stop.signal });
  const events = watch[Symbol.asyncIterator]();
  const first = await world.clock.outcome(events.next());
  expect(first.value).toMatchObject({ kind: 'put' });
  world.topic.recreate('other-cluster');
  await world.clock.until('it is rebuilt', () => two.aside.length > 0);
  // It takes the rest at the moment when the node knows of no log at all.
  const told: string[] = [];
  void (async () => {
    for (let next = await events.next(); !next.done; next = await events.next()) {
      told.push(next.value.kind === 'put' ? Buffer.from(next.value.found.value).toString() : next.value.kind);
    }
  })();
  await untilReady(world, two);
  await write(world, two, 'k', 'new');
  await world.clock.until('it is told', () => told.includes('new'));
  stop.abort();
  // No `sync` in between: it would be of the old log's places.
  expect(told.slice(0, 3)).toEqual(['2', '3', 'reset']);
});
