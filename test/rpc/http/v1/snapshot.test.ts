/** Giving the store to other nodes: who is refused, what is kept and for how long, how fast it goes, and that nothing stays open. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Pace } from '../../../../rpc/http/v1/snapshot-pace.ts';
import type { Giving, GivingMeter } from '../../../../rpc/http/v1/snapshot-route.ts';
import type { SnapshotSource, Store, StoreSnapshot } from '../../../../src/ports.ts';
import { openLevelStore } from '../../../../storage/store/level-store.ts';
import { type Frame, FrameReader, snapshotType } from '../../../../wire/snapshot-frames.ts';
import { eachRow } from '../../../../wire/snapshot-rows.ts';
import { fill, identity } from '../../../storage/snapshot-store.ts';
import { call, type Running, startServer } from '../start-server.ts';

const path = '/v1/snapshot';

let home: string;
let store: Store & SnapshotSource;
let running: Running;
/** Snapshots that the server has opened and not closed. */
let open: Set<StoreSnapshot>;
let opened: number;
/** What was heard of what is given: bytes, and what became of snapshots. */
let sent: number;
let outcomes: string[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-give-'));
  store = await openLevelStore({ directory: join(home, 'store') });
  await fill(store, 0, 120);
  open = new Set();
  opened = 0;
  sent = 0;
  outcomes = [];
});
afterEach(async () => {
  await running.stop();
  await store.close();
  await rm(home, { recursive: true, force: true });
});

const source: SnapshotSource = {
  async snapshot() {
    const snapshot = await store.snapshot();
    opened++;
    const counted: StoreSnapshot = {
      ...snapshot,
      async close() {
        await snapshot.close();
        open.delete(counted);
      },
    };
    open.add(counted);
    return counted;
  },
};

async function start(giving: Partial<Giving> = {}, limits: Parameters<typeof startServer>[0] = {}): Promise<void> {
  const others = { members: () => [], askMember: async () => undefined };
  running = await startServer(limits, 1_000, undefined, {
    ...others,
    giving: { source: () => source, bytesPerSecond: 1e9, observe, ...giving },
  });
}

const observe: GivingMeter = {
  sent: (bytes) => {
    sent += bytes;
  },
  ended: (outcome) => void outcomes.push(outcome),
};

interface Taking {
  readonly outgoing: ClientRequest;
  readonly incoming: IncomingMessage;
  /** Resolves with what came, whole or not. */
  readonly frames: Promise<{ frames: Frame[]; whole: boolean }>;
}

/** Begins to take; `read` false: takes no further than Node does by itself. */
function take(query = '', read = true): Promise<Taking> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port: running.port, path: path + query, agent: false });
    outgoing.on('error', reject).on('response', (incoming) => {
      expect([incoming.statusCode, incoming.headers['content-type']]).toEqual([200, snapshotType]);
      const reader = new FrameReader(1e9);
      const frames: Frame[] = [];
      const ended = new Promise<{ frames: Frame[]; whole: boolean }>((end) => {
        incoming.on('error', () => undefined).on('close', () => end({ frames, whole: incoming.complete }));
      });
      if (read) incoming.on('data', (piece: Buffer) => frames.push(...(reader.read(piece) ?? [])));
      else incoming.pause();
      resolve({ outgoing, incoming, frames: ended });
    });
    outgoing.end();
  });
}

const headOf = (frames: readonly Frame[]): { name: string } => JSON.parse(frames[0]!.body.toString()) as { name: string };

function rowsIn(frames: readonly Frame[]): { rows: number; last: Uint8Array; bytes: number } {
  let [rows, bytes] = [0, 0];
  let last: Uint8Array = new Uint8Array(0);
  for (const { kind, body } of frames) {
    if (kind !== 'rows') continue;
    bytes += body.length;
    rows += eachRow(body, (key) => {
      last = key;
    });
  }
  return { rows, last, bytes };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('the whole', () => {
  test('is a head, rows and an end, and nothing stays open', async () => {
    await start();
    const { frames, whole } = await (await take()).frames;
    expect(whole).toBe(true);
    expect(frames.map(({ kind }) => kind)).toEqual(['head', ...frames.slice(2).map(() => 'rows'), 'end']);
    expect(headOf(frames)).toMatchObject({ snapshot: 1, format: 1, identity, checkpoints: store.checkpoints });
    expect(JSON.parse(frames.at(-1)!.body.toString())).toEqual({ rows: rowsIn(frames).rows, checksum: frames.at(-2)!.checksum });
    await until(() => open.size === 0);
    expect([sent, outcomes]).toEqual([rowsIn(frames).bytes, ['taken']]);
  });

  test('is gone on with by name and key, with the same checksums', async () => {
    await start();
    const first = await take('', false);
    const reader = new FrameReader(1e9);
    const part: Frame[] = [];
    first.incoming.on('data', (piece: Buffer) => {
      part.push(...(reader.read(piece) ?? []));
      if (part.length >= 2) first.incoming.destroy();
    });
    first.incoming.resume();
    await first.frames;
    const so = part.slice(0, 2);
    const { rows, last } = rowsIn(so);
    await fill(store, 120, 130);
    const at = `&after=${Buffer.from(last).toString('base64url')}&rows=${rows}&checksum=${so[1]!.checksum}`;
    const { frames } = await (await take(`?name=${headOf(so).name}${at}`)).frames;
    expect(headOf(frames)).toEqual(headOf(so));
    expect(JSON.parse(frames.at(-1)!.body.toString())).toEqual({
      rows: rows + rowsIn(frames).rows,
      checksum: frames.at(-2)!.checksum,
    });
    expect(opened).toBe(1);
    await until(() => open.size === 0);
  });

  test('is told of to a HEAD, without opening anything', async () => {
    await start();
    expect(await call(running.port, path, { method: 'HEAD' })).toMatchObject({
      status: 200,
      text: '',
      headers: { 'content-type': snapshotType },
    });
    expect(opened).toBe(0);
  });
});

const codeIn = ({ status, text }: { status: number; text: string }): unknown[] => [status, (JSON.parse(text) as { code: string }).code];

describe('is refused', () => {
  test('while the node restores, and while it goes away', async () => {
    await start();
    running.keyValue.statusChange = { state: 'restoring', ready: false };
    const refused = await call(running.port, path);
    expect(codeIn(refused)).toEqual([503, 'position-not-reached']);
    expect(refused.headers['retry-after']).toBe('1');
    running.keyValue.statusChange = { state: 'draining', ready: false };
    expect(codeIn(await call(running.port, path))).toEqual([503, 'draining']);
    expect([opened, sent, outcomes]).toEqual([0, 0, ['refused', 'refused']]);
  });

  test('to a third at once; when one is through, the next may begin', async () => {
    await start({ bytesPerSecond: 2_000_000 });
    const both = [await take('', false), await take('', false)];
    expect(codeIn(await call(running.port, path))).toEqual([503, 'overloaded']);
    expect(outcomes).toEqual(['refused']);
    both[0]!.incoming.resume();
    await both[0]!.frames;
    await until(() => open.size === 1);
    expect((await (await take()).frames).whole).toBe(true);
    both[1]!.incoming.resume();
    await both[1]!.frames;
  });

  test('under a name that is not kept, and at a point that makes no sense', async () => {
    await start();
    expect(codeIn(await call(running.port, `${path}?name=7&after=ZQ&rows=1&checksum=1`))).toEqual([410, 'snapshot-gone']);
    for (const point of ['rows=1', 'rows=-1&after=ZQ', 'rows=x&after=ZQ', 'after=ZQ', 'rows=1&after=ZQ&checksum=4294967296']) {
      expect(codeIn(await call(running.port, `${path}?name=7&${point}`))).toEqual([400, 'bad-request']);
    }
  });

  test('where there is no store to give, or the rate is 0', async () => {
    await start({ source: () => undefined });
    expect(codeIn(await call(running.port, path))).toEqual([404, 'no-such-path']);
    await running.stop();
    await start({ bytesPerSecond: 0 });
    expect(codeIn(await call(running.port, path))).toEqual([404, 'no-such-path']);
    expect((await call(running.port, path, { method: 'POST' })).status).toBe(405);
  });
});

describe('an open snapshot', () => {
  test('is kept for a while when its taker has gone, and then gone for good', async () => {
    await start({ idleMs: 150, bytesPerSecond: 1_000_000 });
    const { incoming } = await take();
    incoming.destroy();
    await until(() => running.logged.some((line) => line.includes('its taker is gone')));
    await until(() => open.size === 0);
    expect(outcomes).toEqual(['taker-gone']);
  });

  test('ends when it is too old, whoever takes it', async () => {
    await start({ maxAgeMs: 200, bytesPerSecond: 500_000 });
    const { frames } = await take();
    expect((await frames).whole).toBe(false);
    await until(() => open.size === 0);
    expect(outcomes).toEqual(['too-old']);
  });

  test('ends with the drain, though its taker takes nothing', async () => {
    await start({ bytesPerSecond: 1_000_000 });
    const [reading, idle] = [await take('', false), await take()];
    idle.incoming.destroy();
    await running.server.drain();
    reading.incoming.resume();
    expect((await reading.frames).whole).toBe(false);
    await until(() => open.size === 0);
    expect(outcomes).toEqual(['draining', 'draining']);
  });

  test('is left by a connection that hangs when another goes on with it', async () => {
    await start({ bytesPerSecond: 2_000_000 });
    const hanging = await take('', false);
    const name = running.logged.map((line) => /"name":"([^"]+)"/.exec(line)?.[1]).find((found) => found !== undefined);
    const { frames, whole } = await (await take(`?name=${name}`)).frames;
    expect([whole, headOf(frames).name]).toEqual([true, name]);
    hanging.incoming.resume();
    expect((await hanging.frames).whole).toBe(false);
    expect(opened).toBe(1);
  });

  test('that cannot be read is closed and told as broken', async () => {
    await start({ bytesPerSecond: 1_000_000 });
    const { frames } = await take();
    await until(() => open.size === 1);
    await store.close();
    expect((await frames).whole).toBe(false);
    await until(() => open.size === 0);
    expect(running.logged.some((line) => line.includes('snapshot.failed'))).toBe(true);
    expect(outcomes).toEqual(['unreadable']);
    expect(codeIn(await call(running.port, path))).toEqual([503, 'closed']);
  });

  test('whose taker takes nothing is cut from him', async () => {
    // More than the sockets between take by themselves.
    const large = Buffer.alloc(300_000);
    const endless: SnapshotSource = {
      async snapshot() {
        const snapshot = await store.snapshot();
        return {
          ...snapshot,
          async *read() {
            for (;;) yield { bytes: large, rows: 1, last: Buffer.from('e') };
          },
        };
      },
    };
    await start({ source: () => endless }, { headersTimeoutMs: 200, requestTimeoutMs: 300 });
    const { frames, incoming } = await take('', false);
    await until(() => running.logged.some((line) => line.includes('snapshot.cut')));
    incoming.resume();
    expect((await frames).whole).toBe(false);
  });
});

test('what is given keeps to the rate, over all takers together', () => {
  let now = 0;
  const pace = new Pace(1_000_000, () => now);
  let sent = 0;
  while (now < 1_000) {
    sent += 10_000;
    now += pace.delayFor(10_000);
  }
  expect(sent).toBeGreaterThan(980_000);
  expect(sent).toBeLessThan(1_050_000);
  // A pause is no credit.
  now += 60_000;
  let at = 0;
  for (let i = 0; i < 100; i++) at = pace.delayFor(10_000);
  expect(at).toBeGreaterThan(900);
});
