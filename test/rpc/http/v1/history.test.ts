/** `GET /v1/history/{key}`: what was written under a key, the newest first, and how far back that is all. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError } from '../../../../src/core/errors.ts';
import type { Millis } from '../../../../src/ports.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Call, Running } from '../start-server.ts';
import { ask, genesis, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1();
});
afterEach(() => running.stop());

interface Told {
  readonly key: string;
  readonly versions: readonly { readonly version: string; readonly op: string; readonly value?: string }[];
  readonly complete_since: { readonly position: string; readonly time: string | null };
  readonly cursor: string | null;
}
const history = (path: string, options?: Call) => ask(running.port, `/v1/history/${path}`, options);
const told = async (path: string) => {
  const reply = await history(path);
  expect(reply.status).toBe(200);
  return reply.json() as unknown as Told;
};
const versions = async (path: string) => (await told(path)).versions.map(({ version }) => version);
const put = async (key: string, value: string | Uint8Array) => running.keyValue.put(key, Buffer.from(value));
const count = async (key: string, times: number) => {
  for (let number = 0; number < times; number++) await put(key, `${number}`);
};

describe('a history', () => {
  test('has every put and delete, the newest first, with all that is known', async () => {
    const first = await running.keyValue.put('a', Buffer.from('one'), { contentType: 'x/y', expires: 4_102_444_800_000 as Millis });
    await put('other', 'x');
    const second = await running.keyValue.delete('a');
    const third = await put('a', new Uint8Array([0xff, 0x00]));
    const reply = await history('a');
    expect(reply.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store', 'bitacora-node': 'n1' });
    const at = (time: unknown) => Date.parse(String(time));
    const { versions: list, complete_since: since, ...rest } = await told('a');
    expect(rest).toEqual({ key: 'a', cursor: null });
    expect(list).toEqual([
      {
        version: '0:3',
        op: 'put',
        time: expect.any(String),
        value_b64: '/wA=',
        content_type: null,
        expires: null,
        size: 2,
        id: third.id,
        by: 'n1',
      },
      { version: '0:2', op: 'delete', time: expect.any(String), content_type: null, expires: null, size: 0, id: second.id, by: 'n1' },
      {
        version: '0:0',
        op: 'put',
        time: expect.any(String),
        value: 'one',
        content_type: 'x/y',
        expires: '2100-01-01T00:00:00.000Z',
        size: 3,
        id: first.id,
        by: 'n1',
      },
    ]);
    for (const { time } of list as unknown as { time: unknown }[]) expect(Math.abs(Date.now() - at(time))).toBeLessThan(10_000);
    expect(since).toEqual({ position: '0:0', time: expect.any(String) });
  });

  test('of a key that never was is empty, and complete', async () => {
    expect(await told('never')).toEqual({ key: 'never', versions: [], complete_since: { position: '0:0', time: null }, cursor: null });
  });

  test('is of exactly the key that was named', async () => {
    for (const key of ['a//b', '../x', 'ñ', 'a b', '+']) {
      const path = encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%2B', '+');
      await put(key, 'v');
      expect(await told(path)).toMatchObject({ key, versions: [{ op: 'put' }] });
    }
    for (const none of ['', '%20', '%00a', 'x'.repeat(1_025)]) {
      const reply = await history(none);
      expect(reply.status).toBe(400);
      expect(reply.json()['code']).toBe('key-invalid');
    }
    expect((await history('a%')).status).toBe(400);
    expect((await ask(running.port, '/v1/history')).status).toBe(404);
  });

  test('HEAD has its headers alone', async () => {
    await put('a', 'v');
    const reply = await history('a', { method: 'HEAD' });
    expect(reply).toMatchObject({ status: 200, text: '' });
    expect(reply.headers['content-length']).toBe(String((await history('a')).bytes.length));
  });
});

describe('pages', () => {
  test('go on by the cursor, and together are all', async () => {
    await count('k', 7);
    let cursor: string | null = '';
    const all: string[] = [];
    const sizes: number[] = [];
    while (cursor !== null) {
      const page: Told = await told(`k?limit=3${cursor === '' ? '' : `&before=${cursor}`}`);
      all.push(...page.versions.map(({ version }) => version));
      sizes.push(page.versions.length);
      expect(page.complete_since.position).toBe(page.cursor ?? '0:0');
      cursor = page.cursor;
    }
    expect(sizes).toEqual([3, 3, 1]);
    expect(all).toEqual(['0:6', '0:5', '0:4', '0:3', '0:2', '0:1', '0:0']);
  });

  test('have a hundred versions unless told otherwise', async () => {
    await count('k', 101);
    expect(await versions('k')).toHaveLength(100);
    expect(await versions('k?limit=1000')).toHaveLength(101);
    expect(await versions('k?limit=1')).toEqual(['0:100']);
  });
});

describe('since', () => {
  test.each<[string, (time: number) => string]>([
    ['a place', () => '0:2'],
    ['milliseconds', (time) => `${time}`],
    ['a time', (time) => new Date(time).toISOString()],
    ['a time of another zone', (time) => encodeURIComponent(`${new Date(time + 3_600_000).toISOString().slice(0, -1)}+01:00`)],
  ])('%s: only what stands there or after it', async (_what, since) => {
    await count('k', 2);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await count('k', 2);
    const { found } = await running.keyValue.readAt('k', { partition: 0, offset: 2 } as never);
    expect(await versions(`k?since=${since(found?.time ?? 0)}`)).toEqual(['0:3', '0:2']);
    expect(await versions(`k?since=${since(found?.time ?? 0)}&before=0:3`)).toEqual(['0:2']);
  });

  test('how long ago', async () => {
    await count('k', 2);
    expect(await versions('k?since=24h')).toEqual(['0:1', '0:0']);
    expect(await versions('k?since=99999999d')).toEqual(['0:1', '0:0']);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await versions('k?since=5ms')).toEqual([]);
  });

  test('below what is complete: 410, with the place from which it is', async () => {
    await count('k', 4);
    running.keyValue.log.completeFrom[0] = 2;
    const reply = await history('k?since=0:1');
    expect(reply.status).toBe(410);
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expect(reply.json()).toMatchObject({
      type: '/docs#history-compacted',
      status: 410,
      code: 'history-compacted',
      complete_since: { position: '0:2', time: null },
      hint: expect.stringContaining('complete_since'),
    });
    expect((await history('k?since=1h')).status).toBe(410);
    expect(await versions('k?since=0:2')).toEqual(['0:3', '0:2']);
    // Without it there is what is left.
    expect(await told('k')).toMatchObject({ versions: [{}, {}, { version: '0:1' }], complete_since: { position: '0:2' } });
  });
});

describe('what is no such request', () => {
  test.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'limit=',
    'limit=1.5',
    'before=',
    'before=x',
    'before=0',
    'before=1h',
    'before=0:9999999999999999',
    'before=0:1@8f14e45f',
    'since=',
    'since=x',
    'since=-1',
    'since=1y',
    'since=0:1:2',
    'since=2026-11-21',
    'since=2026-11-21T15:00:00',
    'since=2026-11-21T15:00:00+01:00',
    `since=${'1'.repeat(17)}`,
    `since=${'1'.repeat(16)}h`,
    'since=1h&since=2h',
    'limit=5&limit=5',
    'at=1h',
    'format=json',
    'consistency=strong',
  ])('%s: 400', async (query) => {
    const reply = await history(`k?${query}`);
    expect(reply.status).toBe(400);
    expect(reply.json()).toMatchObject({ code: 'bad-request', detail: expect.stringContaining(query.split('=')[0] as string) });
    expect(running.keyValue.reads).toEqual([]);
  });

  test('a place of another partition: 400', async () => {
    for (const name of ['before', 'since']) expect((await history(`k?${name}=1:0`)).status).toBe(400);
  });

  test('another method: 405 with what there is', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const reply = await history('k', { method });
      expect(reply.status).toBe(405);
      expect(reply.headers['allow']).toBe('GET, HEAD');
    }
  });
});

describe('sessions', () => {
  test('what is shown is seen, and what was seen is waited for', async () => {
    await running.stop();
    running = await startV1({}, 5_000, createMemoryKeyValue(4));
    const { position } = await put('k', 'v');
    const version = `${position.partition}:${position.offset}`;
    expect((await history('k')).headers['bitacora-position']).toBe(`${version}@8f14e45f`);
    const other = `${(position.partition + 1) % 4}:0`;
    const reply = await history('k', { headers: { 'bitacora-min-position': `${other}@8f14e45f`, prefer: 'wait=2' } });
    expect(String(reply.headers['bitacora-position']).split('@')[0]?.split(',').sort()).toEqual([version, other].sort());
    expect(running.keyValue.reads.at(-1)).toMatchObject({ consistency: 'local', seen: { genesis }, waitMs: expect.any(Number) });
    const ahead = `${position.partition}:9@8f14e45f`;
    const late = await history('k', { headers: { 'bitacora-min-position': ahead } });
    expect(late.status).toBe(503);
    expect(late.json()).toMatchObject({ code: 'position-not-reached', position: ahead });
    expect((await history('k', { headers: { 'bitacora-min-position': '0:1@00000000' } })).status).toBe(409);
    expect((await history('k', { headers: { 'bitacora-min-position': 'x' } })).status).toBe(400);
  });

  test.each(['latest', 'linearizable'] as const)('consistency=%s is asked for', async (consistency) => {
    expect((await history(`k?consistency=${consistency}`)).status).toBe(200);
    expect(running.keyValue.reads.at(-1)).toMatchObject({ consistency });
    expect(running.keyValue.reads.at(-1)?.waitMs).toBeUndefined();
  });
});

test.each(['log-unavailable', 'overloaded', 'draining', 'store-failed'] as const)('%s is told', async (code) => {
  running.keyValue.failure = new BitacoraError(code, 'so it is');
  const reply = await history('k');
  expect(reply.status).toBe(503);
  expect(reply.json()).toMatchObject({ code, detail: 'so it is' });
});

test('the route is counted without the key', async () => {
  await history('secret');
  await expect.poll(() => running.observed).toContainEqual({ route: '/v1/history/{key}', method: 'GET', status: 200 });
});
