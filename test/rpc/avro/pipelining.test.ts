/** Calls overtake one another, and frames come in any pieces. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeRequest } from '../../../wire/avro/codec.ts';
import { call, frame, handshake } from './payloads.ts';
import { RawClient, readAnswer } from './raw-client.ts';
import { gate, type Running, startServer } from './start-server.ts';

let running: Running;
let client: RawClient;
beforeEach(async () => {
  running = await startServer();
  await running.keyValue.put('a', Buffer.from('1'));
  client = await RawClient.open(running.port);
});
afterEach(async () => {
  await client.close();
  await running.stop();
});

const get = (key: string) => call('getValue', encodeRequest('getValue', { key }));
const set = (key: string) => call('setValue', encodeRequest('setValue', { key, value: 'v' }));

test('a slow write holds up nobody, and answers leave as they are ready', async () => {
  const first = gate();
  const second = gate();
  running.keyValue.writeGate = first.closed;
  const one = client.send(set('one'));
  await client.ping();
  running.keyValue.writeGate = second.closed;
  const two = client.send(set('two'));
  const read = client.send(get('a'));
  await client.answer(read);
  second.open();
  await client.answer(two);
  first.open();
  await client.answer(one);
  expect(client.received.slice(-3).map(({ serial }) => serial)).toEqual([read, two, one]);
  expect(running.keyValue.written.slice(-2)).toEqual(['two', 'one']);
});

test('any serial number is told back, and one used twice is answered twice', async () => {
  const before = client.received.length;
  for (const serial of [-1, -(2 ** 31), 2 ** 31 - 1, 0, 7, 7]) client.write(frame(serial, get('a')));
  await client.ping();
  expect(client.received.slice(before, -1).map(({ serial }) => serial)).toEqual([-1, -(2 ** 31), 2 ** 31 - 1, 0, 7, 7]);
});

test('many calls in one packet: their answers leave in one write', async () => {
  const chunks = client.chunks;
  client.write(...Array.from({ length: 300 }, (_, index) => frame(1_000 + index, get('a'))));
  await client.answer(1_299);
  expect(client.received.filter(({ serial }) => serial >= 1_000).map(({ payload }) => payload.toString('hex'))).toEqual(
    Array(300).fill('00000202' + '31'),
  );
  expect(client.chunks - chunks).toBe(1);
});

test('writes that the log confirms together are answered in one write', async () => {
  const { closed, open } = gate();
  running.keyValue.writeGate = closed;
  for (let index = 0; index < 50; index++) client.write(frame(2_000 + index, set(`k${index}`)));
  await client.ping();
  const chunks = client.chunks;
  open();
  await client.answer(2_049);
  expect(client.chunks - chunks).toBe(1);
});

test('a handshake and calls, split at every byte', async () => {
  const stream = Buffer.concat([frame(1, handshake(), get('a')), frame(2, set('b')), frame(3, get('b'))]);
  for (let at = 1; at < stream.length; at++) {
    const one = await RawClient.connect(running.port);
    one.write(stream.subarray(0, at));
    // Nagle is off: the halves travel alone, or the server reads them at once; both are well.
    await new Promise((resolve) => setImmediate(resolve));
    one.write(stream.subarray(at));
    expect(readAnswer('getValue', await one.answer(3))).toEqual({ value: 'v' });
    await one.close();
  }
});

test('one byte a packet', async () => {
  const one = await RawClient.connect(running.port);
  for (const byte of Buffer.concat([frame(1, handshake(), get('a')), frame(2, get('a'))])) {
    one.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(readAnswer('getValue', await one.answer(2))).toEqual({ value: '1' });
  await one.close();
});

test('buffers cut anywhere, empty ones among them', async () => {
  const payload = get('a');
  for (let at = 0; at <= payload.length; at++) {
    const none = Buffer.alloc(0);
    const serial = client.send(none, payload.subarray(0, at), none, payload.subarray(at), none);
    expect(readAnswer('getValue', await client.answer(serial))).toEqual({ value: '1' });
  }
});

test('more calls than are begun in one turn, from several clients at once', async () => {
  const clients = await Promise.all([1, 2, 3].map(() => RawClient.open(running.port)));
  for (const one of clients) one.write(...Array.from({ length: 5_000 }, (_, index) => frame(index + 10, get('a'))));
  for (const one of clients) {
    await one.answer(5_009);
    expect(one.received.slice(1).map(({ serial }) => serial)).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 10));
    await one.close();
  }
});
