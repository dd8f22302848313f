/** Taking a store from other nodes: from a real one, over connections that break, and from every kind of liar. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seedingFromPeers } from '../../cluster/seed-from-peers.ts';
import type { SeedLimits } from '../../cluster/seed-stream.ts';
import { codeOf } from '../../src/core/errors.ts';
import type { SeedWanted, SnapshotSource, Store } from '../../src/ports.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { openSeedPlace } from '../../storage/store/snapshot-place.ts';
import { jsonFrame, rowsFrameHead, snapshotType } from '../../wire/snapshot-frames.ts';
import { type Running, startServer } from '../rpc/http/start-server.ts';
import { batch, contentsOf, fill, genesis, identity } from '../storage/snapshot-store.ts';
import { createKeptLog, realClock } from './real-clock.ts';
import { cuttingProxy, type Frames, fakeGiver, framesOf, sends, stopGivers, told } from './seed-givers.ts';

let home: string;
let source: Store & SnapshotSource;
let running: Running[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-seed-'));
  source = await openLevelStore({ directory: join(home, 'giver') });
  await fill(source, 0, 200);
  running = [];
});
afterEach(async () => {
  stopGivers();
  for (const each of running) await each.stop();
  await source.close();
  await rm(home, { recursive: true, force: true });
});

/** A node that gives `source`. */
async function giver(bytesPerSecond = 1e9): Promise<string> {
  const server = await startServer({}, 1_000, undefined, {
    members: () => [],
    askMember: async () => undefined,
    giving: { source: () => source, bytesPerSecond },
  });
  running.push(server);
  return `127.0.0.1:${server.port}`;
}

interface Taken {
  readonly outcome: string;
  readonly events: readonly string[];
  readonly reasons: readonly string[];
}

const limits: Partial<SeedLimits> = { pauseMs: 10 };
const impatient: Partial<SeedLimits> = { silentMs: 300 };
const wanted = (more: Partial<SeedWanted> = {}): SeedWanted => {
  const { clusterId, topic, partitions } = identity;
  const vacate = async (): Promise<void> => undefined;
  return { clusterId, topic, partitions, genesis: genesis.id, vacate, signal: new AbortController().signal, ...more };
};

async function take(
  members: readonly string[],
  more: Partial<SeedWanted> = {},
  name = 'taker',
  within: Partial<SeedLimits> = {},
): Promise<Taken> {
  const place = await openSeedPlace(join(home, name, 'store'));
  const log = createKeptLog();
  const reasons: string[] = [];
  const hear = (fields: object): void => {
    reasons.push(String((fields as { reason?: string }).reason));
  };
  const logger = { ...log, info: hear, warn: hear };
  const seed = seedingFromPeers({
    members: () => members.map((address) => ({ address, socket: '' })),
    place,
    clock: realClock,
    chance: { uuid: () => 'u', random: () => 0 },
    logger,
    limits: { ...limits, ...within },
  });
  return { outcome: await seed(wanted(more)), events: log.events, reasons };
}

const left = async (name = 'taker'): Promise<string[]> => (await readdir(join(home, name)).catch(() => [])).sort();

async function expectEqualStores(name = 'taker', as?: object): Promise<void> {
  expect(await left(name)).toEqual(['store', 'store.json']);
  const store = await openLevelStore({ directory: join(home, name, 'store') });
  expect(await store.verify()).toBeUndefined();
  expect(await contentsOf(store)).toEqual(as ?? (await contentsOf(source)));
  await store.close();
}

describe('a store from another node', () => {
  test('is as it was there, though that node is written to meanwhile', async () => {
    const before = await contentsOf(source);
    const address = await giver();
    let more = 200;
    const parts: number[] = [];
    const progress = (part: number): void => {
      parts.push(part);
      void source.write(batch(more++));
    };
    expect((await take([address], { progress })).outcome).toBe('seeded');
    expect(parts.length).toBeGreaterThan(3);
    expect(parts).toEqual([...parts].sort((a, b) => a - b));
    expect(parts.at(-1)).toBe(1);
    await expectEqualStores('taker', before);
  });

  test('is given to two at once', async () => {
    const address = await giver();
    const [one, two] = await Promise.all([take([address], {}, 'one'), take([address], {}, 'two')]);
    expect([one.outcome, two.outcome]).toEqual(['seeded', 'seeded']);
    await expectEqualStores('one');
    await expectEqualStores('two');
  });

  test('is gone on with where the connection broke, in the same snapshot, as often as it breaks', async () => {
    const before = await contentsOf(source);
    let more = 200;
    const proxy = await cuttingProxy(await giver(), (n) => (n < 4 ? 400_000 : undefined));
    const progress = (): void => void source.write(batch(more++));
    const { outcome, reasons } = await take([proxy.address], { progress });
    expect([outcome, reasons]).toMatchObject(['seeded', {}]);
    expect(proxy.count()).toBe(5);
    await expectEqualStores('taker', before);
  });

  test('is taken from the next when one is not there, refuses, or breaks off for good', async () => {
    const refuses = await fakeGiver((response) => response.writeHead(503).end());
    const frames = told(await framesOf(source));
    const breaks = await fakeGiver((response, url) => {
      if (url.includes('?')) response.destroy();
      else sends(...frames.slice(0, 3))(response);
    });
    const { outcome, reasons } = await take(['127.0.0.1:1', 'no address', refuses.address, breaks.address, await giver()]);
    expect(outcome).toBe('seeded');
    expect(reasons.slice(0, 3)).toEqual([
      expect.stringContaining('ECONNREFUSED'),
      'its address is none',
      expect.stringContaining('it answered 503'),
    ]);
    expect(breaks.asked).toHaveLength(4);
    expect(breaks.asked[1]).toMatch(/^\/v1\/snapshot\?name=fake&after=[\w-]+&rows=\d+&checksum=\d+$/);
    await expectEqualStores();
  });

  test('none: nobody is there to ask', async () => {
    expect((await take([])).outcome).toBe('none');
    expect(await left()).toEqual([]);
  });

  test('is looked at by the caller before anything is taken', async () => {
    const seen: unknown[] = [];
    const accept = async (head: object): Promise<string> => {
      seen.push(head);
      return 'it is behind';
    };
    const { outcome, reasons } = await take([await giver()], { accept });
    expect([outcome, reasons]).toEqual(['none', ['it is behind']]);
    expect(seen).toMatchObject([{ identity, checkpoints: source.checkpoints }]);
  });

  test.each([
    ['cluster', { clusterId: 'another' }],
    ['topic', { topic: 'another' }],
    ['number of partitions', { partitions: 8 }],
    ['genesis', { genesis: 'another' }],
  ])('of another %s is refused', async (_, other) => {
    expect((await take([await giver()], other)).outcome).toBe('none');
    expect(await left()).toEqual([]);
  });

  test('of a genesis not known yet is taken', async () => {
    expect((await take([await giver()], { genesis: undefined })).outcome).toBe('seeded');
  });
});

describe('the taking ends', () => {
  test('with its signal, at once and without a trace', async () => {
    const ending = new AbortController();
    const slow = await giver(2_000_000);
    const { outcome } = await take([slow, slow], { signal: ending.signal, progress: () => ending.abort() });
    expect(outcome).toBe('none');
    expect(await left()).toEqual([]);
    expect((await take([slow], { signal: ending.signal })).outcome).toBe('none');
  });

  test('with this node’s own trouble, which no other peer would mend', async () => {
    const vacate = (): Promise<void> => Promise.reject(new Error('it does not close'));
    const address = await giver();
    await expect(take([address, address], { vacate })).rejects.toThrow('it does not close');
    expect(await left()).toEqual([]);
  });

  test('when the giver drains: the next one gives', async () => {
    const [first, second] = [await giver(1_000_000), await giver()];
    let drained: Promise<void> | undefined;
    const progress = (): void => {
      if (drained !== undefined) return;
      running[0]!.keyValue.statusChange = { state: 'draining', ready: false };
      drained = running[0]!.server.drain();
    };
    expect((await take([first, second], { progress })).outcome).toBe('seeded');
    await drained;
    await expectEqualStores();
  });
});

describe('a peer that lies is left, with all that it said', () => {
  let frames: Frames;
  let sent: Buffer[];
  beforeEach(async () => {
    frames = await framesOf(source);
    sent = told(frames);
    expect(sent.length).toBeGreaterThan(5);
  });
  const with_ = (head: object): Buffer => jsonFrame('head', { ...frames.head, ...head });
  const flipped = (bytes: Buffer, at: number): Buffer => Buffer.from(bytes.with(at, bytes[at]! ^ 4));

  const lies: [string, () => Buffer[], RegExp][] = [
    ['a flipped bit in the rows', () => sent.with(2, flipped(sent[2]!, 5_000)), /checksum of its rows/],
    ['a flipped bit in the head', () => sent.with(0, flipped(sent[0]!, 60)), /head cannot be understood/],
    ['a flipped bit in the end', () => sent.with(-1, flipped(sent.at(-1)!, 15)), /it says that it sent/],
    ['a missing frame', () => sent.toSpliced(2, 1), /checksum of its rows/],
    ['a repeated frame', () => sent.toSpliced(2, 0, sent[2]!), /checksum of its rows/],
    ['another store’s number of rows', () => [...sent.slice(0, -1), jsonFrame('end', { rows: 7, checksum: 0 })], /it says that it sent 7/],
    ['an end too early', () => told({ ...frames, runs: frames.runs.slice(0, 2) }), /entries, its checkpoint says|are listed/],
    ['no head', () => sent.slice(1), /not in order/],
    ['two heads', () => [sent[0]!, ...sent], /not in order/],
    [
      'rows of a flipped bit under a checksum that fits',
      () => told(withRun(1, (bytes) => flipped(bytes, 9_000))),
      /checksum|cut short|order|family/,
    ],
    ['garbage', () => [Buffer.alloc(100_000, 'garbage')], /no frames/],
    ['a frame without end', () => [sent[0]!, rowsFrameHead(0xffffffff, 0)], /no frames/],
    ['rows without end', () => told({ ...frames, runs: [...frames.runs, ...frames.runs] }), /order/],
    ['a head of nothing', () => [with_({ checkpoints: [], identity: { ...identity, partitions: 0 } })], /head cannot be understood/],
    ['too few checkpoints', () => [with_({ checkpoints: frames.head.checkpoints.slice(1) })], /head cannot be understood/],
    ['checkpoints of text', () => [with_({ checkpoints: [{ next: '7' }, null] })], /head cannot be understood/],
    ['a later form of snapshots', () => [with_({ snapshot: 2 })], /head cannot be understood/],
    ['a store of another format', () => [with_({ format: 9 }), ...sent.slice(1)], /format 9/],
  ];
  function withRun(at: number, change: (bytes: Buffer) => Buffer): Frames {
    const run = frames.runs[at]!;
    return { ...frames, runs: frames.runs.with(at, { ...run, bytes: change(Buffer.from(run.bytes)) }) };
  }
  for (const [name, lie, reason] of lies) {
    test(`${name}`, async () => {
      const liar = await fakeGiver(sends(...lie()));
      const { outcome, reasons } = await take([liar.address]);
      expect(outcome).toBe('none');
      expect(reasons[0]).toMatch(reason);
      expect(liar.asked).toHaveLength(1);
      expect(await left()).toEqual([]);
    });
  }

  test('and the next one is asked', async () => {
    const liar = await fakeGiver(sends(...sent.with(3, flipped(sent[3]!, 700))));
    expect((await take([liar.address, await giver()])).outcome).toBe('seeded');
    await expectEqualStores();
  });

  test('one that says the truth is none of them', async () => {
    expect((await take([(await fakeGiver(sends(...sent))).address])).outcome).toBe('seeded');
    await expectEqualStores();
  });

  test('going on with another snapshot than the one that broke', async () => {
    const liar = await fakeGiver((response, url) =>
      sends(...(url.includes('?') ? [with_({ name: 'other' })] : sent.slice(0, 3)))(response),
    );
    expect((await take([liar.address])).reasons[0]).toMatch(/another snapshot/);
  });

  const hang = (...first: Buffer[]) =>
    fakeGiver((response) => {
      response.writeHead(200, { 'content-type': snapshotType });
      for (const frame of first) response.write(frame);
    });

  test('silence from the beginning', async () => {
    const silent = await fakeGiver(() => undefined);
    expect((await take([silent.address], {}, 'taker', impatient)).reasons[0]).toMatch(/no answer for 300 ms/);
    expect(silent.asked).toHaveLength(1);
  });

  test('silence in the middle, again and again', async () => {
    const silent = await hang(sent[0]!, sent[1]!.subarray(0, 1_000));
    expect((await take([silent.address], {}, 'taker', impatient)).reasons[0]).toMatch(/nothing came for 300 ms/);
    expect(silent.asked).toHaveLength(3);
    expect(await left()).toEqual([]);
  });

  test('a drip', async () => {
    const timers: NodeJS.Timeout[] = [];
    const drip = await fakeGiver((response) => {
      response.writeHead(200, { 'content-type': snapshotType });
      response.write(sent[0]);
      let at = 0;
      timers.push(setInterval(() => response.write(sent[1]!.subarray(at, ++at)), 20));
    });
    expect((await take([drip.address], {}, 'taker', { slowAfterMs: 200 })).reasons[0]).toMatch(/bytes came in/);
    for (const timer of timers) clearInterval(timer);
  });

  test('no end in sight', async () => {
    const endless = await giver(1_000_000);
    expect((await take([endless], {}, 'taker', { longestMs: 400 })).reasons[0]).toMatch(/no end after/);
    expect(await left()).toEqual([]);
  });

  test('an answer of another type', async () => {
    const page = await fakeGiver((response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    expect((await take([page.address])).reasons).toEqual(['it answered 200']);
  });
});

test('codes of this node’s own trouble are told', async () => {
  // The place of the store is taken by what is no store.
  const { mkdir, writeFile } = await import('node:fs/promises');
  await mkdir(join(home, 'taker', 'store'), { recursive: true });
  await writeFile(join(home, 'taker', 'store', 'thesis.doc'), 'years of work');
  expect(codeOf(await take([await giver()]).catch((error: unknown) => error))).toBe('directory-unusable');
  expect(await left()).toEqual(['store']);
});
