/** What has been gone for long is ended by tombstones, and nothing else is. */
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Log, Millis, WatchEvent } from '../../src/ports.ts';
import { MemoryDisk } from '../../storage/store/memory-store.ts';
import { by, del, ifMatch, put } from '../core/records.ts';
import { holds, partitionIn, readyNode, remove, startNode, untilApplied, untilReady, type World, write } from './node.ts';
import {
  beforeTombstones,
  entriesOf,
  graceMs,
  recordsIn,
  retentionMs,
  type SweepingNode,
  sweepingNode,
  sweptWorld,
  tombstones,
} from './sweeping-node.ts';
import { settle } from './test-clock.ts';

const names = (what: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${what}-${String(i).padStart(4, '0')}`);

function expiring({ clock }: World, node: SweepingNode, key: string, ttlMs: number) {
  return clock.outcome(node.replica.put(key, bytesOf('v'), { expires: (clock.now() + ttlMs) as Millis }));
}

/** As another producer writes, without waiting. */
function inject(world: World, keys: readonly string[], record: typeof del): void {
  for (const key of keys) world.topic.inject(partitionIn(world, key), record(key));
}

/** Lets time pass in which somebody writes to every partition, so that the log's time goes on. */
async function pass(world: World, ms: number): Promise<void> {
  await world.clock.advance(ms);
  for (const key of names('tick', 8)) world.topic.inject(partitionIn(world, key), put(key, String(world.clock.now())));
  await settle();
}
const ticks = names('tick', 8);
const settledGenesis = ({ clock }: World, node: SweepingNode) =>
  clock.until('the genesis record is settled', () => node.disk().unsettled.size === 0);
const withoutTicks = (keys: readonly string[]): string[] => keys.filter((key) => !ticks.includes(key));

describe('what is swept', () => {
  test('markers and values past their deadline, a grace period later; what lives stays', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world);
    for (const key of ['deleted', 'kept']) await write(world, node, key, 'v');
    await remove(world, node, 'deleted');
    await expiring(world, node, 'expired', 1_000);
    await expiring(world, node, 'lasting', 3_600_000);
    await pass(world, graceMs - 1_000);
    await pass(world, 500);
    expect(tombstones(world)).toEqual([]);
    await pass(world, 5_000);
    await world.clock.advance(3_000);
    expect(tombstones(world).sort()).toEqual(['deleted', 'expired']);
    expect(withoutTicks(entriesOf(node))).toEqual(['kept', 'lasting']);
    expect(node.swept.toSorted()).toEqual(['deleted', 'expired']);
    expect(await holds(node, 'kept')).toBe('v');
  });

  test('a deadline that lay before the write counts from the write', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world);
    await expiring(world, node, 'late', -1_000_000);
    await pass(world, graceMs - 2_000);
    await world.clock.advance(1_500);
    expect(tombstones(world)).toEqual([]);
    await pass(world, 1_000);
    await world.clock.until('it is swept', () => entriesOf(node).every((key) => ticks.includes(key)));
  });

  test('a grace period below the compaction lag is the compaction lag', async () => {
    const world = sweptWorld({ compactionLagMs: 60_000 });
    const node = await sweepingNode(world, { graceMs: 1 });
    await remove(world, node, 'k');
    await pass(world, 50_000);
    await world.clock.advance(5_000);
    expect(tombstones(world)).toEqual([]);
    await pass(world, 10_000);
    await world.clock.until('it is swept', () => tombstones(world).length === 1);
  });

  test('what is unsettled waits until it is settled', async () => {
    const world = sweptWorld();
    let refuses = true;
    const changed = (log: Log): Log =>
      new Proxy(log, {
        get(target, name) {
          if (name === 'append' && refuses) return async () => Promise.reject(new BitacoraError('log-unavailable', 'refused by the test'));
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    refuses = false;
    const node = await sweepingNode(world, { changed });
    await remove(world, node, 'k');
    refuses = true;
    world.topic.inject(partitionIn(world, 'k'), ifMatch('k', 'x', 5 as never, by(1, 'gone/1')));
    for (let i = 0; i < 4; i++) await pass(world, graceMs);
    expect(node.disk().unsettled).toContain('k');
    expect(node.passes.at(-1)).toMatchObject({ outcome: 'done', swept: 0, waiting: 1 });
    refuses = false;
    await world.clock.until('it is settled and swept', () => tombstones(world).length === 1 && withoutTicks(entriesOf(node)).length === 0);
  });

  test('nothing on a topic with CreateTime, where a record’s time is its producer’s', async () => {
    const world = sweptWorld({ logAppendTime: false });
    const node = await sweepingNode(world);
    await remove(world, node, 'k');
    for (let i = 0; i < 3; i++) await pass(world, graceMs);
    expect([tombstones(world), node.passes]).toEqual([[], []]);
  });
});

describe('whose time counts', () => {
  test('in a quiet partition a barrier tells the time, once a pass and only if something may be due', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world);
    await write(world, node, 'kept', 'v');
    await remove(world, node, 'k');
    await settledGenesis(world, node);
    const before = recordsIn(world).length;
    await world.clock.advance(graceMs - 1_000);
    expect(recordsIn(world)).toHaveLength(before);
    await world.clock.until('it is swept', () => tombstones(world).length === 1);
    expect(recordsIn(world).filter(({ key }) => key.startsWith('\0barrier/'))).toHaveLength(1);
    const after = recordsIn(world).length;
    await world.clock.advance(10 * graceMs);
    expect(recordsIn(world)).toHaveLength(after);
  });

  const yearMs = 365 * 86_400_000;

  test('a node whose clock is a year ahead sweeps nothing that is young by the log’s time, and no value before its deadline', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world, { skewMs: yearMs });
    await remove(world, node, 'deleted');
    await expiring(world, node, 'lasting', 60_000);
    const began = node.passes.length;
    await pass(world, graceMs - 2_000);
    expect(node.passes.length).toBeGreaterThan(began + 3);
    expect(tombstones(world)).toEqual([]);
    await pass(world, 5_000);
    await world.clock.until('the marker is swept', () => tombstones(world).length > 0);
    await pass(world, 30_000);
    expect(tombstones(world)).toEqual(['deleted']);
    expect(node.disk().entries.get('lasting')?.entry.deleted).toBe(false);
    const barriers = recordsIn(world).filter(({ key }) => key.startsWith('\0barrier/'));
    expect(barriers.length).toBeLessThanOrEqual(2 * node.passes.length);
  });

  test('a node whose clock is a year behind sweeps as soon as the log’s time has come', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world, { skewMs: -yearMs });
    await remove(world, node, 'k');
    await pass(world, graceMs + 1_000);
    await world.clock.until('it is swept', () => tombstones(world).length === 1);
  });
});

describe('a value that is written while the tombstone is on its way', () => {
  test.each([
    ['plainly', () => put('k', 'anew', by(1, 'x/1'))],
    ['on a condition', () => ifMatch('k', 'anew', 'absent', by(1, 'x/1'))],
  ] as const)('%s: survives on every node, is settled again, and is there after compaction', async (_, record) => {
    const world = sweptWorld();
    let arrive = (): void => undefined;
    let isHeld = false;
    const held = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const changed = (log: Log): Log =>
      beforeTombstones(log, () => {
        isHeld = true;
        return held;
      });
    const node = await sweepingNode(world, { changed });
    const other = await readyNode(world, { name: 'n2:8082' });
    await remove(world, node, 'k');
    await pass(world, graceMs + 1_000);
    await world.clock.until('a tombstone is on its way', () => isHeld);
    world.topic.inject(partitionIn(world, 'k'), record());
    await untilApplied(world, node, other);
    arrive();
    await world.clock.until('it is there', () => tombstones(world).length === 1);
    await untilApplied(world, node, other);
    await world.clock.until('it is settled', () => !node.disk().unsettled.has('k') && !other.disk().unsettled.has('k'));
    await pass(world, 2 * graceMs);
    await pass(world, 3_000);
    for (const each of [node, other]) expect(await holds(each, 'k')).toBe('anew');
    world.topic.compact();
    await world.clock.advance(retentionMs);
    world.topic.compact();
    const fresh = await readyNode(world, { name: 'n3:8082' });
    expect(await holds(fresh, 'k')).toBe('anew');
    const entries = [node, other, fresh].map((each) => each.disk().entries.get('k')?.entry);
    expect(new Set(entries.map((entry) => `${entry?.version} ${entry?.settled}`)).size).toBe(1);
  });

  test('a key that is written between the scan and the append is not swept', async () => {
    const world = sweptWorld();
    const keys = names('k', 100);
    // Few a second, so that the last of a pass is due long after the scan that found it.
    const node = await sweepingNode(world, { recordsPerSecond: 20 });
    inject(world, keys, del);
    await pass(world, graceMs + 1_000);
    await world.clock.until('some are swept', () => tombstones(world).length >= 10);
    await write(world, node, 'k-0099', 'anew');
    await world.clock.until('the others are swept', () => tombstones(world).length === 99);
    await world.clock.advance(5_000);
    expect(withoutTicks(entriesOf(node))).toEqual(['k-0099']);
    expect(tombstones(world)).not.toContain('k-0099');
  });
});

describe('how it goes on', () => {
  test('at a bounded rate, with a bounded number in flight', async () => {
    const world = sweptWorld();
    let flying = 0;
    let most = 0;
    const changed = (log: Log): Log =>
      beforeTombstones(log, async () => {
        flying++;
        most = Math.max(most, flying);
        await settle();
        flying--;
      });
    const node = await sweepingNode(world, { recordsPerSecond: 100, changed });
    inject(world, names('k', 1_000), del);
    await pass(world, graceMs + 1_000);
    await world.clock.until('it has begun', () => tombstones(world).length > 0);
    const began = world.clock.monotonic();
    await world.clock.until('all are swept', () => withoutTicks(entriesOf(node)).length === 0);
    const seconds = (world.clock.monotonic() - began) / 1_000;
    expect(seconds).toBeGreaterThan(9);
    expect(seconds).toBeLessThan(12);
    expect(most).toBeLessThanOrEqual(32);
    expect(tombstones(world)).toHaveLength(1_000);
  });

  test('an error of the log ends the pass, which later goes on from where it was', async () => {
    const world = sweptWorld();
    let fails = false;
    const changed = (log: Log): Log =>
      beforeTombstones(log, async (key) => {
        if (key === 'k-1500') fails = true;
        if (fails) throw new BitacoraError('log-unavailable', 'refused by the test');
      });
    const node = await sweepingNode(world, { recordsPerSecond: 100_000, changed });
    inject(world, names('k', 2_500), del);
    await pass(world, graceMs + 1_000);
    await world.clock.until('a pass is cut short', () => node.passes.some(({ outcome }) => outcome === 'cut-short'));
    expect(withoutTicks(entriesOf(node)).length).toBeGreaterThanOrEqual(1_000);
    await world.clock.advance(5_000);
    expect(node.passes.slice(-2).every(({ looked, swept }) => looked > 0 && swept === 0)).toBe(true);
    const before = node.passes.length;
    // Nothing at the beginning of the store is looked at again: what is new there waits for the next pass.
    inject(world, names('a', 10), del);
    fails = false;
    await world.clock.until('it goes on', () => node.passes.length > before);
    expect(node.passes[before]?.looked).toBeLessThan(1_600);
  });

  test('neither without the log, nor when the node goes away', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world);
    inject(world, names('k', 10), del);
    await untilApplied(world, node);
    world.topic.disconnect();
    await world.clock.advance(2 * graceMs);
    const passes = node.passes.length;
    await world.clock.advance(graceMs);
    expect(node.passes).toHaveLength(passes);
    node.replica.announceLeaving();
    world.topic.reconnect();
    await pass(world, 5_000);
    await pass(world, 5_000);
    expect(node.replica.status.log).toBe('connected');
    expect(tombstones(world)).toEqual([]);
  });

  test('two that begin together: one leaves it to the other, and it comes to an end', async () => {
    const world = sweptWorld();
    const keys = names('k', 1_000);
    const random = (own: number): number[] => [0.5, ...Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? own : 1 - own / 2))];
    const options = { recordsPerSecond: 200 };
    const one = await sweepingNode(world, { ...options, random: random(0.1) });
    const two = await sweepingNode(world, { ...options, name: 'n2:8082', random: random(0.9) });
    inject(world, keys, del);
    await pass(world, graceMs + 1_000);
    await world.clock.until('all are swept', () => [one, two].every((node) => withoutTicks(entriesOf(node)).length === 0), 120_000);
    await world.clock.advance(30_000);
    expect(new Set(tombstones(world)).size).toBe(1_000);
    expect(tombstones(world).length).toBeLessThan(1_200);
    const written = recordsIn(world).length;
    await world.clock.advance(graceMs);
    expect(recordsIn(world)).toHaveLength(written);
  });

  test('nobody who watches hears of it', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world);
    const events: WatchEvent[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const event of node.replica.watch({ prefix: 'k', signal: stop.signal } as never)) events.push(event);
    })();
    await settle();
    await write(world, node, 'k1', 'v');
    await remove(world, node, 'k1');
    await expiring(world, node, 'k2', 1_000);
    await settle();
    const told = () =>
      events.flatMap((event) => ('key' in event ? [`${event.kind} ${event.key}`] : event.kind === 'reset' ? ['reset'] : []));
    const before = told();
    expect(before).toContain('delete k1');
    await pass(world, graceMs + 2_000);
    await world.clock.until('both are swept', () => withoutTicks(entriesOf(node)).length === 0);
    // A tombstone of somebody who was mistaken: the value stays, is stated again, and nobody hears of that either.
    await write(world, node, 'k3', 'v');
    world.topic.inject(partitionIn(world, 'k3'), { key: bytesOf('k3'), value: null, headers: { op: bytesOf('t') } });
    await untilApplied(world, node);
    await world.clock.until('it is settled', () => !node.disk().unsettled.has('k3'));
    await world.clock.advance(2_000);
    expect(told()).toEqual([...before, 'put k3']);
    stop.abort();
    await watching.catch(() => undefined);
  });
});

describe('in the long run', () => {
  test('endless deletes and deadlines beside a constant number of live keys: store and log do not grow', async () => {
    const world = sweptWorld();
    const one = await sweepingNode(world);
    const two = await sweepingNode(world, { name: 'n2:8082', random: [0.9] });
    const live = names('live', 5);
    const sizes: { entries: number; records: number }[] = [];
    const perRound = 20;
    for (let round = 0; round < 60; round++) {
      for (const key of live) world.topic.inject(partitionIn(world, key), put(key, String(round)));
      for (let i = 0; i < perRound / 2; i++) {
        const [gone, over] = [`gone-${round}-${i}`, `over-${round}-${i}`];
        world.topic.inject(partitionIn(world, gone), put(gone, 'v'));
        world.topic.inject(partitionIn(world, gone), del(gone));
        const expires = (world.clock.now() + 1_000) as Millis;
        world.topic.inject(partitionIn(world, over), put(over, 'v', by(0, ''), { expires }));
      }
      await world.clock.advance(5_000);
      world.topic.compact();
      sizes.push({ entries: two.replica.status.entries, records: recordsIn(world).length });
    }
    // Those of the grace period, of a pass, and the system's own.
    const mostEntries = live.length + perRound * (graceMs / 5_000 + 2) + 10;
    // Those, and the tombstones of the time for which the log keeps them.
    const mostRecords = mostEntries + perRound * (retentionMs / 5_000 + 4) + live.length * 4;
    for (const { entries, records } of sizes) {
      expect(entries).toBeLessThan(mostEntries);
      expect(records).toBeLessThan(mostRecords);
    }
    const most = (of: 'entries' | 'records', from: number, to: number) => Math.max(...sizes.slice(from, to).map((size) => size[of]));
    expect(most('entries', 30, 60)).toBeLessThanOrEqual(1.2 * most('entries', 0, 30));
    expect(most('records', 45, 60)).toBeLessThanOrEqual(1.1 * most('records', 30, 45));

    // And when it ends nothing of them is left.
    await pass(world, 2 * graceMs);
    await pass(world, 2 * graceMs);
    for (const wait of [graceMs, retentionMs, 1_000]) {
      await world.clock.advance(wait);
      world.topic.compact();
    }
    for (const node of [one, two]) expect(withoutTicks(entriesOf(node))).toEqual(live);
    expect(new Set(withoutTicks(recordsIn(world).map(({ key }) => key)).filter((key) => !key.startsWith('\0')))).toEqual(new Set(live));
    expect(recordsIn(world).length).toBeLessThan(40);
    const fresh = await readyNode(world, { name: 'n3:8082' });
    expect(withoutTicks(entriesOf(fresh))).toEqual(live);
    expect(fresh.replica.status.genesis).toBe(one.replica.status.genesis);
  });

  test('a node that was away while a key was deleted and swept comes back and agrees', async () => {
    const world = sweptWorld();
    const node = await sweepingNode(world);
    const disk = new MemoryDisk();
    const away = await readyNode(world, { name: 'n2:8082', disk });
    for (const key of ['k', 'kept']) await write(world, node, key, 'v');
    await untilApplied(world, away);
    await world.clock.outcome(away.replica.close());
    await remove(world, node, 'k');
    await pass(world, graceMs + 1_000);
    await world.clock.until('it is swept', () => tombstones(world).length === 1);
    await pass(world, 2 * graceMs);
    world.topic.compact();
    expect(recordsIn(world).filter(({ key }) => key === 'k')).toHaveLength(1);
    expect(disk.entries.get('k')?.entry.deleted).toBe(false);
    const back = await startNode(world, { name: 'n2:8082', disk });
    await untilReady(world, back);
    // The delete is compacted away: what the tombstone met is for the others to say, and until then nothing is answered.
    await world.clock.until('it is in no doubt', () => disk.unsettled.size === 0);
    expect(await holds(back, 'k')).toBeUndefined();
    expect(await holds(back, 'kept')).toBe('v');
    await pass(world, 2 * graceMs);
    await world.clock.advance(2_000);
    expect([withoutTicks(entriesOf(back)), back.aside]).toEqual([['kept'], []]);
    expect(entriesOf(back)).toEqual(entriesOf(node));
  });
});
