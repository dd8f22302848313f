/** `POST /v1/revert/{key}`: a key is made what it was, unless it changed meanwhile. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError } from '../../../../src/core/errors.ts';
import type { Millis } from '../../../../src/ports.ts';
import type { Call, Running } from '../start-server.ts';
import { ask, genesis, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1();
});
afterEach(() => running.stop());

const kv = (path: string, options?: Call) => ask(running.port, `/v1/kv/${path}`, options);
const revert = (path: string, headers: Record<string, string> = {}, options: Call = {}) =>
  ask(running.port, `/v1/revert/${path}`, { method: 'POST', headers, ...options });

/** Places 0:0 bytes with a deadline, 0:1 `two`, 0:2 deleted, 0:3 `four`. */
beforeEach(async () => {
  await running.keyValue.put('a', Buffer.from([0xff, 0x00]), { contentType: 'image/x', expires: 4_102_444_800_000 as Millis });
  await running.keyValue.put('a', Buffer.from('two'));
  await running.keyValue.delete('a');
  await running.keyValue.put('a', Buffer.from('four'));
  running.keyValue.writes.length = 0;
});

describe('a revert', () => {
  test('writes the value of then once more, with its type and without its deadline', async () => {
    const reply = await revert('a?at=0:0');
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({ etag: '"0:4@8f14e45f"', 'bitacora-position': '0:4@8f14e45f', 'cache-control': 'no-store' });
    expect(reply.headers['bitacora-expires']).toBeUndefined();
    expect(reply.json()).toEqual({ key: 'a', version: '0:4', expires: null, id: expect.any(String) });
    const now = await kv('a');
    expect(now.bytes).toEqual(Buffer.from([0xff, 0x00]));
    expect(now.headers).toMatchObject({ 'content-type': 'image/x', etag: '"0:4@8f14e45f"' });
    expect(now.headers['bitacora-expires']).toBeUndefined();
  });

  test('deletes the key where there was nothing', async () => {
    const reply = await revert('a?at=0:2');
    expect(reply).toMatchObject({ status: 204, text: '' });
    expect(reply.headers['bitacora-position']).toBe('0:4@8f14e45f');
    expect(reply.headers['etag']).toBeUndefined();
    expect((await kv('a')).status).toBe(404);
    expect((await revert('a?at=1h')).status).toBe(204);
    expect((await revert('a?at=0:3')).status).toBe(200);
    expect((await kv('a')).text).toBe('four');
  });

  test('takes a new deadline', async () => {
    const reply = await revert('a?at=0:1&ttl=1h');
    const expires = Date.parse(String(reply.headers['bitacora-expires']));
    expect(expires - Date.now()).toBeGreaterThan(3_500_000);
    expect(reply.json()['expires']).toBe(reply.headers['bitacora-expires']);
    expect((await kv('a')).headers['bitacora-expires']).toBe(reply.headers['bitacora-expires']);
    expect((await revert('a?at=0:1&expires=2100-01-01T00:00:00Z')).json()['expires']).toBe('2100-01-01T00:00:00.000Z');
  });

  test('is of exactly the key that was named', async () => {
    await running.keyValue.put('a//b c', Buffer.from('v'));
    expect((await revert('a//b%20c?at=0:4')).json()['key']).toBe('a//b c');
    expect((await revert('?at=0:4')).json()['code']).toBe('key-invalid');
    expect((await ask(running.port, '/v1/revert?at=0:4', { method: 'POST' })).status).toBe(404);
  });
});

describe('conditions', () => {
  test('without one it expects what the key is', async () => {
    await revert('a?at=0:1');
    await running.keyValue.delete('a');
    await revert('a?at=0:1');
    expect(running.keyValue.writes.map(({ condition }) => condition)).toEqual([{ partition: 0, offset: 3 }, undefined, 'absent']);
  });

  test('a change meanwhile is a conflict, and nothing is written', async () => {
    let open = (): void => undefined;
    running.keyValue.writeGate = new Promise((resolve) => {
      open = resolve;
    });
    const other = running.keyValue.put('a', Buffer.from('meanwhile'));
    const reply = revert('a?at=0:1');
    await expect.poll(() => running.keyValue.reads.length).toBe(1);
    open();
    await other;
    expect((await reply).status).toBe(412);
    expect((await reply).json()).toMatchObject({ code: 'version-conflict', current: '0:4' });
    expect((await reply).headers).toMatchObject({ etag: '"0:4@8f14e45f"', 'bitacora-position': '0:4@8f14e45f' });
    expect((await kv('a')).text).toBe('meanwhile');
  });

  test('If-Match: the version, or anything', async () => {
    expect((await revert('a?at=0:1', { 'if-match': '"0:3"' })).status).toBe(200);
    const late = await revert('a?at=0:1', { 'if-match': '"0:3"' });
    expect(late.status).toBe(412);
    expect(late.json()).toMatchObject({ code: 'version-conflict', current: '0:4' });
    expect((await revert('a?at=0:2', { 'if-match': '"0:4.json"' })).status).toBe(204);
    const gone = await revert('a?at=0:1', { 'if-match': '*' });
    expect(gone.status).toBe(412);
    expect(gone.json()['current']).toBeNull();
    await revert('a?at=0:1');
    expect((await revert('a?at=0:3', { 'if-match': '*' })).status).toBe(200);
  });

  test('If-None-Match: *, only what is absent, told as 201', async () => {
    expect((await revert('a?at=0:1', { 'if-none-match': '*' })).status).toBe(412);
    await running.keyValue.delete('a');
    expect((await revert('a?at=0:1', { 'if-none-match': '*' })).status).toBe(201);
    await running.keyValue.delete('a');
    expect((await revert('a?at=0:2', { 'if-none-match': '*' })).status).toBe(204);
  });

  test.each<[string, Record<string, string>]>([
    ['both', { 'if-match': '*', 'if-none-match': '*' }],
    ['several', { 'if-match': '"0:1", "0:3"' }],
    ['a weak tag', { 'if-match': 'W/"0:3"' }],
    ['no version', { 'if-match': '"x"' }],
    ['a version to be absent', { 'if-none-match': '"0:3"' }],
    ['a time', { 'if-unmodified-since': 'Sat, 21 Nov 2026 15:00:00 GMT' }],
    ['an idempotency key', { 'idempotency-key': 'x' }],
  ])('%s: 400', async (_what, headers) => {
    expect((await revert('a?at=0:1', headers)).json()['code']).toBe('bad-request');
    expect(running.keyValue.writes).toEqual([]);
  });
});

describe('what cannot be', () => {
  test.each(['', 'at=', 'at=x', 'at=0:1&at=0:1', 'at=0:1&ttl=x', 'at=0:1&ttl=1s&expires=1', 'at=0:1&expires=1', 'at=0:1&format=json'])(
    '?%s: 400',
    async (query) => {
      expect((await revert(`a?${query}`)).json()['code']).toBe('bad-request');
      expect(running.keyValue.writes).toEqual([]);
    },
  );

  test('a time that is still to come, or a place of another partition: 400', async () => {
    for (const at of ['2100-01-01T00:00:00Z', '1:0']) expect((await revert(`a?at=${at}`)).status).toBe(400);
  });

  test('a body: 400', async () => {
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }] as Record<string, string>[]) {
      expect((await revert('a?at=0:1', headers, { body: 'x' })).status).toBe(400);
    }
    expect((await revert('a?at=0:1', { 'content-length': '0' })).status).toBe(200);
  });

  test('what the log does not hold any more: 410, with the place from which it does', async () => {
    running.keyValue.log.completeFrom[0] = 2;
    const reply = await revert('a?at=0:1');
    expect(reply.status).toBe(410);
    expect(reply.json()).toMatchObject({ code: 'history-compacted', complete_since: { position: '0:2' } });
    expect(running.keyValue.writes).toEqual([]);
  });

  test('another method: 405 with what there is', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const reply = await revert('a?at=0:1', {}, { method });
      expect(reply.status).toBe(405);
      expect(reply.headers['allow']).toBe('POST');
    }
  });

  test('a page of another site: 400, as it could send that unasked', async () => {
    const origin = { origin: 'https://elsewhere.example' };
    const form = { ...origin, 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' };
    for (const headers of [origin, form, { origin: 'null' }] as Record<string, string>[]) {
      expect((await revert('a?at=0:1', headers)).status).toBe(400);
    }
    expect(running.keyValue.writes).toEqual([]);
    expect((await revert('a?at=0:1', { ...origin, 'if-match': '"0:3"' })).status).toBe(200);
    expect((await revert('a?at=0:3', { ...origin, 'bitacora-min-position': '0:4@8f14e45f' })).status).toBe(200);
  });
});

describe('time and failures', () => {
  test('what was seen is waited for, as long as the caller says', async () => {
    const seen = (token: string) => ({ 'bitacora-min-position': token, prefer: 'wait=0' });
    expect((await revert('a?at=0:1&consistency=latest', seen('0:3@8f14e45f'))).status).toBe(200);
    expect(running.keyValue.reads.at(-1)).toMatchObject({ consistency: 'latest', seen: { genesis }, waitMs: 0 });
    const reply = await revert('a?at=0:1', seen('0:99@8f14e45f'));
    expect(reply.status).toBe(503);
    expect(reply.json()).toMatchObject({ code: 'position-not-reached', position: '0:99@8f14e45f' });
    expect((await revert('a?at=0:1', seen('0:1@00000000'))).status).toBe(409);
  });

  test('a write that is not confirmed: 504', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    const reply = await revert('a?at=0:1', { prefer: 'wait=0' });
    expect(reply.status).toBe(504);
    expect(reply.json()['code']).toBe('unknown-outcome');
  });

  test.each(['log-unavailable', 'draining', 'conditions-unsupported', 'unknown-outcome', 'value-too-large'] as const)(
    '%s is told',
    async (code) => {
      running.keyValue.failures.set('a', new BitacoraError(code, 'so it is'));
      expect((await revert('a?at=0:1')).json()).toMatchObject({ code, detail: 'so it is' });
    },
  );
});
