/** `GET /v1/export`: what it holds, that it can be gone on with, and that it takes no more of the node than its client does. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maxExports } from '../../../../rpc/http/v1/export-route.ts';
import { BitacoraError } from '../../../../src/core/errors.ts';
import { formatPosition } from '../../../../src/core/position.ts';
import type { Seen } from '../../../../src/ports.ts';
import { ExportReader } from '../../../../wire/export-reader.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import { type Running, raw } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1({}, 1_000, createMemoryKeyValue(3));
});
afterEach(() => running.stop());

type Line = Record<string, unknown>;
const get = (query = '', headers = {}) => ask(running.port, `/v1/export${query}`, { headers });
const linesOf = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const fill = async (count: number, value: Uint8Array = Buffer.from('v')) => {
  for (let number = 0; number < count; number++) await running.keyValue.put(`k/${String(number).padStart(5, '0')}`, value);
};
const sumOf = (text: string): string => {
  const items = text.split('\n').filter((line) => line.startsWith('{"key"'));
  return createHash('sha256')
    .update(items.map((line) => `${line}\n`).join(''))
    .digest('hex');
};

describe('an export', () => {
  test('is a header, the live keys in the order of their bytes, and an end with count and checksum', async () => {
    for (const key of ['foo', 'foo/', 'foo/a', 'Z', 'ñ', '🦉', 'foo0']) await running.keyValue.put(key, Buffer.from(`of ${key}`));
    await running.keyValue.put('gone', Buffer.from('x'));
    await running.keyValue.delete('gone');
    await running.keyValue.put('raw', Buffer.from([0xff, 0]), { contentType: 'x/y', expires: (Date.now() + 60_000) as never });
    const reply = await get();
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/x-ndjson');
    const [header, ...rest] = linesOf(reply.text);
    const end = rest.pop();
    expect(header).toEqual({
      ...{ bitacora: 'export', format: 1, prefix: '', cursor: null },
      position: expect.stringMatching(/^0:\d+,1:\d+,2:\d+@8f14e45f$/),
      created: expect.stringMatching(/Z$/),
    });
    expect(rest.map(({ key }) => key)).toEqual(['Z', 'foo', 'foo/', 'foo/a', 'foo0', 'raw', 'ñ', '🦉']);
    const found = (await running.keyValue.readLocal('raw')).found;
    expect(rest[5]).toEqual({
      ...{ key: 'raw', value_b64: '/wA=', content_type: 'x/y', id: found?.id },
      version: `${found?.version?.partition}:${found?.version?.offset}`,
      updated: new Date(found?.time ?? 0).toISOString(),
      expires: new Date(found?.expires ?? 0).toISOString(),
    });
    expect(end).toEqual({ end: true, items: 8, checksum: sumOf(reply.text), position: header?.['position'] });
  });

  test('of a prefix, and of nothing', async () => {
    for (const key of ['a', 'a/1', 'a/2', 'b']) await running.keyValue.put(key, Buffer.from('v'));
    expect(linesOf((await get('?prefix=a/')).text).flatMap(({ key }) => key ?? [])).toEqual(['a/1', 'a/2']);
    const [header, end, ...more] = linesOf((await get('?prefix=nobody')).text);
    expect([header?.['prefix'], end?.['end'], end?.['items'], more]).toEqual(['nobody', true, 0, []]);
  });

  test('goes on from each of its cursors, and the parts are one export', async () => {
    await fill(2_500);
    const { text } = await get('?prefix=k/');
    const lines = text.trim().split('\n');
    const places = lines.flatMap((line, place) => (line.startsWith('{"cursor"') ? [place] : []));
    expect(places).toEqual([501, 1_002, 1_503, 2_004]);
    for (const place of places) {
      const { cursor, items, checksum } = JSON.parse(lines[place] as string) as Line;
      const before = `${lines.slice(0, place + 1).join('\n')}\n`;
      expect([items, checksum]).toEqual([before.split('{"key"').length - 1, sumOf(before)]);
      const rest = (await get(`?prefix=k/&cursor=${cursor}`)).text;
      expect(linesOf(rest)[0]).toMatchObject({ cursor });
      // As a file that was broken off somewhere behind the cursor, and cut back to it.
      const reader = new ExportReader();
      let count = 0;
      for (const line of `${before}${rest}`.trim().split('\n')) if (reader.take(Buffer.from(line)).kind === 'item') count++;
      expect([reader.whole, count]).toEqual([true, 2_500]);
    }
  });

  test('a page that fails ends it with a cursor and the reason; from there nothing is missing', async () => {
    await fill(1_500);
    const { list } = running.keyValue;
    let pages = 0;
    running.keyValue.list = (options) => {
      if (++pages === 2) throw new BitacoraError('in-doubt', 'not known yet');
      return list(options);
    };
    const last = linesOf((await get()).text).at(-1);
    expect(last).toEqual({ cursor: expect.any(String), items: 500, checksum: expect.any(String), code: 'in-doubt' });
    expect(linesOf((await get(`?cursor=${last?.['cursor']}`)).text).at(-1)).toMatchObject({ end: true, items: 1_000 });
  });

  test('waits for what its caller has seen, then on every page for what the one before reflected', async () => {
    await fill(1_100);
    const token = (await ask(running.port, '/v1/kv')).headers['bitacora-position'] as string;
    running.keyValue.reads.length = 0;
    await get('?consistency=latest', { 'bitacora-min-position': token, prefer: 'wait=2' });
    const tokenOf = (seen: Seen | undefined): string => `${seen?.positions.map(formatPosition).join()}@${seen?.genesis}`;
    const asked = running.keyValue.reads.map(({ consistency, seen, waitMs }) => [consistency, tokenOf(seen), (waitMs ?? 0) > 1_900]);
    // The deadline is that of a page, not of the stream.
    const all = token.replace(/@.*/, `@${running.keyValue.genesis}`);
    expect(asked).toEqual(['latest', 'local', 'local'].map((consistency) => [consistency, all, true]));
    expect((await get('', { 'bitacora-min-position': '0:99999@8f14e45f' })).json()).toMatchObject({ code: 'position-not-reached' });
    expect((await get('', { 'bitacora-min-position': '0:1@00000000' })).status).toBe(409);
  });

  test('is of one point in time even where its first page is local: this node’s own place is waited for', async () => {
    await fill(5);
    running.keyValue.reads.length = 0;
    await get();
    const [asked] = running.keyValue.reads;
    expect([asked?.consistency, asked?.seen?.positions.length]).toEqual(['local', 3]);
  });

  test.each(['?prefix=b&cursor=YQ', '?cursor=YQ==', '?cursor=', '?limit=1', '?consistency=x', '?prefix=%ff'])('%s: 400', async (query) => {
    expect((await get(query)).json()).toMatchObject({ status: 400, code: 'bad-request' });
  });

  test('of the system’s keys: 400', async () => {
    expect((await get('?prefix=%00')).json()).toMatchObject({ code: 'key-invalid' });
  });
});

describe('a node that makes its state anew between two pages', () => {
  /** Before the second page is asked for. */
  const onSecondPage = (happens: () => void): void => {
    const { list } = running.keyValue;
    let pages = 0;
    running.keyValue.list = (options) => {
      if (++pages === 2) happens();
      return list(options);
    };
  };

  test('ends the export with a cursor, never as if it were whole', async () => {
    await fill(1_500);
    let back = (): void => undefined;
    onSecondPage(() => {
      back = running.keyValue.goBack();
    });
    const [header, ...rest] = linesOf((await get()).text);
    const last = rest.at(-1);
    expect(last).toEqual({ cursor: expect.any(String), items: 500, checksum: expect.any(String), code: 'position-not-reached' });
    // Nor is it gone on with before the node is where it was.
    const from = (): ReturnType<typeof get> =>
      get(`?cursor=${last?.['cursor']}`, { 'bitacora-min-position': header?.['position'] as string });
    expect((await from()).json()).toMatchObject({ code: 'position-not-reached' });
    back();
    expect(linesOf((await from()).text).at(-1)).toMatchObject({ end: true, items: 1_000 });
  });

  test('goes on with it once it is where it was, if that does not take too long', async () => {
    await fill(1_500);
    onSecondPage(() => {
      setTimeout(running.keyValue.goBack(), 50);
    });
    expect(linesOf((await get('', { prefer: 'wait=30' })).text).at(-1)).toMatchObject({ end: true, items: 1_500 });
  });

  test('is noticed, too, where nobody knows of which log it is', async () => {
    await fill(1_500);
    running.keyValue.statusChange = { genesis: undefined };
    onSecondPage(() => void running.keyValue.goBack());
    expect(linesOf((await get()).text).at(-1)).toMatchObject({ items: 500, code: 'position-not-reached' });
  });

  test('from another log: its keys do not stand behind those of the first', async () => {
    await fill(1_500);
    onSecondPage(() => {
      running.keyValue.statusChange = { genesis: 'genesis-2' };
    });
    expect(linesOf((await get()).text).at(-1)).toMatchObject({ items: 500, code: 'position-foreign' });
  });
});

/** The machine may be slow. */
const patient = { timeout: 20_000 };
const requestLine = 'GET /v1/export HTTP/1.1\r\nHost: n1\r\n\r\n';

describe('a client that does not take it', () => {
  test('is read no further for, and cut off after a while', async () => {
    await fill(3_000, Buffer.alloc(20_000, 'x'));
    const { socket } = await raw(running.port, requestLine);
    socket.pause();
    await expect.poll(() => running.keyValue.reads.length, patient).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // 10 MB a page: the system's own buffers take part of the first.
    expect(running.keyValue.reads.length).toBeLessThanOrEqual(2);
    await expect.poll(() => running.logged.join(), patient).toContain('export.cut');
    socket.destroy();
  });

  test('too many at once are refused, and keep nobody from anything else', async () => {
    await fill(3);
    let open = (): void => undefined;
    running.keyValue.readGate = new Promise((resolve) => {
      open = resolve;
    });
    const waiting = Array.from({ length: maxExports }, () => get());
    await expect.poll(() => running.keyValue.reads.length, patient).toBe(maxExports);
    const refused = await get();
    expect([refused.status, refused.headers['retry-after'], refused.json()['code']]).toEqual([503, '1', 'overloaded']);
    expect((await ask(running.port, '/v1/kv/k/00001')).status).toBe(200);
    open();
    for (const { status } of await Promise.all(waiting)) expect(status).toBe(200);
    expect((await get()).status).toBe(200);
  });

  test('a node that drains ends it with a cursor', async () => {
    await fill(3_000, Buffer.alloc(20_000, 'x'));
    const { socket, closed } = await raw(running.port, requestLine);
    socket.pause();
    await expect.poll(() => running.keyValue.reads.length, patient).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const drained = running.server.drain();
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.resume();
    const text = await closed;
    await drained;
    const last = text.split('\r\n').findLast((each) => each.includes('"cursor"')) as string;
    const { cursor, items, code } = JSON.parse(last.trim().split('\n').at(-1) as string) as Line;
    expect(code).toBe('draining');
    expect(Buffer.from(cursor as string, 'base64url').toString()).toBe(`k/${String((items as number) - 1).padStart(5, '0')}`);
  });
});
