/** Silence, half frames, too many connections: each has its limit, and one line at most. */
import { afterEach, expect, test } from 'vitest';
import { openAvroServer } from '../../../rpc/avro/server.ts';
import { encodeRequest } from '../../../wire/avro/codec.ts';
import { createMemoryKeyValue } from '../memory-key-value.ts';
import { call, frame } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { gate, type Running, startServer, testLimits } from './start-server.ts';

let running: Running;
afterEach(() => running.stop());

const get = call('getValue', encodeRequest('getValue', { key: 'a' }));

test('a connection without calls is closed after its time, quietly', async () => {
  running = await startServer({ idleTimeoutMs: 200 });
  const silent = await RawClient.connect(running.port);
  const greeted = await RawClient.open(running.port);
  await Promise.all([silent.closed, greeted.closed]);
  expect(running.cuts()).toMatchObject([{ reason: 'idle' }, { reason: 'idle' }]);
  expect(running.lines.every(({ level }) => level === 'debug')).toBe(true);
});

test('a call in flight is not idleness, and neither is asking now and then', async () => {
  running = await startServer({ idleTimeoutMs: 300 });
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  const waiting = await RawClient.open(running.port);
  const asking = await RawClient.open(running.port);
  const answer = waiting.call('setValue', { key: 'a', value: '1' });
  const began = performance.now();
  while (performance.now() - began < 900) {
    await asking.ping();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect([waiting.isClosed, asking.isClosed]).toEqual([false, false]);
  open();
  expect(await answer).toEqual({ value: null });
  await Promise.all([waiting.closed, asking.closed]);
});

test.each([1, 7, 8, 11, 12, 15])('%d bytes of a frame and no more: cut in time', async (length) => {
  running = await startServer({ frameTimeoutMs: 200 });
  const client = await RawClient.open(running.port);
  client.write(frame(9, get).subarray(0, length));
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'frame-late' }]);
});

test('a trickle does not extend the time of a frame, and whole frames before it do not count', async () => {
  running = await startServer({ frameTimeoutMs: 300 });
  const client = await RawClient.open(running.port);
  const began = performance.now();
  client.write(frame(9, get), frame(10, Buffer.alloc(1_000)).subarray(0, 20));
  const trickle = setInterval(() => client.write(Buffer.of(0)), 20);
  await client.closed;
  clearInterval(trickle);
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(client.received.map(({ serial }) => serial)).toContain(9);
  expect(running.cuts()).toMatchObject([{ reason: 'frame-late' }]);
});

test('the time in which nobody read a half frame is not its sender’s', async () => {
  running = await startServer({ frameTimeoutMs: 200, maxCallsPerConnection: 1 });
  const client = await RawClient.open(running.port);
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  const whole = frame(10, get);
  client.write(frame(9, call('setValue', encodeRequest('setValue', { key: 'a', value: '1' }))), whole.subarray(0, 10));
  const began = performance.now();
  await expect.poll(() => performance.now() - began, { timeout: 5_000 }).toBeGreaterThan(600);
  open();
  await client.answer(9);
  client.write(whole.subarray(10));
  await client.answer(10);
  await client.close();
});

test.each([
  ['ends its side', (client: RawClient) => client.socket.end()],
  ['is reset', (client: RawClient) => client.socket.resetAndDestroy()],
])('a connection that %s in the middle of a frame: one line', async (_how, leave) => {
  running = await startServer();
  const client = await RawClient.open(running.port);
  client.write(frame(9, get).subarray(0, 14));
  const other = await RawClient.open(running.port);
  await other.ping();
  leave(client);
  await expect.poll(() => running.server.connections).toBe(1);
  expect(running.cuts()).toMatchObject([{ reason: 'truncated' }]);
  await other.close();
});

test('one that leaves between two frames is not worth a line', async () => {
  running = await startServer();
  const client = await RawClient.open(running.port);
  client.socket.end();
  await client.closed;
  await expect.poll(() => running.server.connections).toBe(0);
  expect(running.lines).toEqual([]);
});

test('a client that asks and ends its side has its answers', async () => {
  running = await startServer();
  const client = await RawClient.open(running.port);
  client.write(frame(9, get), frame(10, get));
  client.socket.end();
  await client.closed;
  expect(client.received.map(({ serial }) => serial)).toEqual([1, 9, 10]);
});

test('above the limit of connections the newest are closed, with one line, and the old ones go on', async () => {
  running = await startServer({ maxConnections: 3 });
  const held = await Promise.all([1, 2, 3].map(() => RawClient.open(running.port)));
  expect(running.server.connections).toBe(3);
  for (let turn = 0; turn < 20; turn++) await (await RawClient.connect(running.port)).closed;
  for (const client of held) expect(await client.call('getValue', { key: 'a' })).toEqual({ value: null });
  expect(running.lines).toMatchObject([{ level: 'warn', fields: { event: 'avro.connection-refused', limit: 3 } }]);
  await held[0]?.close();
  await expect.poll(() => running.server.connections).toBe(2);
  const next = await RawClient.open(running.port);
  await Promise.all([next, ...held].map((client) => client.close()));
});

test('a frame that could not hold a value is refused as a setting', async () => {
  running = await startServer();
  const limits = { ...testLimits, maxFrameBytes: testLimits.maxValueBytes };
  const rest = { keyValue: createMemoryKeyValue(), node: 'n1', host: '127.0.0.1', observe: () => undefined, drainMs: 1 };
  const quiet = () => undefined;
  const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  await expect(openAvroServer({ ...rest, limits, logger, port: 0 })).rejects.toMatchObject({ code: 'option-invalid' });
  await expect(openAvroServer({ ...rest, limits: testLimits, logger, port: running.port })).rejects.toMatchObject({ code: 'port-taken' });
});
