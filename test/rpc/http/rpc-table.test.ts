/** Every row of the original's HTTP table, and of what is said about bad input. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError, type ErrorCode } from '../../../src/core/errors.ts';
import type { Millis } from '../../../src/ports.ts';
import { maxValueBytes } from '../memory-key-value.ts';
import { call, form, type Running, startServer } from './start-server.ts';

let running: Running;
beforeAll(async () => {
  running = await startServer();
});
afterAll(() => running.stop());

const ask = (path: string, options?: Parameters<typeof call>[2]) => call(running.port, path, options);
const put = (key: string, value: string | Uint8Array) => running.keyValue.put(key, Buffer.from(value));

describe.each([
  ['ahead of the router', true],
  ['through the router', false],
])('GET /rpc %s', (_name, hot) => {
  beforeEach(() => {
    running.keyValue.hot = hot;
  });

  test('a value: six fields in order, and a newline', async () => {
    const { id } = await put('colour', 'blue');
    const reply = await ask('/rpc?key=colour');
    const { timestamp } = JSON.parse(reply.text);
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(reply.text).toBe(`{"key":"colour","value":"blue","timestamp":${timestamp},"source":1,"ttl":0,"uuid":"${id}"}\n`);
    expect(Math.abs(Date.now() - timestamp)).toBeLessThan(10_000);
    expect(reply.headers['bitacora-position']).toMatch(/^0:\d+$/);
    expect(reply.headers['bitacora-node']).toBe('n1');
    expect(reply.headers['bitacora-lag-ms']).toBe('0');
    expect(reply.headers['x-powered-by']).toBeUndefined();
    expect(reply.headers['etag']).toBeUndefined();
  });

  test.each(['a b', 'ñandú', '🔑', 'a&b=c', '100%', 'a+b', '"quoted"', '<tag>', '/', 'a\nb', '?', '#', '__proto__', 'ÿ', 'a\u2028b'])(
    'key and value %j come back as they went',
    async (text) => {
      await put(text, text);
      const reply = await ask(`/rpc?key=${encodeURIComponent(text)}`);
      expect(JSON.parse(reply.text)).toMatchObject({ key: text, value: text });
      expect(Number(reply.headers['content-length'])).toBe(Buffer.byteLength(reply.text));
    },
  );

  test('+ is a blank', async () => {
    await put('a b', '1');
    expect(JSON.parse((await ask('/rpc?key=a+b')).text).value).toBe('1');
  });

  test('a deadline is the ttl', async () => {
    const expires = (Date.now() + 60_000) as Millis;
    await running.keyValue.put('session', Buffer.from('s'), { expires });
    expect(JSON.parse((await ask('/rpc?key=session')).text).ttl).toBe(expires);
  });

  test('bytes that are not text are shown with replacement characters', async () => {
    await put('binary', new Uint8Array([0x61, 0xff, 0x62]));
    expect(JSON.parse((await ask('/rpc?key=binary')).text).value).toBe('a\uFFFDb');
  });

  test.each(['nothing', 'a"b', '<b>', 'ñ🔑', 'a\\b', 'c\nd'])('unknown key %j: 404 with the key escaped', async (key) => {
    const reply = await ask(`/rpc?key=${encodeURIComponent(key)}`);
    expect(reply.status).toBe(404);
    expect(reply.headers['content-type']).toBe('application/json');
    expect(reply.text).toBe(`{"message": ${JSON.stringify(`Key ${key} not found`)}}`);
    expect(reply.headers['bitacora-position']).toMatch(/^0:\d+$/);
  });

  test.each(['/rpc', '/rpc?', '/rpc?key', '/rpc?key=', '/rpc?key=%20+%09', '/rpc?other=1'])(
    '%s: 400, the original’s words',
    async (path) => {
      const reply = await ask(path);
      expect(reply.status).toBe(400);
      expect(reply.text).toBe('{"message": "Error: 400"}');
    },
  );

  test('of a repeated parameter the first wins', async () => {
    await put('first', '1');
    expect(JSON.parse((await ask('/rpc?key=first&key=second')).text).key).toBe('first');
  });

  test.each([
    ['too long', 'k'.repeat(1025), /1025 bytes, the limit is 1024/],
    ['led by NUL', '%00genesis', /NUL/],
  ])('a key %s: 400 with the reason', async (_what, key, reason) => {
    const reply = await ask(`/rpc?key=${key}`);
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toMatchObject({ message: expect.stringMatching(reason), code: 'key-invalid' });
  });

  test.each(['%', '%4', '%zz', '%e2%82', '%ff', '%ed%a0%80', 'a&b=%', 'a&%ff=1'])('bad percent-encoding %s: 400', async (key) => {
    const reply = await ask(`/rpc?key=${key}`);
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text).code).toBe('bad-request');
  });

  test('HEAD: as GET, without the body', async () => {
    await put('head', 'value');
    const get = await ask('/rpc?key=head');
    const head = await ask('/rpc?key=head', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(head.text).toBe('');
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect((await ask('/rpc?key=no-head', { method: 'HEAD' })).status).toBe(404);
  });
});

test('a value from a peer has source 2', async () => {
  const found = { value: Buffer.from('theirs'), version: undefined, time: 5 as Millis, expires: 0 as Millis, id: 'u', contentType: '' };
  running.keyValue.peers.set('remote', found);
  expect((await ask('/rpc?key=remote')).text).toBe('{"key":"remote","value":"theirs","timestamp":5,"source":2,"ttl":0,"uuid":"u"}\n');
});

describe('POST /rpc', () => {
  const value = async (key: string): Promise<string> => JSON.parse((await ask(`/rpc?key=${encodeURIComponent(key)}`)).text).value;

  test('in the query', async () => {
    const reply = await ask('/rpc?key=q&value=1', { method: 'POST' });
    expect(reply).toMatchObject({ status: 200, text: '' });
    expect(reply.headers['bitacora-position']).toMatch(/^0:\d+$/);
    expect(await value('q')).toBe('1');
  });

  test('in a form body, unicode and all', async () => {
    const body = new URLSearchParams({ key: 'f &ñ🔑', value: 'a+b %&=\n"' }).toString();
    expect((await ask('/rpc', { method: 'POST', headers: form, body })).status).toBe(200);
    expect(await value('f &ñ🔑')).toBe('a+b %&=\n"');
  });

  test('key in the query and value in the body; the query goes first, the first of a repeated one wins', async () => {
    await ask('/rpc?key=mixed', { method: 'POST', headers: form, body: 'value=body&value=second&key=other' });
    expect(await value('mixed')).toBe('body');
    await ask('/rpc?key=mixed&value=query', { method: 'POST', headers: form, body: 'value=body' });
    expect(await value('mixed')).toBe('query');
  });

  test('a form with a charset, and one in chunks', async () => {
    const headers = { 'content-type': 'Application/x-www-form-urlencoded; charset=UTF-8', 'transfer-encoding': 'chunked' };
    await ask('/rpc', { method: 'POST', headers, body: 'key=chunked&value=%C3%B1' });
    expect(await value('chunked')).toBe('ñ');
  });

  test('UTF-8 in a form may come without escapes, as curl -d sends it', async () => {
    await ask('/rpc', { method: 'POST', headers: form, body: 'key=ñ🔑&value=ü' });
    expect(await value('ñ🔑')).toBe('ü');
  });

  test('an empty value is a value', async () => {
    expect((await ask('/rpc?key=empty&value=', { method: 'POST' })).status).toBe(200);
    expect(await value('empty')).toBe('');
  });

  test.each([
    ['no value', '/rpc?key=a', '', 'value-missing'],
    ['no key', '/rpc?value=a', '', 'key-invalid'],
    ['a blank key', '/rpc?key=+&value=a', '', 'key-invalid'],
    ['a key led by NUL', '/rpc?key=%00a&value=a', '', 'key-invalid'],
    ['too long a key', `/rpc?key=${'k'.repeat(1025)}&value=a`, '', 'key-invalid'],
    ['bad percent-encoding in the query', '/rpc?key=a&value=%', '', 'bad-request'],
    ['bad percent-encoding in the body', '/rpc', 'key=a&value=%f', 'bad-request'],
    ['broken UTF-8 in the body', '/rpc', Buffer.from([...Buffer.from('key=a&value='), 0xc3]), 'bad-request'],
  ])('%s: 400', async (_what, path, body, code) => {
    const reply = await ask(path, { method: 'POST', headers: form, body });
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toEqual({ message: expect.stringMatching(/\w/), code });
  });

  test('a body that is no form is no source of parameters', async () => {
    const reply = await ask('/rpc?key=a', { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'value=1' });
    expect(JSON.parse(reply.text).code).toBe('value-missing');
  });

  test('a compressed body: 400', async () => {
    const reply = await ask('/rpc', { method: 'POST', headers: { ...form, 'content-encoding': 'gzip' }, body: 'x' });
    expect(reply.status).toBe(400);
  });

  test('the largest value passes, also escaped; one byte more is 413 with the limit', async () => {
    const post = (text: string) => ask('/rpc?key=large', { method: 'POST', headers: form, body: `value=${text}` });
    expect((await post('x'.repeat(maxValueBytes))).status).toBe(200);
    expect((await post('%41'.repeat(maxValueBytes))).status).toBe(200);
    const reply = await post('x'.repeat(maxValueBytes + 1));
    expect(reply.status).toBe(413);
    expect(JSON.parse(reply.text)).toEqual({ message: expect.stringContaining(String(maxValueBytes)), code: 'value-too-large' });
  });
});

describe('DELETE /rpc', () => {
  test('what is there, and what is not', async () => {
    await put('gone', '1');
    for (let time = 0; time < 2; time++) {
      const reply = await ask('/rpc?key=gone', { method: 'DELETE' });
      expect(reply).toMatchObject({ status: 200, text: '' });
      expect(reply.headers['bitacora-position']).toMatch(/^0:\d+$/);
      expect((await ask('/rpc?key=gone')).status).toBe(404);
    }
  });

  test('no key: 400', async () => {
    expect((await ask('/rpc', { method: 'DELETE' })).status).toBe(400);
  });
});

describe('paths and methods', () => {
  test.each([
    ['/rpc', 'PUT', 'GET, HEAD, POST, DELETE'],
    ['/rpc', 'OPTIONS', 'GET, HEAD, POST, DELETE'],
    ['/rpc?key=a', 'PATCH', 'GET, HEAD, POST, DELETE'],
    ['/rpc/cluster', 'POST', 'GET, HEAD'],
    ['/health', 'DELETE', 'GET, HEAD'],
    ['/metrics', 'POST', 'GET, HEAD'],
  ])('%s %s: 405 with Allow', async (path, method, allow) => {
    const reply = await ask(path, { method });
    expect(reply.status).toBe(405);
    expect(reply.headers['allow']).toBe(allow);
    expect(JSON.parse(reply.text).code).toBe('method-not-allowed');
  });

  test.each(['/', '/rpc/', '/RPC', '/rpc/other', '/health/x', '/%', '//rpc', '/constructor'])('%s: 404', async (path) => {
    const reply = await ask(path);
    expect(reply.status).toBe(404);
    expect(JSON.parse(reply.text).code).toBe('no-such-path');
  });
});

describe('what the node cannot do now', () => {
  test.each<[ErrorCode, number, string | undefined]>([
    ['log-unavailable', 503, '1'],
    ['overloaded', 503, '1'],
    ['draining', 503, '1'],
    ['store-failed', 503, '1'],
    ['unknown-outcome', 504, undefined],
  ])('%s: %d', async (code, status, retryAfter) => {
    running.keyValue.failure = new BitacoraError(code, `reason of ${code}`);
    try {
      for (const method of ['POST', 'DELETE']) {
        const reply = await ask('/rpc?key=a&value=b', { method });
        expect(reply.status).toBe(status);
        expect(reply.headers['retry-after']).toBe(retryAfter);
        expect(JSON.parse(reply.text)).toEqual({ message: `reason of ${code}`, code });
      }
    } finally {
      running.keyValue.failure = undefined;
    }
  });

  test('a mistake of ours: 500 without its words or its stack, which are in the log', async () => {
    running.keyValue.failure = new TypeError('secret internals');
    try {
      for (const [path, method] of [
        ['/rpc?key=a', 'GET'],
        ['/rpc?key=a&value=b', 'POST'],
        ['/rpc/cluster?key=a', 'GET'],
      ] as const) {
        const reply = await ask(path, { method });
        expect(reply.status).toBe(500);
        expect(JSON.parse(reply.text).code).toBe('internal');
        expect(reply.text).not.toMatch(/secret|TypeError|\.ts|node_modules| at /);
      }
      expect(running.logged.join()).toContain('http.failed');
    } finally {
      running.keyValue.failure = undefined;
    }
  });

  test('a write that is not confirmed in time: 504 unknown-outcome', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    try {
      const reply = await ask('/rpc?key=late&value=b', { method: 'POST' });
      expect(reply.status).toBe(504);
      expect(JSON.parse(reply.text).code).toBe('unknown-outcome');
    } finally {
      running.keyValue.writeGate = undefined;
    }
  });
});

test('every answer is observed by route, method and status', async () => {
  running.observed.length = 0;
  await put('seen', '1');
  running.keyValue.hot = true;
  await ask('/rpc?key=seen');
  await ask('/rpc?key=unseen');
  await ask('/rpc?key=seen&value=2', { method: 'POST' });
  await ask('/nowhere?x=1');
  await expect.poll(() => running.observed.length).toBe(4);
  expect(running.observed).toEqual([
    { route: '/rpc', method: 'GET', status: 200 },
    { route: '/rpc', method: 'GET', status: 404 },
    { route: '/rpc', method: 'POST', status: 200 },
    { route: 'other', method: 'GET', status: 404 },
  ]);
});
