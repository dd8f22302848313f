/** `/v1/kv/{key}`: any bytes in, the same bytes out, under exactly the key that was named. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError } from '../../../../src/core/errors.ts';
import type { FoundValue, Millis } from '../../../../src/ports.ts';
import { type Call, type Running, raw } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
beforeAll(async () => {
  running = await startV1();
});
afterAll(() => running.stop());
beforeEach(() => {
  running.keyValue.failure = undefined;
  running.keyValue.writeGate = undefined;
});

const kv = (path: string, options?: Call) => ask(running.port, `/v1/kv/${path}`, options);
const put = (path: string, body: string | Uint8Array = 'v', headers: Record<string, string> = {}) =>
  kv(path, { method: 'PUT', body, headers });
const stored = async (key: string) => (await running.keyValue.readLocal(key)).found;

describe('a value', () => {
  test('is there as it was put, with version, times, node and position', async () => {
    const written = await put('a', 'hello', { 'content-type': 'text/plain' });
    const version = written.headers['etag'];
    expect(written.status).toBe(200);
    expect(version).toMatch(/^"0:\d+@8f14e45f"$/);
    expect(written.headers['bitacora-position']).toBe(version?.replaceAll('"', ''));
    expect(written.json()).toMatchObject({ key: 'a', version: version?.slice(1).split('@')[0], expires: null });
    const reply = await kv('a');
    expect(reply.status).toBe(200);
    expect(reply.text).toBe('hello');
    expect(reply.headers).toMatchObject({
      'content-type': 'text/plain',
      'content-length': '5',
      etag: version,
      'bitacora-position': written.headers['bitacora-position'],
      'bitacora-node': 'n1',
      'bitacora-source': 'local',
      'bitacora-lag-ms': '0',
      'cache-control': 'no-cache',
      vary: 'Accept',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    expect(reply.headers['bitacora-expires']).toBeUndefined();
    expect(Date.parse(reply.headers['last-modified'] ?? '')).toBe(Math.floor(((await stored('a'))?.time ?? 0) / 1000) * 1000);
  });

  test('of all 256 bytes is the same bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256));
    await put('bytes', bytes);
    expect((await kv('bytes')).bytes).toEqual(bytes);
    const json = await kv('bytes?format=json');
    expect(Buffer.from(json.json()['value_b64'] as string, 'base64')).toEqual(bytes);
    for (let byte = 0; byte < 256; byte++) {
      await put('one', Buffer.from([byte]));
      expect((await kv('one')).bytes).toEqual(Buffer.from([byte]));
    }
  });

  test('may be empty, and keeps its type', async () => {
    expect((await put('empty', '', { 'content-type': 'text/html' })).status).toBe(200);
    const reply = await kv('empty');
    expect(reply).toMatchObject({ status: 200, text: '' });
    expect(reply.headers).toMatchObject({ 'content-type': 'text/html', 'content-length': '0' });
  });

  test('in chunks, without a length', async () => {
    await put('chunks', Buffer.alloc(50_000, 7), { 'transfer-encoding': 'chunked' });
    expect((await kv('chunks')).bytes).toEqual(Buffer.alloc(50_000, 7));
  });

  test.each([
    ['text/plain', 'text/plain', 'text/plain'],
    ['application/json; charset=UTF-8', 'application/json; charset=UTF-8', 'application/json; charset=UTF-8'],
    ['application/x-www-form-urlencoded', 'application/octet-stream', ''],
    [undefined, 'application/octet-stream', ''],
  ])('sent as %s is told as %s', async (sent, told, kept) => {
    await put('typed', 'x', sent === undefined ? {} : { 'content-type': sent });
    expect((await kv('typed')).headers['content-type']).toBe(told);
    expect((await stored('typed'))?.contentType).toBe(kept);
  });

  test.each(['text', '/', 'a b/c', 'text/plain; ñ', `text/${'x'.repeat(300)}`])('the type %j: 400', async (type) => {
    const reply = await put('typed', 'x', { 'content-type': Buffer.from(type).toString('latin1') });
    expect(reply.status).toBe(400);
    expect(reply.json()['code']).toBe('bad-request');
  });

  test.each(['text/plain\r\nEvil: 1', 'ñ/ñ', '\u0000'])('a stored type %j that no header can hold is not sent', async (contentType) => {
    await running.keyValue.put('odd', Buffer.from('x'), { contentType });
    const reply = await kv('odd');
    expect(reply.headers['content-type']).toBe('application/octet-stream');
    expect(reply.headers['evil']).toBeUndefined();
  });

  test('as JSON, by parameter and by Accept', async () => {
    const { position, id } = await running.keyValue.put('j', Buffer.from('ñ'), {
      contentType: 'text/x',
      expires: 4_102_444_800_000 as Millis,
    });
    const version = `0:${position.offset}`;
    const accept = { headers: { accept: 'text/html, application/vnd.bitacora+json;q=0.5' } };
    for (const reply of [await kv('j?format=json'), await kv('j', accept)]) {
      expect(reply.headers).toMatchObject({ 'content-type': 'application/vnd.bitacora+json', etag: `"${version}@8f14e45f.json"` });
      const updated = new Date((await stored('j'))?.time ?? 0).toISOString();
      const expires = '2100-01-01T00:00:00.000Z';
      expect(reply.json()).toEqual({ key: 'j', value: 'ñ', version, updated, expires, content_type: 'text/x', id });
      expect(reply.headers['bitacora-expires']).toBe(expires);
    }
    expect((await kv('j?format=json')).headers['vary']).toBeUndefined();
    expect((await kv('j?format=raw', accept)).text).toBe('ñ');
    expect((await kv('j', { headers: { accept: 'application/vnd.bitacora+json;q=0' } })).text).toBe('ñ');
  });

  test('from a peer says so, and has no version when an old node does not tell', async () => {
    const found: FoundValue = {
      value: Buffer.from('p'),
      version: undefined,
      time: 0 as Millis,
      expires: 0 as Millis,
      id: '',
      contentType: '',
    };
    running.keyValue.peers.set('elsewhere', found);
    const reply = await kv('elsewhere');
    expect(reply).toMatchObject({ status: 200, text: 'p' });
    expect(reply.headers['bitacora-source']).toBe('peer');
    expect(reply.headers['etag']).toBeUndefined();
    expect(reply.headers['last-modified']).toBeUndefined();
    expect((await kv('elsewhere?format=json')).json()).toMatchObject({ version: null, updated: null, expires: null, content_type: null });
  });

  test('over the limit: 413 with the limit, announced or not', async () => {
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const reply = await put('big', Buffer.alloc(200_000), headers as Record<string, string>);
      expect(reply.status).toBe(413);
      expect(reply.json()).toMatchObject({ code: 'value-too-large', status: 413, node: 'n1' });
      expect(reply.json()['detail']).toContain('100000');
    }
    expect((await put('big', Buffer.alloc(100_000))).status).toBe(200);
  });

  test('who asks for leave to send too much does not get it', async () => {
    const head = 'PUT /v1/kv/big HTTP/1.1\r\nHost: n1\r\nExpect: 100-continue\r\nContent-Length: ';
    const { received, socket } = await raw(running.port, `${head}100001\r\n\r\n`);
    await expect.poll(received).toContain('value-too-large');
    expect(received()).not.toContain('100 Continue');
    socket.destroy();
    const small = await raw(running.port, `${head}1\r\n\r\n`);
    await expect.poll(small.received).toContain('100 Continue');
    small.socket.write('x');
    await expect.poll(small.received).toContain('200 OK');
    small.socket.destroy();
  });
});

describe('an absent key', () => {
  test('is a 404 with a position', async () => {
    const reply = await kv('nope');
    expect(reply.status).toBe(404);
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expect(reply.headers['bitacora-position']).toMatch(/^0:\d+@8f14e45f$/);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.json()).toEqual({
      type: '/docs#not-found',
      title: 'There is nothing under this key',
      status: 404,
      detail: 'there is nothing under this key',
      code: 'not-found',
      hint: expect.any(String),
      node: 'n1',
      position: reply.headers['bitacora-position'],
    });
  });

  test('after a delete', async () => {
    await put('gone');
    const reply = await kv('gone', { method: 'DELETE' });
    expect(reply).toMatchObject({ status: 204, text: '' });
    expect(reply.headers['content-length']).toBeUndefined();
    expect(reply.headers['content-type']).toBeUndefined();
    expect(reply.headers['bitacora-position']).toMatch(/^0:\d+@8f14e45f$/);
    expect((await kv('gone')).status).toBe(404);
    expect((await kv('gone', { method: 'DELETE' })).status).toBe(204);
  });
});

describe('the key', () => {
  test.each<[string, string]>([
    ['a/b/c', 'a/b/c'],
    ['a//b', 'a//b'],
    ['/', '/'],
    ['//', '//'],
    ['a/', 'a/'],
    ['../x', '../x'],
    ['a/../b/./c', 'a/../b/./c'],
    ['%2E%2e/x', '../x'],
    ['.', '.'],
    ['a%2Fb', 'a/b'],
    ['a+b', 'a+b'],
    ['a%2Bb', 'a+b'],
    ['a%20b', 'a b'],
    ['%2541', '%41'],
    ['a%3Fb', 'a?b'],
    ['a%23b', 'a#b'],
    ['a&b=c;d', 'a&b=c;d'],
    ['a%00b', 'a\u0000b'],
    ['%C3%B1/%E2%82%AC/%F0%9F%A6%89', 'ñ/€/🦉'],
    ['e%CC%81', 'e\u0301'],
    ['\\', '\\'],
    ['a:b@c', 'a:b@c'],
    ['%EF%BF%BD', '\uFFFD'],
    ['__proto__', '__proto__'],
    ['%7Btag%7D/x', '{tag}/x'],
  ])('%s is %j', async (path, key) => {
    const value = `value of ${key}`;
    expect((await put(path, value)).json()['key']).toBe(key);
    expect(Buffer.from((await stored(key))?.value ?? []).toString()).toBe(value);
    expect((await kv(path)).text).toBe(value);
    expect((await kv(`${path}?format=json`)).json()['key']).toBe(key);
    expect((await kv(path, { method: 'DELETE' })).status).toBe(204);
    expect(await stored(key)).toBeUndefined();
  });

  test.each<[string, string]>([
    ['', 'key-invalid'],
    ['%20', 'key-invalid'],
    ['%00', 'key-invalid'],
    ['%00genesis', 'key-invalid'],
    [`${'x'.repeat(1025)}`, 'key-invalid'],
    ['%', 'bad-request'],
    ['a%2', 'bad-request'],
    ['a%zz', 'bad-request'],
    ['%ff', 'bad-request'],
    ['%c3%28', 'bad-request'],
    ['%ed%a0%80', 'bad-request'],
  ])('%j: 400 %s', async (path, code) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const reply = await kv(path, { method });
      expect(reply.status).toBe(400);
      expect(reply.json()['code']).toBe(code);
    }
  });

  test('with a fragment, which no client should send: 400', async () => {
    const { closed } = await raw(running.port, 'GET /v1/kv/a#b HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('in a target of absolute form', async () => {
    await put('abs', 'x');
    const { closed } = await raw(running.port, 'GET http://other:80/v1/kv/abs HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\nx$/);
  });
});

describe('HEAD', () => {
  test('is GET without its body, also of what fails', async () => {
    await put('h', 'hello', { 'content-type': 'text/x' });
    for (const path of ['h', 'h?format=json', 'none', '%00', 'h?what=1']) {
      const get = await kv(path);
      const head = await kv(path, { method: 'HEAD' });
      expect(head.text).toBe('');
      expect(head.status).toBe(get.status);
      const { date: _one, ...got } = get.headers;
      const { date: _other, ...headed } = head.headers;
      expect(headed).toEqual(got);
    }
  });
});

describe('a deadline', () => {
  const left = async (path: string): Promise<number> => {
    const before = Date.now();
    const reply = await put(path);
    expect(reply.status).toBe(200);
    const told = Date.parse(reply.headers['bitacora-expires'] as string);
    expect((await stored(path.split('?')[0] as string))?.expires).toBe(told);
    expect(reply.json()['expires']).toBe(reply.headers['bitacora-expires']);
    return told - before;
  };

  test.each<[string, number]>([
    ['30s', 30_000],
    ['30', 30_000],
    ['1500ms', 1_500],
    ['2m', 120_000],
    ['3h', 10_800_000],
    ['4d', 345_600_000],
  ])('ttl=%s', async (ttl, ms) => {
    const took = await left(`d?ttl=${ttl}`);
    expect(took).toBeGreaterThanOrEqual(ms);
    expect(took).toBeLessThan(ms + 1_000);
  });

  test.each(['4102444800000', '2100-01-01T00:00:00Z', '2100-01-01T00:00:00.000Z', '2100-01-01T01:00:00%2B01:00'])(
    'expires=%s',
    async (expires) => {
      await left(`d?expires=${expires}`);
      expect((await kv('d')).headers['bitacora-expires']).toBe('2100-01-01T00:00:00.000Z');
    },
  );

  test('that has passed makes it absent', async () => {
    await put('brief?ttl=20ms');
    await expect.poll(async () => (await kv('brief')).status).toBe(404);
  });

  test.each([
    'ttl=0',
    'ttl=-1s',
    'ttl=1.5s',
    'ttl=1w',
    'ttl=',
    'ttl=99999999999999d',
    'ttl=x',
    'expires=0',
    'expires=1795253993',
    'expires=2100-01-01',
    'expires=2100-01-01T00:00:00',
    'expires=2100-01-01T00:00:00+01:00',
    'expires=2100-13-41T00:00:00Z',
    'expires=9999999999999999',
    'ttl=1s&expires=4102444800000',
    'ttl=1s&ttl=2s',
    'tll=30s',
  ])('%s: 400', async (query) => {
    const before = running.keyValue.written.length;
    const reply = await put(`bad?${query}`);
    expect(reply.status).toBe(400);
    expect(reply.json()['code']).toBe('bad-request');
    expect(running.keyValue.written.length).toBe(before);
  });
});

describe('failures', () => {
  test.each([
    ['log-unavailable', 503, '1'],
    ['overloaded', 503, '1'],
    ['unknown-outcome', 504, undefined],
    ['conditions-unsupported', 501, undefined],
    ['draining', 503, '1'],
    ['store-failed', 503, '1'],
    ['in-doubt', 503, '1'],
  ] as const)('%s: %i, told as a problem', async (code, status, retryAfter) => {
    running.keyValue.failure = new BitacoraError(code, 'the reason');
    const ofWrites = code === 'unknown-outcome' || code === 'conditions-unsupported';
    const methods = ofWrites ? ['PUT', 'DELETE'] : code === 'in-doubt' ? ['GET'] : ['GET', 'PUT', 'DELETE'];
    for (const method of methods) {
      const reply = await kv('a', { method });
      expect(reply.status).toBe(status);
      expect(reply.headers['content-type']).toBe('application/problem+json');
      expect(reply.headers['retry-after']).toBe(retryAfter);
      expect(reply.json()).toMatchObject({ type: `/docs#${code}`, status, code, detail: 'the reason', node: 'n1' });
    }
  });

  test('that are nobody’s business are internal, without their words', async () => {
    running.keyValue.failure = new Error('secret');
    const reply = await kv('a', { method: 'PUT', body: 'x' });
    expect(reply.status).toBe(500);
    expect(reply.text).not.toContain('secret');
    expect(running.logged.some((line) => line.includes('http.failed'))).toBe(true);
  });

  test('a write that the log does not confirm in time: 504', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    const reply = await put('slow');
    expect(reply.status).toBe(504);
    expect(reply.json()).toMatchObject({ code: 'unknown-outcome', hint: expect.stringContaining('Idempotency-Key') });
  });

  test('a compressed body, a part of one: 400', async () => {
    expect((await put('a', 'x', { 'content-encoding': 'gzip' })).status).toBe(400);
    expect((await put('a', 'x', { 'content-range': 'bytes 0-0/2' })).status).toBe(400);
  });

  test('another method: 405 with what there is', async () => {
    for (const method of ['POST', 'PATCH', 'OPTIONS']) {
      const reply = await kv('a', { method });
      expect(reply.status).toBe(405);
      expect(reply.headers['allow']).toBe('GET, HEAD, PUT, DELETE');
      expect(reply.json()).toMatchObject({ code: 'method-not-allowed', status: 405, node: 'n1' });
    }
  });

  test.each(['/v1', '/v1/', '/v1/nothing', '/v1/kv%2Fa', '/v1/KV/a'])('%s: 404 no-such-path', async (path) => {
    const reply = await ask(running.port, path);
    expect(reply.status).toBe(404);
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expect(reply.json()['code']).toBe('no-such-path');
  });
});

test('/rpc shows the same data', async () => {
  await put('shared/key', 'x');
  expect((await ask(running.port, '/rpc?key=shared/key')).json()).toMatchObject({ key: 'shared/key', value: 'x' });
  await ask(running.port, '/rpc?key=shared%2Fkey&value=y', { method: 'POST' });
  expect((await kv('shared/key')).text).toBe('y');
});

test('metrics name the template, not the key', async () => {
  await kv('secret/key');
  await ask(running.port, '/v1/nothing');
  await expect.poll(() => running.observed).toContainEqual({ route: '/v1/kv/{key}', method: 'GET', status: 404 });
  expect(running.observed.some(({ route }) => route.includes('secret'))).toBe(false);
});
