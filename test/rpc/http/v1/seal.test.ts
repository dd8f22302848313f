/** `/v1/seal`: what it tells, who may ask, and what writers hear. */
import { afterEach, expect, test } from 'vitest';
import { BitacoraError } from '../../../../src/core/errors.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import type { Running } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
afterEach(() => running.stop());

test('tells where it went, as was said first, and the last records as a token; taken back, it is as before', async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue(4));
  const { keyValue, port } = running;
  for (const key of ['a', 'b', 'c']) await keyValue.put(key, Buffer.from('v'));
  const sealed = await ask(port, '/v1/seal?to=new-node:8082', { method: 'POST' });
  expect([sealed.status, sealed.json()]).toEqual([
    200,
    { sealed: true, to: 'new-node:8082', position: expect.stringMatching(/^\d+:\d+(,\d+:\d+)*@[0-9a-f]{8}$/) },
  ]);
  expect((await ask(port, '/v1/seal?to=elsewhere', { method: 'POST' })).json()).toEqual(sealed.json());
  expect((await ask(port, '/v1/seal', { method: 'DELETE' })).status).toBe(204);
  expect((await ask(port, '/v1/seal', { method: 'POST' })).json()).toMatchObject({ to: null });
});

test('a write to a sealed log is refused with what helps, alone and in a batch; the node says so in every way', async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue());
  const { keyValue, port } = running;
  keyValue.failures.set('k', new BitacoraError('log-sealed', 'the log is sealed and takes no writes; it has moved to new-node:8082'));
  keyValue.statusChange = { sealed: true, writable: false, reason: 'the log is sealed' };
  const refused = await ask(port, '/v1/kv/k', { method: 'PUT', body: 'v' });
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
  expect(refused.json()).toMatchObject({ code: 'log-sealed', detail: expect.stringContaining('new-node:8082'), hint: expect.any(String) });
  const batch = await ask(port, '/v1/batch', {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: '[{"op":"put","key":"k","value":"v"},{"op":"put","key":"l","value":"v"}]',
  });
  expect(batch.json()).toMatchObject({ results: [{ status: 503, error: { code: 'log-sealed' } }, { status: 200 }] });
  expect((await ask(port, '/v1/node')).json()).toMatchObject({ sealed: true, writable: false, reason: 'the log is sealed' });
  const ready = await ask(port, '/readyz/write');
  expect([ready.status, ready.json()]).toEqual([503, expect.objectContaining({ sealed: true, reason: 'the log is sealed' })]);
});

test('pages of other sites may not ask, nobody sends a body, and what the log says is told', async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue());
  const { keyValue, port } = running;
  for (const method of ['POST', 'DELETE']) {
    expect((await ask(port, '/v1/seal', { method, headers: { origin: 'http://evil.example' } })).status).toBe(400);
    const headers = { 'content-length': '1' };
    expect((await ask(port, '/v1/seal', { method, headers, body: 'x' })).status).toBe(400);
  }
  expect((await ask(port, `/v1/seal?to=${'x'.repeat(1_001)}`, { method: 'POST' })).status).toBe(400);
  expect((await ask(port, '/v1/seal', { method: 'GET' })).status).toBe(405);
  expect(keyValue.sealedTo).toBeUndefined();
  keyValue.failure = new BitacoraError('log-unavailable', 'the settings of the topic cannot be altered');
  const failed = await ask(port, '/v1/seal', { method: 'POST' });
  expect([failed.status, failed.json()]).toEqual([503, expect.objectContaining({ code: 'log-unavailable' })]);
});
