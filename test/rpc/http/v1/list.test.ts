/** Listing, counting, and deleting under a prefix. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError } from '../../../../src/core/errors.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import { type Running, raw } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue(3));
});
afterEach(() => running.stop());

interface Page {
  readonly items: { readonly key: string; readonly value?: string; readonly size: number }[];
  readonly prefixes: string[];
  readonly cursor: string | null;
  readonly position: string;
}
const get = (query = '', headers = {}) => ask(running.port, `/v1/kv${query}`, { headers });
const page = async (query = '') => {
  const reply = await get(query);
  expect(reply.status).toBe(200);
  return reply.json() as unknown as Page;
};
const fill = async (...keys: string[]) => {
  for (const key of keys) await running.keyValue.put(key, Buffer.from(`value of ${key}`));
};
const remove = (query: string) => ask(running.port, `/v1/kv${query}`, { method: 'DELETE' });
/** Before so many parts of a page have been read, the node's store is gone, and is made anew. */
const goesBackBefore = (part: number): void => {
  const { list } = running.keyValue;
  let parts = 0;
  running.keyValue.list = (options) => {
    if (++parts === part) running.keyValue.goBack();
    return list(options);
  };
};

describe('a listing', () => {
  test('is in the order of bytes, with all that is known', async () => {
    await fill('b', 'a', 'ñ', 'Z', '\uFFFD', '🦉', 'a/b');
    await running.keyValue.put('bytes', Buffer.from([0xff]), { contentType: 'x/y' });
    const { items, prefixes, cursor, position } = await page();
    expect(items.map(({ key }) => key)).toEqual(['Z', 'a', 'a/b', 'b', 'bytes', 'ñ', '\uFFFD', '🦉']);
    const found = (await running.keyValue.readLocal('bytes')).found;
    expect(items[4]).toEqual({
      key: 'bytes',
      value_b64: '/w==',
      version: `${found?.version?.partition}:${found?.version?.offset}`,
      updated: new Date(found?.time ?? 0).toISOString(),
      expires: null,
      content_type: 'x/y',
      id: found?.id,
      size: 1,
    });
    expect(prefixes).toEqual([]);
    expect(cursor).toBeNull();
    expect(position).toMatch(/^0:\d+,1:\d+,2:\d+@8f14e45f$/);
    expect((await get()).headers['bitacora-position']).toBe(position);
  });

  test('of an empty store', async () => {
    expect(await page()).toEqual({ items: [], prefixes: [], cursor: null, position: '' });
    expect((await get()).headers['bitacora-position']).toBeUndefined();
  });

  test('by prefix and delimiter', async () => {
    await fill('a', 'a/b', 'a/c/d', 'a/c/e', 'a/d', 'b', 'a%2F');
    expect((await page('?prefix=a/')).items.map(({ key }) => key)).toEqual(['a/b', 'a/c/d', 'a/c/e', 'a/d']);
    const level = await page('?prefix=a%2F&delimiter=/');
    expect(level.items.map(({ key }) => key)).toEqual(['a/b', 'a/d']);
    expect(level.prefixes).toEqual(['a/c/']);
    expect((await page('?prefix=none')).items).toEqual([]);
  });

  test('of keys alone has no values, and their sizes', async () => {
    await fill('k');
    for (const flag of ['1', 'true']) {
      const [item] = (await page(`?keys_only=${flag}`)).items;
      expect(item).toMatchObject({ key: 'k', size: 10 });
      expect(item).not.toHaveProperty('value');
      expect(item).not.toHaveProperty('value_b64');
    }
    expect((await page('?keys_only=0')).items[0]?.value).toBe('value of k');
  });

  test('page by page is the same as at once, whatever the limit', async () => {
    const keys = fc.uniqueArray(fc.stringMatching(/^[a-c/]{1,6}$/), { maxLength: 90 });
    await fc.assert(
      fc.asyncProperty(
        keys,
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom('', 'a', 'a/'),
        fc.boolean(),
        async (list, limit, prefix, cut) => {
          await running.stop();
          running = await startV1();
          await fill(...list);
          const base = `?prefix=${encodeURIComponent(prefix)}${cut ? '&delimiter=/' : ''}`;
          const whole = await page(`${base}&limit=1000`);
          const names: string[] = [];
          let cursor: string | null = '';
          while (cursor !== null) {
            const part: Page = await page(`${base}&limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`);
            expect(part.items.length + part.prefixes.length).toBeLessThanOrEqual(limit);
            names.push(...part.items.map(({ key }) => key), ...part.prefixes);
            cursor = part.cursor;
          }
          expect(names.sort()).toEqual([...whole.items.map(({ key }) => key), ...whole.prefixes].sort());
          expect(whole.cursor).toBeNull();
        },
      ),
      { numRuns: 25 },
    );
  });

  test('ends a page early when its values grow, and not when only keys are asked for', async () => {
    for (let number = 0; number < 200; number++) await running.keyValue.put(`big/${1000 + number}`, Buffer.alloc(100_000));
    const first = await page('?prefix=big/&limit=1000');
    expect(first.items.length).toBeGreaterThan(80);
    expect(first.items.length).toBeLessThan(150);
    expect(first.cursor).not.toBeNull();
    const rest = await page(`?prefix=big/&limit=1000&cursor=${first.cursor}`);
    expect(first.items.length + rest.items.length).toBeLessThanOrEqual(200);
    expect((await page('?prefix=big/&limit=1000&keys_only=1')).items).toHaveLength(200);
  });

  test('as NDJSON: items, prefixes, the end', async () => {
    await fill('a', 'b/c', 'd');
    const reply = await get('?format=ndjson&delimiter=/&limit=2');
    expect(reply.headers['content-type']).toBe('application/x-ndjson');
    const lines = reply.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      expect.objectContaining({ key: 'a' }),
      { prefix: 'b/' },
      { cursor: expect.any(String), position: expect.any(String) },
    ]);
  });

  test.each([
    '?limit=0',
    '?limit=1001',
    '?limit=-1',
    '?limit=1.5',
    '?limit=x',
    '?limit=',
    '?limit=1&limit=2',
    '?delimiter=',
    '?cursor=',
    '?cursor=%00',
    '?cursor=YQ==',
    '?cursor=_w',
    '?prefix=b&cursor=YQ',
    '?keys_only=yes',
    '?count=2',
    '?count=1&cursor=YQ',
    '?count=1&delimiter=/',
    '?format=xml',
    '?match=x',
    '?prefix=%ff',
    '?__proto__=1',
    '?consistency=x',
  ])('%s: 400', async (query) => {
    const reply = await get(query);
    expect(reply.status).toBe(400);
    expect(reply.json()['code']).toBe('bad-request');
  });

  test('of the system’s keys: 400', async () => {
    for (const reply of [await get('?prefix=%00'), await get('?prefix=%00genesis&count=1'), await remove('?prefix=%00&confirm=%00')]) {
      expect(reply.status).toBe(400);
      expect(reply.json()['code']).toBe('key-invalid');
    }
  });

  test('of a node that makes its state anew meanwhile is no page with less in it', async () => {
    await fill(...Array.from({ length: 90 }, (_, number) => `k/${100 + number}`));
    goesBackBefore(2);
    const reply = await get();
    expect([reply.status, reply.json()['code']]).toEqual([503, 'position-not-reached']);
  });

  test('of a node that comes to its state is what there is so far, and still no less than it was', async () => {
    await fill(...Array.from({ length: 90 }, (_, number) => `k/${100 + number}`));
    running.keyValue.statusChange = { state: 'restoring', ready: false };
    expect((await page()).items).toHaveLength(90);
    expect(running.keyValue.reads.map(({ seen }) => seen)).toEqual([undefined, undefined, undefined]);
    goesBackBefore(2);
    expect((await get()).json()).toMatchObject({ code: 'position-not-reached' });
  });

  test('HEAD has its headers', async () => {
    await fill('a');
    const [one, other] = [await get(), await ask(running.port, '/v1/kv', { method: 'HEAD' })];
    expect(other.text).toBe('');
    expect(other.headers['content-length']).toBe(one.headers['content-length']);
    expect(other.headers['bitacora-position']).toBe(one.headers['bitacora-position']);
  });
});

describe('a count', () => {
  test('of a prefix', async () => {
    await fill('a/1', 'a/2', 'b');
    expect((await get('?count=1')).json()).toEqual({ count: 3, more: false });
    expect((await get('?count=true&prefix=a/')).json()).toEqual({ count: 2, more: false });
    expect((await get('?count=1')).headers['bitacora-position']).toBe((await get()).headers['bitacora-position']);
  });

  test('is bounded, and says so', async () => {
    running.keyValue.count = async (_prefix, limit) => limit;
    expect((await get('?count=1')).json()).toEqual({ count: 100_000, more: true });
  });

  test('waits for what its caller has seen, and is of no less', async () => {
    await fill('a');
    const token = (await get()).headers['bitacora-position'] as string;
    expect((await get('?count=1', { 'bitacora-min-position': token })).json()).toEqual({ count: 1, more: false });
    expect((await get('?count=1', { 'bitacora-min-position': '0:999@8f14e45f' })).status).toBe(503);
    const { list } = running.keyValue;
    running.keyValue.list = async (options) => {
      const listing = await list(options);
      running.keyValue.goBack();
      return listing;
    };
    expect((await get('?count=1', { 'bitacora-min-position': token })).json()).toMatchObject({ code: 'position-not-reached' });
  });
});

describe('deleting under a prefix', () => {
  test('knows first what there is, by the end of the log', async () => {
    await fill('t/1');
    running.keyValue.reads.length = 0;
    await remove('?prefix=t/&dry_run=1');
    await remove('?prefix=t/&confirm=t/');
    expect(running.keyValue.reads.flatMap(({ consistency }) => consistency ?? [])).toEqual(['latest', 'latest']);
  });

  test('on a node that makes its state anew meanwhile says how far it came, and never that there is no more', async () => {
    for (let number = 1_000; number < 2_000; number++) await running.keyValue.put(`t/${number}`, Buffer.from('x'));
    const parts = Math.ceil(500 / 32);
    goesBackBefore(parts + 1);
    const reply = await remove('?prefix=t/&confirm=t/');
    expect([reply.status, reply.json()]).toMatchObject([503, { code: 'position-not-reached', deleted: 500 }]);
  });

  test('counts nothing on a node that has gone back since it was asked', async () => {
    await fill('t/1', 't/2');
    const { list } = running.keyValue;
    running.keyValue.list = async (options) => {
      const listing = await list(options);
      running.keyValue.goBack();
      return listing;
    };
    expect((await remove('?prefix=t/&dry_run=1')).json()).toMatchObject({ status: 503, code: 'position-not-reached' });
  });

  test('needs the prefix twice', async () => {
    await fill('tmp/a', 'tmp/b', 'tmpx');
    for (const query of ['?prefix=tmp/', '?prefix=tmp/&confirm=tmp', '?prefix=tmp/&confirm=', '?prefix=&confirm=', '', '?confirm=tmp/']) {
      expect((await remove(query)).status).toBe(400);
    }
    expect((await remove('?prefix=tmp/&dry_run=1')).json()).toEqual({ count: 2, more: false });
    expect((await get('?count=1')).json()).toEqual({ count: 3, more: false });
    const reply = await remove('?prefix=tmp/&confirm=tmp/');
    expect(reply.json()).toEqual({ deleted: 2, more: false, position: reply.headers['bitacora-position'] });
    expect((await page()).items.map(({ key }) => key)).toEqual(['tmpx']);
    expect((await remove('?prefix=tmp/&confirm=tmp/')).json()).toMatchObject({ deleted: 0, more: false });
  });

  test('of many, page by page', async () => {
    for (let number = 0; number < 1_700; number++) await running.keyValue.put(`t/${number}`, Buffer.from('x'));
    await fill('u');
    expect((await remove('?prefix=t/&confirm=t/')).json()).toMatchObject({ deleted: 1_700, more: false });
    expect((await page()).items.map(({ key }) => key)).toEqual(['u']);
  });

  test('has a bound for one request, and says so', async () => {
    for (let number = 0; number < 10_050; number++) await running.keyValue.put(`t/${number}`, Buffer.from('x'));
    expect((await remove('?prefix=t/&confirm=t/')).json()).toMatchObject({ deleted: 10_000, more: true });
    expect((await remove('?prefix=t/&confirm=t/')).json()).toMatchObject({ deleted: 50, more: false });
  });

  test('that fails in the middle says how far it came, and begins no more', async () => {
    for (let number = 1_000; number < 1_600; number++) await running.keyValue.put(`t/${number}`, Buffer.from('x'));
    running.keyValue.failures.set('t/1200', new BitacoraError('log-unavailable', 'no broker'));
    const reply = await remove('?prefix=t/&confirm=t/');
    expect(reply.status).toBe(503);
    const { deleted, code } = reply.json() as { deleted: number; code: string };
    expect(code).toBe('log-unavailable');
    expect(deleted).toBeGreaterThanOrEqual(168);
    expect(deleted).toBeLessThan(240);
    expect((await get('?count=1')).json()).toEqual({ count: 600 - deleted, more: false });
    expect(reply.headers['bitacora-position']).toBeDefined();
  });

  test('ends when its caller goes away', async () => {
    for (let number = 0; number < 100; number++) await running.keyValue.put(`t/${number}`, Buffer.from('x'));
    running.keyValue.writeGate = new Promise(() => undefined);
    const { socket } = await raw(running.port, 'DELETE /v1/kv?prefix=t/&confirm=t/ HTTP/1.1\r\nHost: n1\r\n\r\n');
    await expect.poll(() => running.keyValue.reads.length).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await expect.poll(() => running.keyValue.aborted.length).toBe(32);
    await expect.poll(() => running.observed).toContainEqual({ route: '/v1/kv', method: 'DELETE', status: 499 });
    expect((await get('?count=1')).json()).toEqual({ count: 100, more: false });
  });
});
