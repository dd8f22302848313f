/** The past of a key: its versions as far as the log tells them, what stood at a moment, and the way back to it. */
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { conditionalPutRecord, deleteRecord, putRecord } from '../../src/core/record.ts';
import type { History, HistoryOptions, Millis, Moment, Offset, Position } from '../../src/ports.ts';
import { by } from '../core/records.ts';
import {
  codeFrom,
  openWorld,
  partitionIn,
  reads,
  readyNode,
  remove,
  type TestNode,
  textOfAnswer,
  untilApplied,
  type World,
  write,
} from './node.ts';

const history = ({ clock }: World, node: TestNode, key: string, options: Partial<HistoryOptions> = {}): Promise<History> =>
  clock.outcome(node.replica.history(key, { limit: 100, ...options }));

const told = ({ versions }: History): string[] =>
  versions.map(({ found, version }) => `${version.offset} ${found === undefined ? 'deleted' : Buffer.from(found.value).toString()}`);

const readAt = async ({ clock }: World, node: TestNode, key: string, at: Moment): Promise<string | undefined> =>
  textOfAnswer(await clock.outcome(node.replica.readAt(key, at)));

const justBefore = ({ partition, offset }: Position): Position => ({ partition, offset: (offset - 1) as Offset });

/** A key that is written, deleted, refused and written again, among others. */
async function eventful(options: { compactionLagMs?: number } = {}) {
  const world = openWorld({ partitions: 1, ...options });
  const node = await readyNode(world);
  const places: Position[] = [];
  await world.clock.advance(5_000);
  for (const value of ['1', '2']) places.push((await write(world, node, 'k', value)).position);
  await write(world, node, 'other', 'x');
  await world.clock.advance(1_000);
  places.push((await remove(world, node, 'k')).position);
  const refused = world.topic.inject(
    partitionIn(world, 'k'),
    conditionalPutRecord(bytesOf('k'), bytesOf('refused'), 'present', by(1, 'x/1')),
  );
  await world.clock.advance(1_000);
  places.push((await world.clock.outcome(node.replica.put('k', bytesOf('3'), { condition: 'absent' }))).position);
  await world.clock.advance(5_000);
  return { world, node, places, refused };
}

describe('versions', () => {
  test('newest first, with deletes, without what was refused, repeated or stated; after a restart too', async () => {
    const { world, node, places } = await eventful();
    world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('other'), bytesOf('y'), by(5, 'y/1')));
    world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k'), bytesOf('repeated'), by(5, 'y/1')));
    await untilApplied(world, node);
    await world.clock.advance(5_000);
    const expected = [`${places[3]?.offset} 3`, `${places[2]?.offset} deleted`, `${places[1]?.offset} 2`, `${places[0]?.offset} 1`];
    const all = await history(world, node, 'k');
    expect(told(all)).toEqual(expected);
    expect(all.versions.map(({ by: writer }) => writer)).toEqual(Array(4).fill('n1:8082'));
    expect(all.next).toBeUndefined();
    expect(all.completeSince.position).toEqual({ partition: 0, offset: 0 });
    await world.clock.outcome(node.replica.close());
    const again = await readyNode(world, { disk: node.disk() });
    expect(told(await history(world, again, 'k'))).toEqual(expected);
  });

  test('by pages, and since a place or a time', async () => {
    const { world, node, places } = await eventful();
    const pages: string[] = [];
    let page = await history(world, node, 'k', { limit: 1 });
    for (let i = 0; ; i++) {
      pages.push(...told(page));
      expect(page.completeSince.position.offset).toBe(page.versions.at(-1)?.version.offset ?? 0);
      if (page.next === undefined || i > 9) break;
      page = await history(world, node, 'k', { limit: 1, before: page.next });
    }
    expect(pages).toEqual(told(await history(world, node, 'k')));
    expect(told(await history(world, node, 'k', { since: places[2] }))).toHaveLength(2);
    const { time } = (await history(world, node, 'k')).versions[2] as { time: Millis };
    expect(told(await history(world, node, 'k', { since: time }))).toHaveLength(4);
    expect(told(await history(world, node, 'k', { since: (time + 1) as Millis }))).toHaveLength(2);
    expect((await history(world, node, 'k', { since: places[2] })).next).toBeUndefined();
  });

  test('of a key that never was: none, and all is known', async () => {
    const { world, node } = await eventful();
    expect(await history(world, node, 'never')).toMatchObject({
      versions: [],
      completeSince: { position: { offset: 0 } },
      next: undefined,
    });
  });

  test('of many: bounded by number, the rest behind a cursor', async () => {
    const world = openWorld({ partitions: 1 });
    const node = await readyNode(world);
    for (let i = 0; i < 5_000; i++) world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k'), bytesOf(`${i}`), by(i + 1, 'x/1')));
    await untilApplied(world, node);
    const values: string[] = [];
    for (let next: Position | undefined, i = 0; i < 20; i++) {
      const page = await history(world, node, 'k', { limit: 1_000, ...(next === undefined ? {} : { before: next }) });
      expect(page.versions.length).toBeLessThanOrEqual(1_000);
      values.push(...page.versions.map(({ found }) => Buffer.from(found?.value ?? []).toString()));
      next = page.next;
      if (next === undefined) break;
    }
    expect(values).toEqual(Array.from({ length: 5_000 }, (_, i) => `${4_999 - i}`));
  });

  test('of large values: bounded by bytes, and complete to there', async () => {
    const world = openWorld({ partitions: 1 });
    const node = await readyNode(world);
    const large = (i: number): Uint8Array => new Uint8Array(100_000).fill(i);
    for (let i = 0; i < 100; i++) world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k'), large(i), by(i + 1, 'x/1')));
    await untilApplied(world, node);
    const page = await history(world, node, 'k');
    expect(page.versions).toHaveLength(84);
    expect(page.next).toEqual(page.versions.at(-1)?.version);
    expect(page.completeSince.position).toEqual(page.next);
    expect((await history(world, node, 'k', { before: page.next })).versions).toHaveLength(16);
  });

  test('after a compaction: what is left, from where all is known, and refused below it', async () => {
    const { world, node, places } = await eventful({ compactionLagMs: 0 });
    expect(world.topic.compact()).toBeGreaterThan(0);
    const { position: newest } = await write(world, node, 'k', '4');
    await write(world, node, 'k', '5');
    const all = await history(world, node, 'k');
    // What set the third is gone, but a statement tells of it.
    expect(told(all)).toEqual([`${newest.offset + 1} 5`, `${newest.offset} 4`, `${places[3]?.offset} 3`]);
    expect(all.completeSince.position.offset).toBeGreaterThan(places[3]?.offset as number);
    expect(all.completeSince.position.offset).toBeLessThanOrEqual(newest.offset);
    expect(told(await history(world, node, 'k', { since: newest }))).toHaveLength(2);
    const low = world.clock.outcome(node.replica.history('k', { limit: 100, since: places[0] as Position }));
    await expect(low).rejects.toMatchObject({ code: 'history-compacted', completeSince: all.completeSince.position });
    expect(await codeFrom(world, node.replica.history('k', { limit: 100, since: 1 as Millis }))).toBe('history-compacted');
  });

  test('bad questions', async () => {
    const { world, node } = await eventful();
    const code = (options: HistoryOptions) => codeFrom(world, (async () => node.replica.history('k', options))());
    for (const limit of [0, 1_001, 1.5]) expect(await code({ limit })).toBe('bad-request');
    expect(await code({ limit: 1, since: { partition: 7, offset: 0 } as Position })).toBe('bad-request');
  });
});

describe('at a moment', () => {
  test('a place, everything up to it included', async () => {
    const { world, node, places, refused } = await eventful();
    const [one, two, gone, three] = places as [Position, Position, Position, Position];
    expect(await readAt(world, node, 'k', one)).toBe('1');
    expect(await readAt(world, node, 'k', justBefore(one))).toBeUndefined();
    expect(await readAt(world, node, 'k', two)).toBe('2');
    expect(await readAt(world, node, 'k', justBefore(gone))).toBe('2');
    expect(await readAt(world, node, 'k', gone)).toBeUndefined();
    expect(await readAt(world, node, 'k', { partition: gone.partition, offset: refused.offset })).toBeUndefined();
    expect(await readAt(world, node, 'k', three)).toBe('3');
    expect(await readAt(world, node, 'k', { ...three, offset: (three.offset + 1) as Offset })).toBe('3');
    expect(await codeFrom(world, node.replica.readAt('k', { ...three, offset: (three.offset + 999) as Offset }))).toBe(
      'position-not-reached',
    );
  });

  test('a time of the log', async () => {
    const { world, node } = await eventful();
    const [three, gone, two, one] = (await history(world, node, 'k')).versions.map(({ time }) => time) as [Millis, Millis, Millis, Millis];
    expect(await readAt(world, node, 'k', (one - 1) as Millis)).toBeUndefined();
    expect(await readAt(world, node, 'k', two)).toBe('2');
    expect(await readAt(world, node, 'k', (gone - 1) as Millis)).toBe('2');
    expect(await readAt(world, node, 'k', gone)).toBeUndefined();
    expect(await readAt(world, node, 'k', three)).toBe('3');
    expect(await readAt(world, node, 'k', world.clock.now())).toBe('3');
    await expect(async () => node.replica.readAt('k', (world.clock.now() + 60_000) as Millis)).rejects.toMatchObject({
      code: 'bad-request',
    });
  });

  test('a value that had a deadline was there until then', async () => {
    const world = openWorld({ partitions: 1 });
    const node = await readyNode(world);
    const expires = (world.clock.now() + 2_000) as Millis;
    const { position } = await world.clock.outcome(node.replica.put('k', bytesOf('short'), { expires }));
    await world.clock.advance(5_000);
    const { position: later } = await write(world, node, 'other', 'x');
    expect(await readAt(world, node, 'k', position)).toBe('short');
    expect(await readAt(world, node, 'k', later)).toBeUndefined();
    expect(await readAt(world, node, 'k', (expires - 1) as Millis)).toBe('short');
    expect(await readAt(world, node, 'k', expires)).toBeUndefined();
  });

  test('before what compaction has left: refused, never a guess', async () => {
    const { world, node, places } = await eventful({ compactionLagMs: 0 });
    const [one, , , three] = places as [Position, Position, Position, Position];
    world.topic.compact();
    await write(world, node, 'k', '4');
    expect(await codeFrom(world, node.replica.readAt('k', one))).toBe('history-compacted');
    expect(await codeFrom(world, node.replica.readAt('k', three))).toBe('history-compacted');
    expect(await codeFrom(world, node.replica.readAt('k', 1_000 as Millis))).toBe('history-compacted');
    // What has not changed since needs no log.
    expect(await readAt(world, node, 'other', { partition: three.partition, offset: (three.offset + 1) as Offset })).toBe('x');
  });
});

describe('the way back', () => {
  test('to a value, to nothing, and not over what came meanwhile', async () => {
    const { world, node, places } = await eventful();
    const [one, two, gone] = places as [Position, Position, Position];
    await world.clock.outcome(node.replica.revert('k', one));
    expect(await reads(world, node, 'k')).toBe('1');
    await world.clock.outcome(node.replica.revert('k', gone));
    expect(await reads(world, node, 'k')).toBeUndefined();
    await world.clock.outcome(node.replica.revert('k', two));
    expect(await reads(world, node, 'k')).toBe('2');
    expect(await codeFrom(world, node.replica.revert('k', one, { condition: one }))).toBe('version-conflict');
    expect(await reads(world, node, 'k')).toBe('2');
    expect(told(await history(world, node, 'k'))).toHaveLength(7);
  });

  test('with a new deadline, and the content type of then', async () => {
    const world = openWorld();
    const node = await readyNode(world);
    const { position } = await world.clock.outcome(node.replica.put('k', bytesOf('{}'), { contentType: 'application/json' }));
    await remove(world, node, 'k');
    const expires = (world.clock.now() + 60_000) as Millis;
    await world.clock.outcome(node.replica.revert('k', position, { expires }));
    expect((await node.replica.readLocal('k')).found).toMatchObject({ contentType: 'application/json', expires });
  });
});

test('a node that has not seen the log says so', async () => {
  const { world, node, places } = await eventful();
  world.topic.inject(partitionIn(world, 'k'), deleteRecord(bytesOf('k'), by(9, 'z/1')));
  await untilApplied(world, node);
  world.topic.disconnect();
  const [one] = places as [Position];
  expect(await codeFrom(world, node.replica.readAt('k', one))).toBe('log-unavailable');
  expect(await codeFrom(world, node.replica.history('k', { limit: 9 }))).toBe('log-unavailable');
});
