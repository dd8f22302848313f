/** Bytes that are no frames, frames that are no calls: that connection ends, with one line, and nobody else notices. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeRequest, metadata, text } from '../../../wire/avro/codec.ts';
import { bytesOf, call, frame, handshake, original } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { type Running, startServer } from './start-server.ts';

let running: Running;
let other: RawClient;
beforeEach(async () => {
  running = await startServer({ frameTimeoutMs: 300, takeTimeoutMs: 1_000 });
  await running.keyValue.put('a', Buffer.from('secret value'));
  other = await RawClient.open(running.port);
});
afterEach(async () => {
  expect(await other.call('getValue', { key: 'a' })).toEqual({ value: 'secret value' });
  await other.close();
  await running.stop();
});

const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex');
const get = call('getValue', encodeRequest('getValue', { key: 'secret key' }));
const hello = handshake();
const withText = handshake({ protocol: original, withText: true });

const noFrames: [string, Buffer][] = [
  ['HTTP', Buffer.from('GET /rpc?key=a HTTP/1.1\r\nHost: n1\r\n\r\n')],
  ['TLS', hex('16030102000100 01fc0303 00000000000000')],
  ['zeroes', Buffer.alloc(4_096)],
  ['all ones', Buffer.alloc(4_096, 0xff)],
  ['2^31 - 1 buffers', hex('00000001 7fffffff')],
  ['one buffer more than the limit', hex('00000001 000000c9')],
  ['fewer than no buffers', hex('00000001 ffffffff')],
  ['a buffer of 2 GB', hex('00000001 00000001 7fffffff')],
  ['a buffer of less than nothing', hex('00000001 00000001 80000000')],
  ['buffers over the limit together', frame(1, Buffer.alloc(400_000), Buffer.alloc(300_000))],
];

const noCalls: [string, Buffer[]][] = [
  ['nothing at all', [Buffer.alloc(0)]],
  ['half a handshake', [hello.subarray(0, 20)]],
  ['a handshake but for its last byte', [hello.subarray(0, -1)]],
  ['a handshake of no branch', [Buffer.concat([Buffer.alloc(16), hex('04')])]],
  ['a text of 2^40 bytes', [Buffer.concat([Buffer.alloc(16), hex('02 808080808040')])]],
  ['a text of less than nothing', [Buffer.concat([Buffer.alloc(16), hex('02 01')])]],
  ['a text that is not UTF-8', [Buffer.concat([Buffer.alloc(16), hex('02 04 c328'), Buffer.alloc(17)])]],
  ['a protocol cut off', [withText.subarray(0, 200)]],
  ['metadata of 2^40 entries', [hello, hex('808080808040')]],
  ['metadata of entries without values', [hello, hex('02 0261')]],
  ['no name', [hello, hex('00')]],
  ['a name of 2^60 bytes', [hello, hex('00 feffffffffffffffff01')]],
  ['a name that is not UTF-8', [hello, hex('00 02 ff')]],
  ['no parameters', [hello, call('getValue')]],
  ['a parameter cut off', [hello, get.subarray(0, -1)]],
  ['something behind the parameters', [hello, get, hex('00')]],
  ['something behind a ping', [hello, bytesOf(metadata.encode({}), text.encode('')), hex('00')]],
  ['a key that is not UTF-8', [hello, call('getValue'), hex('02 ff')]],
  ['keys without number', [hello, call('getMany'), hex('feffffffffffffffff01 02')]],
];

test.each(noFrames)('%s, as the first bytes: cut, one line', async (_what, bytes) => {
  const client = await RawClient.connect(running.port);
  client.write(bytes);
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'malformed', remote: expect.stringContaining('127.0.0.1:') }]);
});

test.each(noFrames)('%s, after calls: cut, one line', async (_what, bytes) => {
  const client = await RawClient.open(running.port);
  await client.call('getValue', { key: 'a' });
  client.write(bytes);
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'malformed' }]);
});

test.each(noCalls)('%s, as the first frame: cut, one line', async (_what, buffers) => {
  const client = await RawClient.connect(running.port);
  client.send(...buffers);
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'malformed' }]);
  expect(JSON.stringify(running.lines)).not.toContain('secret');
});

test.each(noCalls.filter(([, [first]]) => first === hello))('%s, on a settled connection: cut, one line', async (_what, [, ...buffers]) => {
  const client = await RawClient.open(running.port);
  client.send(...buffers);
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'malformed' }]);
  expect(JSON.stringify(running.lines)).not.toContain('secret');
});

test('answers that were made before the garbage came still leave', async () => {
  const client = await RawClient.open(running.port);
  client.write(frame(9, call('getValue', encodeRequest('getValue', { key: 'a' }))), frame(10, hex('ffff')));
  await client.closed;
  expect(client.received.at(-1)?.serial).toBe(9);
});

test('frames without an end are not kept: cut as they pass the limit', async () => {
  const client = await RawClient.open(running.port);
  client.write(hex('00000009 00000064'));
  const buffer = Buffer.concat([hex('00010000'), Buffer.alloc(65_536)]);
  for (let turn = 0; turn < 50 && !client.isClosed; turn++) {
    client.write(buffer);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'malformed' }]);
});

test('any bytes, and any flipped bits of good ones: answered or cut, never both ways of harm', async () => {
  const good = Buffer.concat([frame(1, hello, get), frame(2, call('setMany', encodeRequest('setMany', { puts: [] }))), frame(3, get)]);
  const flipped = fc.array(fc.nat(good.length * 8 - 1), { minLength: 1, maxLength: 8 }).map((bits) => {
    const bytes = Buffer.from(good);
    for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    return bytes;
  });
  const garbage = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const behind = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.concat([frame(1, hello, get), frame(2, bytes)]));
  await fc.assert(
    fc.asyncProperty(fc.oneof(flipped, garbage, behind), async (bytes) => {
      running.lines.length = 0;
      const client = await RawClient.connect(running.port);
      client.socket.end(bytes);
      await client.closed;
      await expect.poll(() => running.server.connections, { interval: 1 }).toBe(1);
      expect(running.lines.length).toBeLessThan(2);
      expect(running.lines.every(({ level }) => level === 'warn')).toBe(true);
    }),
    { numRuns: 300 },
  );
});
