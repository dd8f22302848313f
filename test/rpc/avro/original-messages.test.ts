/** The original's three messages: found, absent, failing, in the original's way. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError, errorTable } from '../../../src/core/errors.ts';
import type { FoundValue } from '../../../src/ports.ts';
import { encodeRequest } from '../../../wire/avro/codec.ts';
import { maxValueBytes } from '../memory-key-value.ts';
import { call, original } from './payloads.ts';
import { RawClient } from './raw-client.ts';
import { type Running, startServer } from './start-server.ts';

let running: Running;
let client: RawClient;
beforeEach(async () => {
  running = await startServer({ writeTimeoutMs: 100 });
  client = await RawClient.open(running.port, { protocol: original, withText: true });
});
afterEach(async () => {
  await client.close();
  await running.stop();
});

test.each(['v', '', 'ñ €', '😀'.repeat(1_000), 'x'.repeat(maxValueBytes)])('a value comes back as it was set (%#)', async (value) => {
  expect(await client.call('setValue', { key: 'clé', value })).toEqual({ value: null });
  expect(await client.call('getValue', { key: 'clé' })).toEqual({ value });
  running.keyValue.hot = false;
  expect(await client.call('getValue', { key: 'clé' })).toEqual({ value });
});

test('lengths of values and the varints around them', async () => {
  for (const length of [1, 63, 64, 8_191, 8_192, 65_535, 65_536]) {
    await client.call('setValue', { key: 'k', value: 'x'.repeat(length) });
    expect(await client.call('getValue', { key: 'k' })).toEqual({ value: 'x'.repeat(length) });
  }
});

test('absent is null, in memory and behind it; a deleted key is absent', async () => {
  expect(await client.call('getValue', { key: 'none' })).toEqual({ value: null });
  await client.call('setValue', { key: 'a', value: '1' });
  expect(await client.call('delete', { key: 'a' })).toEqual({ value: null });
  expect(await client.call('getValue', { key: 'a' })).toEqual({ value: null });
});

test('deleting what is not there is a write like any other', async () => {
  expect(await client.call('delete', { key: 'never' })).toEqual({ value: null });
  expect(running.keyValue.written).toEqual(['never']);
});

test('a value of a peer is answered', async () => {
  const version = undefined;
  const found = { value: Buffer.from('theirs'), version, time: 1, expires: 0, id: 'i', contentType: '' } as unknown as FoundValue;
  running.keyValue.peers.set('p', found);
  expect(await client.call('getValue', { key: 'p' })).toEqual({ value: 'theirs' });
});

test('bytes that are not UTF-8 leave as they are', async () => {
  await running.keyValue.put('raw', Buffer.from([0xff, 0x00, 0x80]));
  const payload = await client.answer(client.send(call('getValue', encodeRequest('getValue', { key: 'raw' }))));
  expect(payload.toString('hex')).toBe('000002' + '06' + 'ff0080');
});

describe('failures are words that begin with the code', () => {
  test.each([
    ['', 'key-invalid'],
    [' ', 'key-invalid'],
    ['\0genesis', 'key-invalid'],
    ['x'.repeat(1_025), 'key-invalid'],
  ])('the key %j', async (key, code) => {
    for (const hot of [true, false]) {
      running.keyValue.hot = hot;
      expect(await client.call('getValue', { key })).toMatchObject({ failure: { code } });
    }
    expect(await client.call('setValue', { key, value: 'v' })).toMatchObject({ failure: { code } });
    expect(await client.call('delete', { key })).toMatchObject({ failure: { code } });
    expect(running.keyValue.written).toEqual([]);
  });

  test('a value over the limit', async () => {
    const answer = await client.call('setValue', { key: 'k', value: 'x'.repeat(maxValueBytes + 1) });
    expect(answer).toMatchObject({ failure: { code: 'value-too-large', message: expect.stringContaining(String(maxValueBytes)) } });
  });

  test.each(['log-unavailable', 'overloaded', 'store-failed', 'unknown-outcome', 'draining'] as const)(
    '%s, in its own words',
    async (code) => {
      running.keyValue.failure = new BitacoraError(code, 'said so');
      for (const name of ['setValue', 'delete', 'getValue'] as const) {
        expect(await client.call(name, { key: 'k', value: 'v' })).toEqual({ failure: { code, message: 'said so' } });
      }
    },
  );

  test.each([new Error('secret words'), new BitacoraError('internal', 'secret words')])(
    'what nobody expected is told as internal: %s',
    async (error) => {
      running.keyValue.failure = error;
      expect(await client.call('setValue', { key: 'k', value: 'v' })).toEqual({
        failure: { code: 'internal', message: errorTable.internal.title },
      });
      expect(running.lines).toMatchObject([{ level: 'error', fields: { event: 'avro.failed', err: error } }]);
    },
  );

  test('a write that the log does not confirm in time: its outcome is unknown', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    expect(await client.call('setValue', { key: 'k', value: 'v' })).toMatchObject({ failure: { code: 'unknown-outcome' } });
    expect(await client.call('delete', { key: 'k' })).toMatchObject({ failure: { code: 'unknown-outcome' } });
  });

  test('a value that another producer wrote larger than a frame', async () => {
    const value = Buffer.alloc(700_000);
    running.keyValue.peers.set('large', { value, time: 1, expires: 0, id: '', contentType: '' } as unknown as FoundValue);
    expect(await client.call('getValue', { key: 'large' })).toMatchObject({ failure: { code: 'value-too-large' } });
  });
});

test('a message that is none of ours: an error, and the connection goes on', async () => {
  expect(await client.callRaw('flush')).toEqual({ failure: { code: 'bad-request', message: 'there is no message flush' } });
  expect(await client.callRaw('constructor')).toMatchObject({ failure: { code: 'bad-request' } });
  const long = await client.callRaw('x'.repeat(100_000));
  expect(JSON.stringify(long).length).toBeLessThan(300);
  // One of ours that the client's protocol does not have: nobody knows how it would write the request.
  expect(await client.callRaw('getNode')).toMatchObject({ failure: { code: 'bad-request' } });
  expect(await client.call('getValue', { key: 'a' })).toEqual({ value: null });
  expect(running.observed.map(({ message, outcome }) => `${message} ${outcome}`)).toEqual([
    'other bad-request',
    'other bad-request',
    'other bad-request',
    'getNode bad-request',
    'getValue ok',
  ]);
  expect(running.lines).toEqual([]);
});
