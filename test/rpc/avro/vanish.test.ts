/** Clients that vanish: their waits end, what was sent is not undone. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeRequest } from '../../../wire/avro/codec.ts';
import { call } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { gate, type Running, startServer } from './start-server.ts';

let running: Running;
let client: RawClient;
beforeEach(async () => {
  running = await startServer();
  client = await RawClient.open(running.port);
});
afterEach(() => running.stop());

const nothingSeen = { genesis: '', positions: [] };
const closed = expect.objectContaining({ code: 'closed' });

test.each([
  ['getValue', { key: 'a' }],
  ['getRecord', { key: 'a', seen: nothingSeen }],
] as const)('%s: the wait is ended', async (name, request) => {
  running.keyValue.readGate = gate().closed;
  client.send(call(name, encodeRequest(name, request as never)));
  await client.ping();
  await client.close();
  await expect.poll(() => running.keyValue.aborted).toEqual([closed]);
  await expect.poll(() => running.observed).toEqual([{ message: name, outcome: 'closed' }]);
  expect(running.lines).toEqual([]);
});

test.each(['setValue', 'delete'] as const)('%s: the wait is ended, and the write may be done', async (name) => {
  running.keyValue.writeGate = gate().closed;
  client.send(call(name, encodeRequest(name, { key: 'a', value: 'v' } as never)));
  await client.ping();
  await client.close();
  await expect.poll(() => running.keyValue.aborted).toEqual([closed]);
  await expect.poll(() => running.observed).toEqual([{ message: name, outcome: 'closed' }]);
});

test('a hundred waits of one connection end together, and Node warns of nothing', async () => {
  const warnings: unknown[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on('warning', warned);
  running.keyValue.readGate = gate().closed;
  const keys = Array.from({ length: 99 }, (_, index) => `k${index}`);
  client.send(call('getMany', encodeRequest('getMany', { keys, seen: nothingSeen })));
  client.send(call('getValue', encodeRequest('getValue', { key: 'a' })));
  await client.ping();
  await client.close();
  await expect.poll(() => running.keyValue.aborted).toHaveLength(100);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

test('others wait on', async () => {
  const { closed: gated, open } = gate();
  running.keyValue.writeGate = gated;
  const other = await RawClient.open(running.port);
  const answer = other.call('setValue', { key: 'theirs', value: 'v' });
  await other.ping();
  client.send(call('setValue', encodeRequest('setValue', { key: 'a', value: 'v' })));
  await client.ping();
  client.socket.resetAndDestroy();
  await expect.poll(() => running.keyValue.aborted).toHaveLength(1);
  open();
  expect(await answer).toEqual({ value: null });
  await other.close();
});
