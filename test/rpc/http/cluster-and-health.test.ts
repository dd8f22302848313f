/** What other nodes, balancers and scrapers ask. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Millis, Offset } from '../../../src/ports.ts';
import { call, type Running, startServer } from './start-server.ts';

let running: Running;
beforeAll(async () => {
  running = await startServer();
});
afterAll(() => running.stop());
beforeEach(() => {
  running.keyValue.statusChange = {};
});

const ask = (path: string, options?: Parameters<typeof call>[2]) => call(running.port, path, options);
const asNode = { headers: { accept: 'application/vnd.bitacora+json' } };

describe('/rpc/cluster', () => {
  test('answers as /rpc, with position and genesis', async () => {
    const { id } = await running.keyValue.put('k', Buffer.from('v'));
    const reply = await ask('/rpc/cluster?key=k');
    const { timestamp } = JSON.parse(reply.text);
    expect(reply.status).toBe(200);
    expect(reply.text).toBe(`{"key":"k","value":"v","timestamp":${timestamp},"source":1,"ttl":0,"uuid":"${id}"}\n`);
    expect(reply.headers['bitacora-applied']).toBe('0:1');
    expect(reply.headers['bitacora-genesis']).toBe('genesis-1');
  });

  test('is never forwarded, and tells its position with an absence too', async () => {
    const found = { value: Buffer.from('x'), version: undefined, time: 5 as Millis, expires: 0 as Millis, id: '', contentType: '' };
    running.keyValue.peers.set('elsewhere', found);
    const reply = await ask('/rpc/cluster?key=elsewhere', asNode);
    expect(reply.status).toBe(404);
    expect(reply.text).toBe('{"message": "Key elsewhere not found"}');
    expect(reply.headers['bitacora-applied']).toBe('0:1');
    expect(reply.headers['bitacora-genesis']).toBe('genesis-1');
  });

  test('a node hears the version, the content type, and bytes that are not text', async () => {
    const { position } = await running.keyValue.put('bytes', new Uint8Array([0xff, 0x00]), { contentType: 'image/x' });
    const reply = await ask('/rpc/cluster?key=bytes', asNode);
    expect(reply.headers['content-type']).toBe('application/vnd.bitacora+json');
    const body = JSON.parse(reply.text);
    expect(Object.keys(body)).toEqual(['key', 'value_b64', 'timestamp', 'source', 'ttl', 'uuid', 'version', 'contentType']);
    expect(body).toMatchObject({ value_b64: '/wA=', version: `0:${position.offset}`, contentType: 'image/x' });
    await running.keyValue.put('text', Buffer.from('ñ\uFFFD'));
    expect(JSON.parse((await ask('/rpc/cluster?key=text', asNode)).text).value).toBe('ñ\uFFFD');
  });

  test('HEAD, as in the original’s own instructions', async () => {
    const reply = await ask('/rpc/cluster?key=k', { method: 'HEAD' });
    expect(reply).toMatchObject({ status: 200, text: '' });
    expect(reply.headers['bitacora-applied']).toBeDefined();
  });

  test('a node that is starting has no answer to give', async () => {
    running.keyValue.statusChange = { state: 'starting', ready: false };
    const reply = await ask('/rpc/cluster?key=k');
    expect(reply.status).toBe(503);
    expect(reply.headers['bitacora-applied']).toBeUndefined();
    running.keyValue.statusChange = { state: 'restoring', ready: false };
    expect((await ask('/rpc/cluster?key=k')).status).toBe(200);
  });

  test.each(['/rpc/cluster', '/rpc/cluster?key=+', '/rpc/cluster?key=%zz', '/rpc/cluster?key=%00'])('%s: 400', async (path) => {
    expect((await ask(path)).status).toBe(400);
  });
});

describe('health', () => {
  test('ready', async () => {
    expect(await ask('/health')).toMatchObject({ status: 200, text: 'OK' });
    expect((await ask('/health')).headers['content-type']).toMatch(/^text\/plain/);
    expect((await ask('/livez')).status).toBe(200);
    const reply = await ask('/readyz');
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toMatchObject({ state: 'ready', reason: null, progress: 100, lag_ms: 0 });
    expect((await ask('/readyz/write')).status).toBe(200);
  });

  test('restoring: down for readers, with progress', async () => {
    running.keyValue.statusChange = {
      state: 'restoring',
      reason: 'reading the log',
      ready: false,
      writable: false,
      progress: 0.99999,
      recordsPerSecond: 1234.6,
      secondsLeft: 2.1,
      lagMs: 17.4,
      applied: [5 as Offset],
      ends: [9 as Offset],
    };
    expect(await ask('/health')).toMatchObject({ status: 500, text: 'DOWN' });
    expect((await ask('/livez')).status).toBe(200);
    const reply = await ask('/readyz');
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.text)).toMatchObject({
      state: 'restoring',
      reason: 'reading the log',
      progress: 99.9,
      records_per_second: 1235,
      eta_s: 3,
      lag_ms: 17,
      applied: [5],
      ends: [9],
    });
    running.keyValue.statusChange = { ...running.keyValue.statusChange, secondsLeft: undefined };
    expect(JSON.parse((await ask('/readyz')).text).eta_s).toBeNull();
  });

  test('the log is away: ready for readers, not for writers', async () => {
    running.keyValue.statusChange = { writable: false, log: 'disconnected' };
    expect((await ask('/health')).status).toBe(200);
    expect((await ask('/readyz')).status).toBe(200);
    expect((await ask('/readyz/write')).status).toBe(503);
  });

  test('HEAD everywhere', async () => {
    for (const path of ['/health', '/livez', '/readyz', '/readyz/write', '/metrics']) {
      expect(await ask(path, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
    }
  });

  test('/metrics', async () => {
    const reply = await ask('/metrics');
    expect(reply).toMatchObject({ status: 200, text: 'bitacora_ready 1\n' });
    expect(reply.headers['content-type']).toBe('text/plain; version=0.0.4');
  });
});
