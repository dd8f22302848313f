/** Watches: every change once, in order, from any place that is still known, and an explicit reset where it is not. */
import { afterEach, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { conditionalPutRecord, putRecord } from '../../src/core/record.ts';
import type { Position, Seen, WatchEvent, WatchOptions } from '../../src/ports.ts';
import { by } from '../core/records.ts';
import { openWorld, partitionIn, reads, readyNode, remove, type TestNode, untilApplied, type World, write } from './node.ts';

/** A watcher that takes what comes as soon as it comes. */
class Watcher {
  readonly events: WatchEvent[] = [];
  readonly #stop = new AbortController();
  error: unknown;

  constructor(node: TestNode, options: Omit<WatchOptions, 'signal'>) {
    void this.#run(node, options).catch((error: unknown) => {
      this.error = error;
    });
  }

  async #run(node: TestNode, options: Omit<WatchOptions, 'signal'>): Promise<void> {
    for await (const event of node.replica.watch({ ...options, signal: this.#stop.signal })) this.events.push(event);
  }

  stop(): void {
    this.#stop.abort();
  }

  get told(): string[] {
    return this.events.map((event) => {
      if (event.kind === 'put') return `${event.key}=${Buffer.from(event.found.value).toString()}`;
      return event.kind === 'delete' ? `${event.key} deleted` : event.kind;
    });
  }

  /** Where it may be resumed. */
  seen(genesis: string): Seen {
    const newest = new Map<number, Position>();
    for (const event of this.events) {
      const positions = event.kind === 'sync' ? event.positions : event.kind === 'reset' ? [] : [event.position];
      for (const position of positions) {
        if ((newest.get(position.partition)?.offset ?? -1) < position.offset) newest.set(position.partition, position);
      }
    }
    return { genesis, positions: [...newest.values()] };
  }
}

const watchers: Watcher[] = [];
const watch = (node: TestNode, options: Omit<WatchOptions, 'signal'>): Watcher => {
  const watcher = new Watcher(node, options);
  watchers.push(watcher);
  return watcher;
};
afterEach(() => {
  for (const watcher of watchers.splice(0)) watcher.stop();
});

const genesisOf = (node: TestNode): string => node.replica.genesis as string;
const seenAt = (node: TestNode, ...positions: Position[]): Seen => ({ genesis: genesisOf(node), positions });

test('from now: every change of the prefix, in order, and of nothing else', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await write(world, node, 'a/1', 'before');
  const watcher = watch(node, { prefix: 'a/' });
  await world.clock.advance(10);
  await write(world, node, 'a/1', 'x');
  await write(world, node, 'b', 'y');
  await remove(world, node, 'a/1');
  await write(world, node, 'a/2', 'z');
  await world.clock.advance(10);
  expect(watcher.told.toSorted()).toEqual(['a/1 deleted', 'a/1=x', 'a/2=z', 'sync']);
  expect(watcher.told[0]).toBe('sync');
});

test('the state first, when it is asked for', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  for (const key of ['a/2', 'a/1', 'b']) await write(world, node, key, key);
  await remove(world, node, 'a/2');
  const watcher = watch(node, { prefix: 'a/', initial: true });
  const one = watch(node, { key: 'b', initial: true });
  await world.clock.advance(10);
  await write(world, node, 'b', 'later');
  await world.clock.advance(10);
  expect(watcher.told).toEqual(['a/1=a/1', 'sync']);
  expect(one.told).toEqual(['b=b', 'sync', 'b=later']);
});

test('a condition that failed is no change, one that held is, and a member of a batch is one of its own', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const watcher = watch(node, { prefix: '' });
  await world.clock.advance(10);
  await world.clock.outcome(node.replica.put('k', bytesOf('1'), { condition: 'absent' }));
  await world.clock.outcome(node.replica.put('k', bytesOf('2'), { condition: 'absent' })).catch(() => undefined);
  world.topic.inject(partitionIn(world, 'k'), conditionalPutRecord(bytesOf('k'), bytesOf('3'), 'absent', by(1, 'x/1')));
  await world.clock.outcome(
    node.replica.writeAtomic([
      { key: '{t}a', value: bytesOf('1') },
      { key: '{t}b', value: bytesOf('2') },
    ]),
  );
  await world.clock.advance(5_000);
  expect(watcher.told).toEqual(['sync', 'k=1', '{t}a=1', '{t}b=2']);
});

test('resumed on another node: what came since, once', async () => {
  const world = openWorld();
  const [one, two] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  const first = watch(one, { prefix: 'k' });
  await world.clock.advance(10);
  for (let i = 0; i < 5; i++) await write(world, one, `k${i}`, `${i}`);
  await world.clock.advance(10);
  first.stop();
  for (let i = 5; i < 9; i++) await write(world, one, `k${i}`, `${i}`);
  await untilApplied(world, two);
  const second = watch(two, { prefix: 'k', from: first.seen(genesisOf(one)) });
  await world.clock.advance(10);
  await write(world, one, 'k9', '9');
  await untilApplied(world, two);
  const told = [...first.told, ...second.told].filter((each) => each !== 'sync');
  expect(told.toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => `k${i}=${i}`));
});

test('resumed on a node that is behind what was seen: nothing is told twice', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  // The topic's identity is stated, too.
  await world.clock.advance(5_000);
  const { position } = await write(world, node, 'k', '1');
  const ahead = { ...position, offset: (position.offset + 2) as Position['offset'] };
  const watcher = watch(node, { key: 'k', from: seenAt(node, ahead) });
  await world.clock.advance(10);
  for (const value of ['2', '3', '4']) await write(world, node, 'k', value);
  await world.clock.advance(10);
  expect(watcher.told).toEqual(['sync', 'k=4']);
});

test('resumed on a node that was restarted since: what came since, once, and no reset', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const { position } = await write(world, node, 'k', '1');
  await write(world, node, 'k', '2');
  await remove(world, node, 'k');
  world.topic.inject(partitionIn(world, 'k'), conditionalPutRecord(bytesOf('k'), bytesOf('refused'), 'present', by(1, 'x/1')));
  world.topic.inject(partitionIn(world, 'k'), conditionalPutRecord(bytesOf('k'), bytesOf('3'), 'absent', by(2, 'x/1')));
  world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k'), bytesOf('repeated'), by(2, 'x/1')));
  await untilApplied(world, node);
  await world.clock.advance(5_000);
  await world.clock.outcome(node.replica.close());
  const again = await readyNode(world, { disk: node.disk() });
  const watcher = watch(again, { prefix: '', from: seenAt(again, position) });
  await world.clock.advance(10);
  await write(world, again, 'k', '4');
  await world.clock.advance(10);
  expect(watcher.told).toEqual(['k=2', 'k deleted', 'k=3', 'sync', 'k=4']);
});

test('resumed from further back than memory reaches, while the log grows: all of it, once, in order', async () => {
  const world = openWorld({ partitions: 1 });
  const node = await readyNode(world);
  const { position } = await write(world, node, 'k', 'first');
  const inject = (from: number, to: number): void => {
    for (let i = from; i < to; i++) world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k'), bytesOf(`${i}`), by(i + 1, 'x/1')));
  };
  inject(0, 40_000);
  await untilApplied(world, node);
  const stop = new AbortController();
  const told: string[] = [];
  const from = seenAt(node, position);
  void (async () => {
    for await (const event of node.replica.watch({ prefix: '', from, signal: stop.signal })) {
      told.push(event.kind === 'put' ? Buffer.from(event.found.value).toString() : event.kind);
      // What comes while the log is being read is more than a watcher's queue would hold.
      if (told.length === 20_000) inject(40_000, 48_000);
    }
  })();
  await world.clock.until('all is told', () => told.includes('47999'));
  stop.abort();
  expect(told.filter((each) => each !== 'sync')).toEqual(Array.from({ length: 48_000 }, (_, i) => `${i}`));
});

test('many that come back to a restarted node share one reading of the log', async () => {
  const stretches: number[] = [];
  const world = openWorld({ partitions: 1 });
  const node = await readyNode(world);
  const { position } = await write(world, node, 'k', '0');
  for (let i = 1; i < 10; i++) await write(world, node, 'k', `${i}`);
  await world.clock.advance(5_000);
  await world.clock.outcome(node.replica.close());
  const again = await readyNode(world, {
    disk: node.disk(),
    changed: (log) =>
      new Proxy(log, {
        get: (of, name) => {
          if (name === 'read') stretches.push(1);
          const value = Reflect.get(of, name, of) as unknown;
          return typeof value === 'function' ? value.bind(of) : value;
        },
      }),
  });
  const all = Array.from({ length: 50 }, () => watch(again, { key: 'k', from: seenAt(again, position) }));
  await world.clock.advance(10);
  for (const { told } of all) expect(told).toEqual([...Array.from({ length: 9 }, (_, i) => `k=${i + 1}`), 'sync']);
  expect(stretches.length).toBe(1);
});

test('what this node learned only from statements is told as a reset, after a restart too', async () => {
  const world = openWorld({ compactionLagMs: 0, partitions: 1 });
  const one = await readyNode(world);
  const { position } = await write(world, one, 'k', 'seen');
  await world.clock.advance(5_000);
  await world.clock.outcome(one.replica.close());
  // What set the value is gone when this node comes back: it learns it from the statement.
  const other = await readyNode(world, { name: 'n2:8082' });
  await world.clock.outcome(other.replica.put('k', bytesOf('unseen'), { condition: 'present' }));
  await world.clock.advance(10_000);
  world.topic.compact();
  const back = await readyNode(world, { disk: one.disk() });
  await world.clock.advance(5_000);
  expect(await reads(world, back, 'k')).toBe('unseen');
  const watcher = watch(back, { key: 'k', from: seenAt(back, position) });
  await world.clock.advance(10);
  expect(watcher.told).toEqual(['reset', 'k=unseen', 'sync']);
});

test('a token of another log: reset', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const { position } = await write(world, node, 'k', '1');
  const watcher = watch(node, { prefix: '', from: { genesis: 'another', positions: [position] } });
  await world.clock.advance(10);
  expect(watcher.told).toEqual(['reset', 'k=1', 'sync']);
});

test('a node that jumps tells those who watch', async () => {
  const world = openWorld({ compactionLagMs: 0 });
  const node = await readyNode(world);
  const { position } = await write(world, node, 'k', 'before');
  const watcher = watch(node, { prefix: 'k' });
  await world.clock.advance(10);
  world.topic.disconnect();
  for (let i = 0; i < 10; i++) world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k'), bytesOf(`${i}`), by(i + 1, 'x/1')));
  await world.clock.advance(1_000);
  expect(world.topic.compact()).toBeGreaterThan(0);
  world.topic.reconnect();
  await untilApplied(world, node);
  await world.clock.advance(5_000);
  expect(watcher.told).toEqual(['sync', 'reset', 'k=9', 'sync']);
  const resumed = watch(node, { prefix: 'k', from: seenAt(node, position) });
  await world.clock.advance(10);
  expect(resumed.told).toEqual(['reset', 'k=9', 'sync']);
});

test('a watcher that does not take what comes is told that it missed something', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const stop = new AbortController();
  const slow = node.replica.watch({ prefix: 'k', signal: stop.signal })[Symbol.asyncIterator]();
  const next = async () => ((await world.clock.outcome(slow.next())) as IteratorResult<WatchEvent>).value as WatchEvent;
  expect((await next()).kind).toBe('sync');
  const partition = partitionIn(world, 'k');
  for (let i = 1; i <= 5_000; i++) world.topic.inject(partition, putRecord(bytesOf('k'), bytesOf(`${i}`), by(i, 'x/1')));
  await untilApplied(world, node);
  expect((await next()).kind).toBe('reset');
  expect(await next()).toMatchObject({ kind: 'put', key: 'k', found: { value: new Uint8Array(bytesOf('5000')) } });
  expect((await next()).kind).toBe('sync');
  stop.abort();
  expect((await world.clock.outcome(slow.next())).done).toBe(true);
});

test('while the state is told, what changes meanwhile is told once', async () => {
  const world: World = openWorld();
  const node = await readyNode(world);
  for (let i = 0; i < 20; i++) await write(world, node, `k${String(i).padStart(2, '0')}`, 'old');
  const stop = new AbortController();
  const slow = node.replica.watch({ prefix: 'k', initial: true, signal: stop.signal })[Symbol.asyncIterator]();
  const told = new Map<string, string[]>();
  const take = async (): Promise<WatchEvent> => {
    const { value } = (await world.clock.outcome(slow.next())) as IteratorResult<WatchEvent>;
    const event = value as WatchEvent;
    if (event.kind === 'put') told.set(event.key, [...(told.get(event.key) ?? []), Buffer.from(event.found.value).toString()]);
    return event;
  };
  for (let i = 0; i < 3; i++) await take();
  await write(world, node, 'k19', 'new');
  await write(world, node, 'k00', 'new');
  while ((await take()).kind !== 'sync');
  // All that came meanwhile was told before the `sync`.
  expect([told.get('k00'), told.get('k19')?.at(-1)]).toEqual([['old', 'new'], 'new']);
  await write(world, node, 'k05', 'newer');
  while (!told.get('k05')?.includes('newer')) await take();
  stop.abort();
  expect(told.get('k00')).toEqual(['old', 'new']);
  expect(told.get('k19')?.at(-1)).toBe('new');
  for (const values of told.values()) expect(new Set(values).size).toBe(values.length);
});

test('a watcher that hears nothing is told now and then where it is', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  await world.clock.advance(5_000);
  const watcher = watch(node, { prefix: 'quiet/' });
  for (let i = 0; i < 5; i++) {
    await write(world, node, 'busy', `${i}`);
    await world.clock.advance(10_000);
  }
  expect(watcher.told.every((each) => each === 'sync')).toBe(true);
  expect(watcher.told.length).toBeGreaterThan(3);
  const last = watcher.events.at(-1);
  expect(last?.kind === 'sync' && last.positions.some(({ partition }) => partition === partitionIn(world, 'busy'))).toBe(true);
  const resumed = watch(node, { prefix: 'quiet/', from: watcher.seen(genesisOf(node)) });
  await world.clock.advance(10);
  expect(resumed.told).toEqual(['sync']);
});

test('a key that is none is refused', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const watcher = watch(node, { key: '' });
  await world.clock.advance(10);
  expect(watcher.error).toMatchObject({ code: 'key-invalid' });
});
