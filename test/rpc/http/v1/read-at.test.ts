/** `GET /v1/kv/{key}?at=`: what stood there at a moment of the past, told as what is there now would be. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Millis } from '../../../../src/ports.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Call, Running } from '../start-server.ts';
import { ask, genesis, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1();
});
afterEach(() => running.stop());

const kv = (path: string, options?: Call) => ask(running.port, `/v1/kv/${path}`, options);
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Places 0:0 `one`, 0:1 another key, 0:2 deleted, 0:3 bytes. */
async function fill(): Promise<void> {
  await running.keyValue.put('a', Buffer.from('one'), { contentType: 'text/x' });
  await running.keyValue.put('b', Buffer.from('b'));
  await running.keyValue.delete('a');
  await running.keyValue.put('a', Buffer.from([0xff, 0x00]), { contentType: 'image/x', expires: 4_102_444_800_000 as Millis });
}

describe('the value of a place', () => {
  test('has its bytes, type and version of then', async () => {
    await fill();
    for (const at of ['0:0', '0:1']) {
      const reply = await kv(`a?at=${at}`);
      expect(reply).toMatchObject({ status: 200, text: 'one' });
      expect(reply.headers).toMatchObject({
        'content-type': 'text/x',
        etag: '"0:0@8f14e45f"',
        'bitacora-source': 'local',
        'bitacora-position': '0:3@8f14e45f',
        'cache-control': 'no-cache',
        'content-security-policy': "default-src 'none'; sandbox",
      });
      expect(reply.headers['last-modified']).toBeDefined();
      expect(reply.headers['bitacora-expires']).toBeUndefined();
    }
    const now = await kv('a?at=0:3');
    expect(now.bytes).toEqual(Buffer.from([0xff, 0x00]));
    expect(now.headers).toMatchObject({
      etag: '"0:3@8f14e45f"',
      'content-type': 'image/x',
      'bitacora-expires': '2100-01-01T00:00:00.000Z',
    });
  });

  test('is 404 where there was nothing: deleted, or not yet written', async () => {
    await fill();
    for (const path of ['a?at=0:2', 'b?at=0:0', 'never?at=0:3']) {
      const reply = await kv(path);
      expect(reply.status).toBe(404);
      expect(reply.json()).toMatchObject({ code: 'not-found', detail: 'there was nothing under this key' });
      expect(reply.headers['bitacora-position']).toBe('0:3@8f14e45f');
    }
  });

  test('HEAD has the headers alone', async () => {
    await fill();
    const reply = await kv('a?at=0:1', { method: 'HEAD' });
    expect(reply).toMatchObject({ status: 200, text: '' });
    expect(reply.headers).toMatchObject({ etag: '"0:0@8f14e45f"', 'content-type': 'text/x', 'content-length': '3' });
    expect((await kv('a?at=0:2', { method: 'HEAD' })).status).toBe(404);
  });

  test('comes in the form that is asked for, and with the conditions of any read', async () => {
    await fill();
    const accept = { headers: { accept: 'application/vnd.bitacora+json' } };
    for (const reply of [await kv('a?at=0:1&format=json'), await kv('a?at=0:1', accept)]) {
      expect(reply.headers['etag']).toBe('"0:0@8f14e45f.json"');
      expect(reply.json()).toMatchObject({ key: 'a', value: 'one', version: '0:0', content_type: 'text/x' });
    }
    expect((await kv('a?at=0:3&format=json')).json()).toMatchObject({ value_b64: '/wA=', version: '0:3' });
    const known = (tag: string) => kv('a?at=0:1', { headers: { 'if-none-match': tag } });
    expect((await known('"0:0"')).status).toBe(304);
    expect((await known('"0:3"')).status).toBe(200);
    const wanted = (tag: string) => kv('a?at=0:1', { headers: { 'if-match': tag } });
    expect((await wanted('"0:0"')).status).toBe(200);
    const other = await wanted('"0:3"');
    expect(other.status).toBe(412);
    expect(other.json()['current']).toBe('0:0');
  });
});

describe('the value of a time', () => {
  test('in milliseconds, in ISO 8601, or so long ago', async () => {
    await running.keyValue.put('t', Buffer.from('one'));
    await pause();
    const time = Date.now();
    await pause();
    await running.keyValue.put('t', Buffer.from('two'));
    for (const at of [`${time}`, new Date(time).toISOString()]) expect((await kv(`t?at=${at}`)).text).toBe('one');
    await pause();
    expect((await kv('t?at=1ms')).text).toBe('two');
    expect((await kv('t?at=1h')).status).toBe(404);
    expect((await kv('t?at=2020-01-01T00:00:00Z')).status).toBe(404);
  });

  test('that is still to come: 400', async () => {
    for (const at of [`${Date.now() + 60_000}`, '2100-01-01T00:00:00Z']) {
      const reply = await kv(`t?at=${at}`);
      expect(reply.status).toBe(400);
      expect(reply.json()['code']).toBe('bad-request');
    }
  });
});

test('what the log does not hold any more: 410, with the place from which it does', async () => {
  await fill();
  running.keyValue.log.completeFrom[0] = 2;
  for (const at of ['0:0', '0:1', '1h']) {
    const reply = await kv(`a?at=${at}`);
    expect(reply.status).toBe(410);
    expect(reply.json()).toMatchObject({ code: 'history-compacted', complete_since: { position: '0:2', time: null } });
    expect((await kv(`a?at=${at}`, { method: 'HEAD' })).status).toBe(410);
  }
  expect((await kv('a?at=0:3')).status).toBe(200);
});

test.each(['', 'x', '0', '0:1@8f14e45f', '1y', '-1h', '2026-11-21T15:00:00', '0:1&at=0:1', '1:0'])('at=%s: 400', async (at) => {
  // One digit is a time, of 1970: there was nothing.
  expect((await kv(`a?at=${at}`)).status).toBe(at === '0' ? 404 : 400);
});

test('elsewhere it is not known', async () => {
  for (const method of ['PUT', 'DELETE']) expect((await kv('a?at=0:0', { method })).status).toBe(400);
  expect((await ask(running.port, '/v1/kv?at=0:0')).status).toBe(400);
});

test('a session is kept, and how new and patient the read is', async () => {
  await running.stop();
  running = await startV1({}, 5_000, createMemoryKeyValue(4));
  const { position } = await running.keyValue.put('s', Buffer.from('v'));
  const place = `${position.partition}:${position.offset}`;
  const token = `${place}@8f14e45f`;
  const headers = { 'bitacora-min-position': token, prefer: 'wait=3' };
  const reply = await kv(`s?at=${place}&consistency=latest`, { headers });
  expect(reply.headers['bitacora-position']).toBe(token);
  const asked = running.keyValue.reads.at(-1);
  expect(asked).toMatchObject({ consistency: 'latest', seen: { genesis, positions: [position] } });
  expect(asked?.waitMs).toBeGreaterThan(2_000);
  const ahead = `${position.partition}:9@8f14e45f`;
  expect((await kv(`s?at=${place}`, { headers: { 'bitacora-min-position': ahead } })).json()).toMatchObject({
    code: 'position-not-reached',
    position: ahead,
  });
});
