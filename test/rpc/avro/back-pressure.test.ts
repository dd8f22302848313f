/** A client that asks more than it may, or takes nothing, is not read: it waits, and nobody's memory grows. */
import { afterEach, expect, test } from 'vitest';
import { encodeRequest } from '../../../wire/avro/codec.ts';
import { maxValueBytes } from '../memory-key-value.ts';
import { call, frame } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { gate, type Running, startServer } from './start-server.ts';

let running: Running;
let client: RawClient;
afterEach(async () => {
  await client.close();
  await running.stop();
});

const set = (key: string, value = 'v') => call('setValue', encodeRequest('setValue', { key, value }));
const getLarge = call('getValue', encodeRequest('getValue', { key: 'large' }));

/** Waits until the client's own socket is stuck: the other side does not read any more. Resolves with the bytes that were taken. */
async function untilStuck(one: RawClient): Promise<number> {
  let last = -1;
  let still = 0;
  await expect
    .poll(
      () => {
        const taken = one.socket.bytesWritten - one.socket.writableLength;
        still = taken === last ? still + 1 : 0;
        last = taken;
        return still >= 10 && one.socket.writableLength > 0;
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe(true);
  return last;
}

/** What the sockets' buffers of the operating system may hold, and one chunk each that was read and waits. */
const underwayBytes = 16 * 1024 * 1024;

test('at the limit of calls in flight the socket is not read; answers let it go on', async () => {
  running = await startServer({ maxCallsPerConnection: 10 });
  client = await RawClient.open(running.port);
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  let begun = 0;
  const put = running.keyValue.put.bind(running.keyValue);
  running.keyValue.put = (...all) => {
    begun++;
    return put(...all);
  };
  const count = 2_000;
  const large = 'x'.repeat(20_000);
  for (let index = 0; index < count; index++) client.write(frame(index + 10, set(`k${index}`, large)));
  const taken = await untilStuck(client);
  expect(taken).toBeLessThan(underwayBytes);
  expect(begun).toBe(10);
  // Others are not held up.
  const other = await RawClient.open(running.port);
  expect(await other.call('getValue', { key: 'none' })).toEqual({ value: null });
  await other.close();
  running.keyValue.writeGate = undefined;
  open();
  await client.answer(count + 9);
  expect(client.received).toHaveLength(count + 1);
  expect(running.keyValue.written).toHaveLength(count);
});

test('small calls that came in one packet wait too', async () => {
  running = await startServer({ maxCallsPerConnection: 3 });
  client = await RawClient.open(running.port);
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  client.write(...Array.from({ length: 500 }, (_, index) => frame(index + 10, set(`k${index}`))));
  const other = await RawClient.open(running.port);
  await other.ping();
  expect(running.observed).toEqual([]);
  running.keyValue.writeGate = undefined;
  open();
  await client.answer(509);
  expect(running.keyValue.written).toEqual(Array.from({ length: 500 }, (_, index) => `k${index}`));
  await other.close();
});

test('bytes in flight are bounded too', async () => {
  running = await startServer({ maxBytesPerConnection: 200_000 });
  client = await RawClient.open(running.port);
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  let begun = 0;
  const put = running.keyValue.put.bind(running.keyValue);
  running.keyValue.put = (...all) => {
    begun++;
    return put(...all);
  };
  const large = 'x'.repeat(maxValueBytes);
  for (let index = 0; index < 300; index++) client.write(frame(index + 10, set(`k${index}`, large)));
  await untilStuck(client);
  expect(begun).toBe(2);
  open();
  await client.answer(309);
});

test('who does not take his answers is not answered further, and goes on when he takes them', async () => {
  running = await startServer();
  await running.keyValue.put('large', Buffer.alloc(maxValueBytes, 0x61));
  client = await RawClient.open(running.port);
  client.socket.pause();
  const count = 1_000;
  client.write(...Array.from({ length: count }, (_, index) => frame(index + 10, getLarge)));
  // Not all are answered: 1,000 answers would be 100 MB.
  let last = -1;
  let still = 0;
  await expect
    .poll(
      () => {
        still = running.observed.length === last ? still + 1 : 0;
        last = running.observed.length;
        return last > 0 && still >= 10;
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe(true);
  expect(last * maxValueBytes).toBeLessThan(underwayBytes);
  const other = await RawClient.open(running.port);
  expect(await other.call('getValue', { key: 'none' })).toEqual({ value: null });
  await other.close();
  client.socket.resume();
  await client.answer(count + 9);
  expect(client.received).toHaveLength(count + 1);
  expect(running.cuts()).toEqual([]);
});

test('who never takes his answers is cut, with one line', async () => {
  running = await startServer({ takeTimeoutMs: 300 });
  await running.keyValue.put('large', Buffer.alloc(maxValueBytes, 0x61));
  client = await RawClient.open(running.port);
  client.socket.pause();
  client.write(...Array.from({ length: 1_000 }, (_, index) => frame(index + 10, getLarge)));
  await expect.poll(() => running.server.connections).toBe(0);
  expect(running.cuts()).toMatchObject([{ reason: 'answers-not-taken', remote: expect.stringContaining('127.0.0.1:') }]);
  client.socket.resume();
});
