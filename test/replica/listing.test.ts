/** Listings and counts of one node: what pages hold, what they wait for, and what ends them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import type { Entry, Listing, ListOptions, Millis, Offset, Partition, Store } from '../../src/ports.ts';
import type { Horizon } from '../../src/replica/horizon.ts';
import { Listings, type ListingsOptions } from '../../src/replica/listing.ts';
import { ListingPage } from '../../src/replica/listing-page.ts';
import { Waiters } from '../../src/replica/waiters.ts';
import { openMemoryStore } from '../../storage/store/memory-store.ts';
import { batchOf, entryWith, identityWith } from '../contract/store-values.ts';
import { by, ifMatch, put } from '../core/records.ts';
import { codeFrom, openWorld, partitionIn, readyNode, remove, startNode, type TestNode, untilApplied, untilReady, write } from './node.ts';
import { TestClock } from './test-clock.ts';

const inBytes = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
const keysOf = ({ items }: Listing): string[] => items.map(({ key }) => key);
const namesOf = ({ items, prefixes }: Listing): string[] => [...items.map(({ key }) => key), ...prefixes].sort(inBytes);

/** Over a store that is just filled, without a log. */
async function listingsOver(
  entries: Iterable<[string, Entry]>,
  changes: Partial<ListingsOptions> = {},
): Promise<{ listings: Listings; scans: { count: number; entries: number }; clock: TestClock }> {
  const store = await openMemoryStore();
  await store.write(batchOf(entries, { identity: identityWith({ partitions: 1 }) }));
  const scans = { count: 0, entries: 0 };
  const counting: Pick<Store, 'scan'> = {
    scan: async (range) => {
      const scan = await store.scan(range);
      scans.count++;
      scans.entries += scan.entries.length;
      return scan;
    },
  };
  const clock = new TestClock();
  const listings = new Listings({
    limits: { maxKeyBytes: 100, maxValueBytes: 100 },
    clock,
    meter: { read: () => undefined } as never,
    waiters: new Waiters(() => 0 as Offset),
    horizon: undefined as unknown as Horizon,
    store: () => counting as Store,
    partitions: () => 1,
    applied: () => 7 as Offset,
    genesis: () => 'g',
    isDoubtful: () => false,
    doubtsEnded: () => 0,
    whole: () => true,
    storeTrouble: (error) => {
      throw error;
    },
    ...changes,
  });
  return { listings, scans, clock };
}

/** All pages, each as its names. */
async function pagesOf(listings: Pick<Listings, 'list'>, options: ListOptions): Promise<string[][]> {
  const pages: string[][] = [];
  let { after } = options;
  do {
    const listing = await listings.list({ ...options, after });
    expect(keysOf(listing)).toEqual(keysOf(listing).sort(inBytes));
    expect(listing.prefixes).toEqual([...listing.prefixes].sort(inBytes));
    pages.push(namesOf(listing));
    after = listing.next;
  } while (after !== undefined);
  return pages;
}

const gone = entryWith({ deleted: true, value: new Uint8Array(0) });
const live = entryWith();

describe('pages', () => {
  const letters = fc.constantFrom('a', 'b', '/', '//', 'é', '\u007f', '\u0001', '\uffff', '𝒳', '😀');
  const texts = (minLength: number, maxLength: number) => fc.array(letters, { minLength, maxLength }).map((parts) => parts.join(''));
  const entries = fc.constantFrom(live, live, live, gone, entryWith({ expires: 1 as Millis }), entryWith({ expires: 4e12 as Millis }));
  const anyKey = fc.oneof({ weight: 9, arbitrary: texts(1, 5) }, { weight: 1, arbitrary: texts(0, 2).map((text) => `\0${text}`) });

  test('cover all live keys, and each group, once and in byte order', async () => {
    const question = fc.record({
      prefix: texts(0, 2),
      delimiter: fc.option(fc.constantFrom('/', '//', '𝒳', 'ab'), { nil: undefined }),
      after: fc.option(texts(1, 3), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(anyKey, entries), { maxLength: 60 }), question, async (content, asked) => {
        const { listings } = await listingsOver(content);
        const expected = modelOf(new Map(content), asked);
        const pages = await pagesOf(listings, asked);
        expect(pages.flat()).toEqual(expected);
        // All are full but the last, which is only empty when nothing was asked for that is there.
        expect(pages.slice(0, -1).every((page) => page.length === asked.limit)).toBe(true);
        expect(pages).toHaveLength(Math.max(1, Math.ceil(expected.length / asked.limit)));
        const count = modelOf(new Map(content), { prefix: asked.prefix }).length;
        expect(await listings.count(asked.prefix, 1_000)).toBe(count);
        expect(await listings.count(asked.prefix, asked.limit)).toBe(Math.min(count, asked.limit));
      }),
      { numRuns: 300 },
    );
  });

  /** Names to be listed. */
  function modelOf(content: ReadonlyMap<string, Entry>, { prefix, delimiter, after }: Omit<ListOptions, 'limit'>): string[] {
    const groupOf = (key: string): string | undefined => {
      const at = delimiter === undefined || !key.startsWith(prefix) ? -1 : key.indexOf(delimiter, prefix.length);
      return at < 0 ? undefined : key.slice(0, at + (delimiter as string).length);
    };
    const isBehind = (key: string): boolean =>
      after === undefined || (inBytes(key, after) > 0 && !(groupOf(after) === after && groupOf(key) === after));
    const keys = [...content]
      .filter(([, { deleted, expires }]) => !deleted && expires !== 1)
      .map(([key]) => key)
      .filter((key) => key.trim() !== '' && !key.startsWith('\0') && key.startsWith(prefix) && isBehind(key));
    return [...new Set(keys.map((key) => groupOf(key) ?? key))].sort(inBytes);
  }

  test('a group is not read through', async () => {
    const many = Array.from({ length: 20_000 }, (_, i): [string, Entry] => [`${i % 4}/${i}`, live]);
    const { listings, scans } = await listingsOver([...many, ['5', live]]);
    const listing = await listings.list({ prefix: '', delimiter: '/', limit: 100 });
    expect(listing).toMatchObject({ prefixes: ['0/', '1/', '2/', '3/'], next: undefined, applied: [7] });
    expect(keysOf(listing)).toEqual(['5']);
    expect(scans.entries).toBeLessThan(200);
  });

  test('a page of few is asked for at once', async () => {
    const { listings, scans } = await listingsOver(Array.from({ length: 500 }, (_, i): [string, Entry] => [`k${i}`, live]));
    await listings.list({ prefix: 'k', limit: 32 });
    expect(scans).toEqual({ count: 1, entries: 33 });
  });

  test('what was deleted is looked at only so long: a page may be empty though more follows', async () => {
    const dead = Array.from({ length: 150_000 }, (_, i): [string, Entry] => [`d/${String(i).padStart(6, '0')}`, gone]);
    const { listings, scans } = await listingsOver([...dead, ['d/', gone], ['d/z', live], ['e', live]]);
    const first = await listings.list({ prefix: '', delimiter: '/', limit: 10 });
    expect(namesOf(first)).toEqual([]);
    expect(scans.entries).toBeLessThan(102_000);
    // The group that it ended in is listed when something of it lives.
    const second = await listings.list({ prefix: '', delimiter: '/', limit: 10, after: first.next });
    expect(namesOf(second)).toEqual(['d/', 'e']);
    expect(second.next).toBeUndefined();
    expect(await listings.count('', 10)).toBe(2);
  });

  test('large values end a page', async () => {
    const value = Buffer.alloc(3 * 1024 * 1024);
    const { listings } = await listingsOver(['a', 'b', 'c', 'd'].map((key): [string, Entry] => [key, entryWith({ value })]));
    expect(await pagesOf(listings, { prefix: '', limit: 10 })).toEqual([['a', 'b', 'c'], ['d']]);
  });

  test('keys that cannot be read are not listed', async () => {
    const { listings } = await listingsOver([' ', '\0x', 'x'.repeat(101), 'é'.repeat(51), 'ok'].map((key): [string, Entry] => [key, live]));
    expect(await pagesOf(listings, { prefix: '', limit: 10 })).toEqual([['ok']]);
    expect(await pagesOf(listings, { prefix: '\0', limit: 10 })).toEqual([[]]);
    expect(await listings.count('', 10)).toBe(1);
  });

  test.each<Partial<ListOptions>>([
    { limit: 0 },
    { limit: 1_001 },
    { limit: 1.5 },
    { limit: Number.NaN },
    { prefix: '\ud800' },
    { after: '\udc00' },
    { delimiter: '\ud800' },
  ])('%o is a bad request', async (options) => {
    const { listings } = await listingsOver([]);
    await expect(listings.list({ prefix: '', limit: 1, ...options })).rejects.toMatchObject({ code: 'bad-request' });
    if (options.after === undefined && options.delimiter === undefined) {
      const { prefix = '', limit = 1 } = options;
      if (limit !== 1_001) await expect(listings.count(prefix, limit)).rejects.toMatchObject({ code: 'bad-request' });
    }
  });

  test('a store that is replaced meanwhile holds less than what was waited for: it is not gone on with', async () => {
    const stores = await Promise.all([openMemoryStore(), openMemoryStore()]);
    const dead = Array.from({ length: 100 }, (_, i): [string, Entry] => [`k${i}`, gone]);
    await stores[0].write(batchOf(dead, { identity: identityWith({ partitions: 1 }) }));
    let asked = 0;
    const store = (): Store => (asked++ < 3 ? stores[0] : stores[1]);
    const { listings } = await listingsOver([], { store });
    await expect(listings.list({ prefix: '', limit: 1 })).rejects.toMatchObject({ code: 'store-failed' });
  });

  test('what was read before a doubt ended is read again', async () => {
    let ended = 0;
    const store = await openMemoryStore();
    const unsettled = entryWith({ settled: false, version: 1 as Offset });
    await store.write(batchOf([['k', unsettled]], { identity: identityWith({ partitions: 1 }) }));
    const ending: Pick<Store, 'scan'> = {
      scan: async (range) => {
        const scan = await store.scan(range);
        if (ended++ === 0) await store.write(batchOf([['k', entryWith({ version: 2 as Offset })]]));
        return scan;
      },
    };
    const { listings, clock } = await listingsOver([], { store: () => ending as Store, doubtsEnded: () => Math.min(ended, 1) });
    const { items } = await clock.outcome(listings.list({ prefix: '', limit: 1 }));
    expect(items.map(({ found }) => found.version?.offset)).toEqual([2]);
  });

  test('no page ends at a key that is spelled as its group, or the rest of the group would be passed over', () => {
    const page = new ListingPage({ prefix: '', delimiter: '/', limit: 1 });
    expect(page.nextBehind('d/')).toBeUndefined();
    expect(page.nextBehind('d/x')).toBe('d/x');
    page.add('d/y', () => {
      throw new Error('a group has no value');
    });
    expect(page.nextBehind('d/z')).toBe('d/');
  });

  test.each(['latest', 'linearizable'] as const)('are not begun before all partitions are applied: %s', async (consistency) => {
    const applied = [5, 5] as Offset[];
    const waiters = new Waiters((partition) => applied[partition] as Offset);
    const end = (partition: Partition) => ({ partition, offset: 9 as Offset });
    const ends = [0, 1].map((partition) => end(partition as Partition));
    const horizon = { ends: async () => ends, barrier: async (partition: Partition) => end(partition) } as unknown as Horizon;
    const { listings, scans, clock } = await listingsOver([['k', live]], { waiters, horizon, partitions: () => 2 });
    const listing = listings.list({ prefix: '', limit: 1, consistency });
    for (const partition of [1, 0] as Partition[]) {
      await clock.advance(100);
      expect(scans.count).toBe(0);
      applied[partition] = 10 as Offset;
      waiters.applied(partition, 10 as Offset);
    }
    expect(keysOf(await clock.outcome(listing))).toEqual(['k']);
    applied[1] = 0 as Offset;
    await expect(clock.outcome(listings.list({ prefix: '', limit: 1, consistency, waitMs: 100 }))).rejects.toMatchObject({
      code: 'position-not-reached',
    });
  });

  test('a count ends when its caller goes away', async () => {
    const { listings } = await listingsOver(Array.from({ length: 5_000 }, (_, i): [string, Entry] => [`k${i}`, live]));
    await expect(listings.count('k', 10_000, AbortSignal.abort())).rejects.toMatchObject({ code: 'position-not-reached' });
  });
});

describe('a node', () => {
  const listed = async (node: TestNode, options: Partial<ListOptions> = {}): Promise<string[]> =>
    keysOf(await node.replica.list({ prefix: '', limit: 100, ...options }));

  test('lists what is written, and no longer what is deleted or expired', async () => {
    const world = openWorld();
    const node = await readyNode(world);
    for (const key of ['a', 'b', 'c', 'd']) await write(world, node, key, `value of ${key}`);
    await remove(world, node, 'b');
    const expires = (world.clock.now() + 5_000) as Millis;
    const { position } = await world.clock.outcome(node.replica.put('c', bytesOf('x'), { expires, contentType: 'text/plain' }));
    await untilApplied(world, node);
    const { items, applied } = await node.replica.list({ prefix: '', limit: 100 });
    expect(items.map(({ key }) => key)).toEqual(['a', 'c', 'd']);
    expect(items[1]?.found).toMatchObject({ version: position, expires, contentType: 'text/plain' });
    expect(Buffer.from(items[1]!.found.value).toString()).toBe('x');
    expect(applied).toEqual(node.replica.status.applied);
    expect(await node.replica.count('', 100)).toBe(3);
    await world.clock.advance(6_000);
    expect(await listed(node)).toEqual(['a', 'd']);
    expect(await node.replica.count('', 100)).toBe(2);
  });

  test('waits in every partition for what the caller has seen', async () => {
    const world = openWorld({ partitions: 4 });
    const writer = await readyNode(world);
    const reader = await readyNode(world, { name: 'n2:8082' });
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    const genesis = writer.replica.genesis as string;
    const positions = keys.map((key) => world.topic.inject(partitionIn(world, key), put(key, 'v')));
    const newest = [...new Map(positions.map((position) => [position.partition, position])).values()];
    expect(newest.length).toBeGreaterThan(2);
    const early = listed(reader);
    expect(await world.clock.outcome(listed(reader, { seen: { genesis, positions: newest } }))).toEqual([...keys].sort(inBytes));
    expect((await early).length).toBeLessThan(keys.length);
    const far = { genesis, positions: [{ partition: 3 as Partition, offset: 1_000 as Offset }] };
    expect(await codeFrom(world, reader.replica.list({ prefix: '', limit: 1, seen: far, waitMs: 200 }))).toBe('position-not-reached');
    const foreign = { genesis: 'another', positions: newest };
    expect(await codeFrom(world, reader.replica.list({ prefix: '', limit: 1, seen: foreign }))).toBe('position-foreign');
  });

  test.each(['latest', 'linearizable'] as const)('lists all that was acknowledged before: %s', async (consistency) => {
    const world = openWorld({ partitions: 4 });
    const writer = await readyNode(world);
    const reader = await readyNode(world, { name: 'n2:8082' });
    const before = world.topic.bounds.map(({ next }) => next);
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    for (const key of keys) world.topic.inject(partitionIn(world, key), put(key, 'v'));
    expect(await world.clock.outcome(listed(reader, { consistency }))).toEqual([...keys].sort(inBytes));
    const barriers = world.topic.bounds.map(({ next }, partition) => next - (before[partition] as number));
    expect(barriers.reduce((sum, count) => sum + count)).toBe(keys.length + (consistency === 'latest' ? 0 : 4));
    world.topic.disconnect();
    expect(await codeFrom(world, writer.replica.list({ prefix: '', limit: 1, consistency }))).not.toBe('none');
    expect(await listed(reader)).toHaveLength(keys.length);
  });

  test('waits for a key in doubt, and does not guess', async () => {
    const world = openWorld({ compactionLagMs: 1_000 });
    const partition = partitionIn(world, 'k');
    world.topic.inject(partition, put('a', 'x'));
    // Accepted, then refused; compaction keeps only the refused one, which a new node would take for the first.
    world.topic.inject(partition, ifMatch('k', 'accepted', 'absent', by(1, 'a/1')));
    world.topic.inject(partition, ifMatch('k', 'refused', 'absent', by(1, 'b/1')));
    await world.clock.advance(5_000);
    expect(world.topic.compact()).toBe(1);
    world.topic.inject(partition, put('z', 'x'));
    const node = await startNode(world);
    await untilReady(world, node);
    expect(await codeFrom(world, node.replica.list({ prefix: '', limit: 10, waitMs: 200 }))).toBe('in-doubt');
    expect(await codeFrom(world, node.replica.list({ prefix: 'k', delimiter: '/', limit: 10, waitMs: 0 }))).toBe('in-doubt');
    expect(await codeFrom(world, node.replica.count('', 10))).toBe('in-doubt');
    // Where it has no part, nobody waits for it.
    expect(await node.replica.count('z', 10)).toBe(1);
    expect(await node.replica.count('', 1)).toBe(1);
    const first = await node.replica.list({ prefix: '', limit: 1 });
    expect([keysOf(first), first.next]).toEqual([['a'], 'a']);
    const waiting = listed(node, { waitMs: 10_000 });
    const counting = node.replica.count('', 10);
    await world.clock.advance(300);
    world.topic.inject(partition, put('k', 'settled'));
    expect(await world.clock.outcome(waiting)).toEqual(['a', 'k', 'z']);
    expect(await world.clock.outcome(counting)).toBe(3);
  });

  test('a store that fails under a listing is mended', async () => {
    const world = openWorld();
    const node = await readyNode(world);
    await write(world, node, 'a', 'x');
    await untilApplied(world, node);
    node.faults.read = 'store-damaged';
    expect(await codeFrom(world, node.replica.list({ prefix: '', limit: 10 }))).toBe('store-damaged');
    expect(await codeFrom(world, node.replica.list({ prefix: '', limit: 10 }))).toBe('store-failed');
    await world.clock.until('it is rebuilt', () => node.aside.length > 0);
    await untilReady(world, node);
    await untilApplied(world, node);
    expect(await listed(node)).toEqual(['a']);
    await world.clock.outcome(node.replica.close());
    expect(await codeFrom(world, node.replica.list({ prefix: '', limit: 10 }))).toBe('store-failed');
    expect(await codeFrom(world, node.replica.count('', 10))).toBe('store-failed');
  });
});
