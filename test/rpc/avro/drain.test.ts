/** Leaving without a failed call, and not leaving late. */
import { afterEach, expect, test } from 'vitest';
import { encodeRequest } from '../../../wire/avro/codec.ts';
import { call, handshake, original } from './payloads.ts';
import { RawClient, readAnswer } from './raw-client.ts';
import { gate, type Running, startServer } from './start-server.ts';

let running: Running;
afterEach(() => running.stop());

const draining = { failure: { code: 'draining', message: expect.any(String), retry: 'yes', retryAfterMs: 1_000 } };
const set = (key: string) => call('setValue', encodeRequest('setValue', { key, value: 'v' }));

test('under load: every write that was acknowledged was done, the others were told or never begun', async () => {
  running = await startServer();
  const { server, keyValue, port } = running;
  const acknowledged: string[] = [];
  const other: string[] = [];
  const stop = new AbortController();
  const one = async (name: number): Promise<void> => {
    const client = await RawClient.open(port);
    for (let turn = 0; !stop.signal.aborted && !client.isClosed; turn++) {
      const key = `${name}-${turn}`;
      keyValue.writeGate = new Promise((resolve) => setTimeout(resolve, 5));
      const answer = await client.call('setRecord', { put: { key, value: Buffer.from('v'), contentType: '', ttl: 0 } });
      client.received.length = 0;
      if ('value' in answer) acknowledged.push(key);
      else other.push(answer.failure.code);
    }
    await client.close();
  };
  const clients = Array.from({ length: 16 }, (_, name) => one(name).catch((error: Error) => other.push(error.message)));
  await expect.poll(() => acknowledged.length).toBeGreaterThan(100);
  const began = performance.now();
  const drained = server.drain();
  await expect.poll(() => other.length).toBeGreaterThan(0);
  stop.abort();
  await drained;
  expect(performance.now() - began).toBeLessThan(3_000);
  await Promise.all(clients);
  expect(new Set(other)).toEqual(new Set(['draining']));
  expect(new Set(acknowledged)).toEqual(new Set(keyValue.written));
});

test('calls in flight are answered, further ones are told, and then the connection ends', async () => {
  running = await startServer();
  const busy = await RawClient.open(running.port);
  const old = await RawClient.open(running.port, { protocol: original, withText: true });
  const fresh = await RawClient.connect(running.port);
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  const inFlight = busy.call('setValue', { key: 'a', value: 'v' });
  await busy.ping();
  const drained = running.server.drain();
  expect(await busy.call('getRecord', { key: 'a', seen: { genesis: '', positions: [] } })).toEqual(draining);
  expect(await busy.call('getMany', { keys: [], seen: { genesis: '', positions: [] } })).toEqual(draining);
  expect(await old.call('getValue', { key: 'a' })).toMatchObject({ failure: { code: 'draining' } });
  expect(await busy.callRaw('nothing')).toMatchObject({ failure: { code: 'draining' } });
  expect(await busy.ping()).toHaveLength(0);
  // A handshake is still answered, and the call behind it told.
  const { handshake: hello, rest } = await fresh.greet({}, set('b'));
  expect(hello.match).toBe('BOTH');
  expect(readAnswer('setValue', rest)).toMatchObject({ failure: { code: 'draining' } });
  // Nothing is owed to these.
  await Promise.all([old.closed, fresh.closed]);
  expect(busy.isClosed).toBe(false);
  open();
  expect(await inFlight).toEqual({ value: null });
  await busy.closed;
  await drained;
  expect(running.keyValue.written).toEqual(['a']);
  expect(running.lines).toEqual([]);
  await expect(RawClient.connect(running.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('calls that wait for their turn are told too, before the connection ends', async () => {
  running = await startServer({ maxCallsPerConnection: 1 });
  const client = await RawClient.open(running.port);
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  // More than one chunk of the socket: most of it stays unread until the first is answered.
  const value = 'x'.repeat(50_000);
  const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
  const serials = keys.map((key) => client.send(call('setValue', encodeRequest('setValue', { key, value }))));
  const other = await RawClient.open(running.port);
  await other.ping();
  const drained = running.server.drain();
  // Past the moment in which idle connections are kept.
  await other.closed;
  open();
  await drained;
  const [first, ...others] = await Promise.all(serials.map(async (serial) => readAnswer('setValue', await client.answer(serial))));
  expect(first).toEqual({ value: null });
  expect(others.every((answer) => 'failure' in answer && answer.failure.code === 'draining')).toBe(true);
  expect(running.keyValue.written).toEqual(['k0']);
});

test('what waits for ever is cut at the limit; silence and half frames are let go before', async () => {
  running = await startServer({}, 1_200);
  running.keyValue.writeGate = gate().closed;
  const silent = await RawClient.connect(running.port);
  const half = await RawClient.open(running.port);
  half.write(handshake().subarray(0, 6));
  const waiting = await RawClient.open(running.port);
  waiting.send(set('a'));
  await waiting.ping();
  const began = performance.now();
  const drained = running.server.drain();
  await Promise.all([silent.closed, half.closed]);
  expect(performance.now() - began).toBeLessThan(1_100);
  await drained;
  await waiting.closed;
  expect(performance.now() - began).toBeLessThan(3_000);
  await running.server.drain();
  expect(running.server.connections).toBe(0);
});

test('close cuts at once, twice is once, and a drain after it has nothing to do', async () => {
  running = await startServer();
  const client = await RawClient.open(running.port);
  await running.server.close();
  await running.server.close();
  await client.closed;
  await running.server.drain();
  expect(running.lines).toEqual([]);
});
