/** Writes that expect something, readers who have it already, and requests that are sent twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Call, type Running, raw } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
beforeAll(async () => {
  running = await startV1();
});
afterAll(() => running.stop());

const kv = (key: string, options?: Call) => ask(running.port, `/v1/kv/${key}`, options);
const put = (key: string, headers: Record<string, string> = {}, body = 'v') => kv(key, { method: 'PUT', headers, body });
const remove = (key: string, headers: Record<string, string> = {}) => kv(key, { method: 'DELETE', headers });
const tagOf = async (key: string) => (await kv(key)).headers['etag'] as string;

describe('If-Match', () => {
  test('of the version: written once, and then it is another', async () => {
    await put('m');
    const tag = await tagOf('m');
    const second = await put('m', { 'if-match': tag }, 'two');
    expect(second.status).toBe(200);
    const third = await put('m', { 'if-match': tag }, 'three');
    expect(third.status).toBe(412);
    expect(third.headers['etag']).toBe(second.headers['etag']);
    expect(third.headers['bitacora-position']).toBe(second.headers['bitacora-position']);
    expect(third.json()).toMatchObject({ code: 'version-conflict', current: second.json()['version'], status: 412 });
    expect((await kv('m')).text).toBe('two');
    expect((await remove('m', { 'if-match': tag })).status).toBe(412);
    expect((await remove('m', { 'if-match': second.headers['etag'] as string })).status).toBe(204);
  });

  test('of the JSON form names the same version', async () => {
    await put('j');
    const tag = (await kv('j?format=json')).headers['etag'] as string;
    expect(tag).toMatch(/^"0:\d+@8f14e45f\.json"$/);
    expect((await put('j', { 'if-match': tag })).status).toBe(200);
  });

  test('a version of another log: nothing is written, and a reader has not got it', async () => {
    await put('foreign');
    const tag = await tagOf('foreign');
    const place = tag.slice(1, tag.indexOf('@'));
    const other = `"${place}@00c0ffee"`;
    for (const reply of [await put('foreign', { 'if-match': other }, 'two'), await remove('foreign', { 'if-match': other })]) {
      expect(reply.status).toBe(409);
      expect(reply.json()).toMatchObject({ code: 'position-foreign' });
    }
    expect((await kv('foreign')).text).toBe('v');
    expect((await kv('foreign', { headers: { 'if-match': other } })).status).toBe(412);
    expect((await kv('foreign', { headers: { 'if-none-match': other } })).status).toBe(200);
    // Without a log it is one of this.
    expect((await kv('foreign', { headers: { 'if-none-match': `"${place}"` } })).status).toBe(304);
    expect((await put('foreign', { 'if-match': `"${place}"` })).status).toBe(200);
  });

  test('of an absent key: 412, and there is no current version', async () => {
    const reply = await put('absent', { 'if-match': '"0:1"' });
    expect(reply.status).toBe(412);
    expect(reply.headers['etag']).toBeUndefined();
    expect(reply.json()['current']).toBeNull();
  });

  test('*: only what is there', async () => {
    expect((await put('star', { 'if-match': '*' })).status).toBe(412);
    await put('star');
    expect((await put('star', { 'if-match': '*' })).status).toBe(200);
    expect((await remove('star', { 'if-match': '*' })).status).toBe(204);
    expect((await remove('star', { 'if-match': '*' })).status).toBe(412);
  });

  test.each([
    '0:17',
    '"0:17',
    '0:17"',
    '',
    ',',
    '"0:1", "0:2"',
    'W/"0:17"',
    'w/"0:17"',
    '"x"',
    '""',
    '"0:17.yaml"',
    '"0:-1"',
    '*, "0:1"',
    '"0:1" "0:2',
    '"0:1"x',
    `"${'0'.repeat(4000)}"`,
  ])('%j: 400, and nothing is written', async (value) => {
    const before = running.keyValue.writes.length;
    for (const reply of [await put('m', { 'if-match': value }), await remove('m', { 'if-match': value })]) {
      expect(reply.status).toBe(400);
      expect(reply.json()['code']).toBe('bad-request');
    }
    expect(running.keyValue.writes.length).toBe(before);
  });
});

describe('If-None-Match of a write', () => {
  test('*: only what is absent, told as 201', async () => {
    const first = await put('n', { 'if-none-match': '*' });
    expect(first.status).toBe(201);
    const second = await put('n', { 'if-none-match': '*' });
    expect(second.status).toBe(412);
    expect(second.headers['etag']).toBe(first.headers['etag']);
    await remove('n');
    expect((await put('n', { 'if-none-match': '*' })).status).toBe(201);
  });

  test('a value past its deadline is absent', async () => {
    await kv('brief?ttl=10ms', { method: 'PUT' });
    await expect.poll(async () => (await put('brief', { 'if-none-match': '*' })).status).toBe(201);
  });

  test.each([['"0:1"'], ['*, *'], ['x']])('%j: 400', async (value) => {
    expect((await put('n', { 'if-none-match': value })).status).toBe(400);
  });
});

test('conditions that cannot both hold, and those that are not understood: 400', async () => {
  const before = running.keyValue.writes.length;
  expect((await put('n', { 'if-match': '"0:1"', 'if-none-match': '*' })).status).toBe(400);
  expect((await put('n', { 'if-unmodified-since': 'Sat, 21 Nov 2026 15:00:00 GMT' })).status).toBe(400);
  expect((await remove('n', { 'if-unmodified-since': 'Sat, 21 Nov 2026 15:00:00 GMT' })).status).toBe(400);
  expect(running.keyValue.writes.length).toBe(before);
});

test('two headers of one name are one list: two versions, 400', async () => {
  const head = 'PUT /v1/kv/m HTTP/1.1\r\nHost: n1\r\nConnection: close\r\nContent-Length: 0\r\n';
  for (const lines of [
    'If-Match: "0:1"\r\nIf-Match: "0:2"\r\n',
    'Idempotency-Key: a\r\nIdempotency-Key: b\r\n',
    'Content-Type: a/b\r\nContent-Type: a/c\r\n',
  ]) {
    const answer = await (await raw(running.port, `${head}${lines}\r\n`)).closed;
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('application/problem+json');
  }
});

describe('a reader who has it already', () => {
  test('gets 304 with the headers that matter, and no body', async () => {
    const written = await kv('r?ttl=1h', { method: 'PUT', body: 'v' });
    const tag = written.headers['etag'] as string;
    for (const none of [tag, `W/${tag}`, `"x", ${tag}`, `"a,b" ,W/${tag},"c"`, '*']) {
      for (const method of ['GET', 'HEAD']) {
        const reply = await kv('r', { method, headers: { 'if-none-match': none } });
        expect(reply).toMatchObject({ status: 304, text: '' });
        expect(reply.headers).toMatchObject({
          etag: tag,
          'cache-control': 'no-cache',
          vary: 'Accept',
          'bitacora-expires': expect.any(String),
        });
        expect(reply.headers['bitacora-position']).toBeDefined();
        expect(reply.headers['content-length']).toBeUndefined();
        expect(reply.headers['content-type']).toBeUndefined();
      }
    }
  });

  test('of another version, or of another form, gets the value', async () => {
    await put('r2');
    const tag = await tagOf('r2');
    expect((await kv('r2', { headers: { 'if-none-match': '"0:99999"' } })).status).toBe(200);
    expect((await kv('r2?format=json', { headers: { 'if-none-match': tag } })).status).toBe(200);
    expect((await kv('r2?format=json', { headers: { 'if-none-match': tag.replace(/"$/, '.json"') } })).status).toBe(304);
    await put('r2', {}, 'new');
    expect((await kv('r2', { headers: { 'if-none-match': tag } })).text).toBe('new');
    expect((await kv('r2', { headers: { 'if-none-match': 'no tag' } })).status).toBe(400);
  });

  test('of an absent key gets 404, whatever he has', async () => {
    for (const none of ['*', '"0:1"']) expect((await kv('never', { headers: { 'if-none-match': none } })).status).toBe(404);
  });

  test('who wants one version gets that or 412', async () => {
    await put('r3');
    const tag = await tagOf('r3');
    expect((await kv('r3', { headers: { 'if-match': tag } })).status).toBe(200);
    expect((await kv('r3', { headers: { 'if-match': `"0:0", ${tag}` } })).status).toBe(200);
    expect((await kv('r3', { headers: { 'if-match': '*' } })).status).toBe(200);
    const other = await kv('r3', { headers: { 'if-match': `W/${tag}` } });
    expect(other.status).toBe(412);
    expect(other.headers['etag']).toBe(tag);
  });
});

describe('Idempotency-Key', () => {
  test('sent twice gets the first answer, also to a condition that no longer holds', async () => {
    const headers = { 'if-none-match': '*', 'idempotency-key': 'abc-1' };
    const first = await put('i', headers, 'one');
    const second = await put('i', headers, 'one');
    expect(first.status).toBe(201);
    expect(second.status).toBe(201);
    expect(second.headers['etag']).toBe(first.headers['etag']);
    expect((await put('i', { 'if-none-match': '*', 'idempotency-key': 'abc-2' })).status).toBe(412);
    expect((await put('i', { 'if-none-match': '*', 'idempotency-key': 'abc-2' })).status).toBe(412);
    expect((await put('other', headers)).status).toBe(201);
    expect((await remove('i', { 'idempotency-key': 'del' })).status).toBe(204);
    expect((await remove('i', { 'idempotency-key': 'del' })).status).toBe(204);
    expect(running.keyValue.writes.at(-1)).toMatchObject({ key: 'i', idempotencyKey: 'del' });
  });

  test.each(['', 'x'.repeat(201), 'ñ', 'a\tb'])('%j: 400', async (value) => {
    expect((await put('i', { 'idempotency-key': value })).status).toBe(400);
  });

  test('where it would not be kept it is refused', async () => {
    const headers = { 'idempotency-key': 'x', 'content-type': 'application/json' };
    const batch = await ask(running.port, '/v1/batch', { method: 'POST', headers, body: '[{"op":"delete","key":"a"}]' });
    expect(batch.status).toBe(400);
    expect((await ask(running.port, '/v1/kv?prefix=a&confirm=a', { method: 'DELETE', headers })).status).toBe(400);
  });
});
