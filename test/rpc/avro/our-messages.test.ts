/** Our messages: all that a node knows, positions and deadlines included, and failures with a code and a hint. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError, errorTable } from '../../../src/core/errors.ts';
import type { FoundValue } from '../../../src/ports.ts';
import { text } from '../../../wire/avro/codec.ts';
import type { Answer as AnswerRecord } from '../../../wire/avro/messages.ts';
import { maxValueBytes } from '../memory-key-value.ts';
import { bytesOf, call } from './payloads.ts';
import { RawClient, readAnswer } from './raw-client.ts';
import { type Running, startServer, testLimits } from './start-server.ts';

let running: Running;
let client: RawClient;
beforeEach(async () => {
  running = await startServer({ writeTimeoutMs: 100 });
  client = await RawClient.open(running.port);
});
afterEach(async () => {
  await client.close();
  await running.stop();
});

const nothingSeen = { genesis: '', positions: [] };
const put = (key: string, value = 'v') => ({ key, value: Buffer.from(value), contentType: '', ttl: 0 });
const uuid = /^[0-9a-f-]{36}$/;

describe('getNode', () => {
  test('who answers, and its limits', async () => {
    expect(await client.call('getNode', {})).toEqual({
      value: {
        node: 'n1',
        state: 'ready',
        genesis: 'genesis-1',
        partitions: 1,
        maxKeyBytes: 1024,
        maxValueBytes,
        maxFrameBytes: testLimits.maxFrameBytes,
      },
    });
  });

  test('a node that does not know its log yet', async () => {
    running.keyValue.statusChange = { state: 'starting', genesis: undefined, applied: [] };
    expect(await client.call('getNode', {})).toMatchObject({ value: { state: 'starting', genesis: '', partitions: 0 } });
  });
});

describe('setRecord and deleteRecord', () => {
  test('say where in the log the write is', async () => {
    const first = await client.call('setRecord', { put: put('a') });
    expect(first).toEqual({
      value: { position: { partition: 0, offset: 0 }, uuid: expect.stringMatching(uuid), genesis: 'genesis-1' },
    });
    expect(await client.call('deleteRecord', { key: 'a' })).toMatchObject({ value: { position: { partition: 0, offset: 1 } } });
    expect(running.keyValue.written).toEqual(['a', 'a']);
  });

  test('bytes, content type and deadline come back', async () => {
    const before = Date.now();
    const value = Buffer.from([0, 255, 128]);
    await client.call('setRecord', { put: { key: 'a', value, contentType: 'image/x', ttl: 60_000 } });
    const answer = (await client.call('getRecord', { key: 'a', seen: nothingSeen })) as { value: AnswerRecord };
    const { expires, ...found } = answer.value.found ?? { expires: 0 };
    expect(found).toMatchObject({ value, contentType: 'image/x', version: { partition: 0, offset: 0 }, uuid: expect.stringMatching(uuid) });
    expect(expires).toBeGreaterThanOrEqual(before + 60_000);
    expect(expires).toBeLessThanOrEqual(Date.now() + 60_000);
  });

  test.each([-1, -(10 ** 15), 8.64e15, Number.MAX_SAFE_INTEGER - 1])(
    'a time to live of %d: bad-request, and nothing is written',
    async (ttl) => {
      expect(await client.call('setRecord', { put: { ...put('a'), ttl } })).toMatchObject({
        failure: { code: 'bad-request', retry: 'no' },
      });
      expect(running.keyValue.written).toEqual([]);
    },
  );

  test('a time to live of Long.MAX_VALUE, which no number here can hold: bad-request, and the connection goes on', async () => {
    const bytes = Buffer.concat([bytesOf(text.encode('a')), Buffer.from('027600', 'hex'), Buffer.from('feffffffffffffffff01', 'hex')]);
    const answer = await client.answer(client.send(call('setRecord'), bytes));
    expect(readAnswer('setRecord', answer)).toMatchObject({ failure: { code: 'bad-request' } });
    expect(await client.call('setRecord', { put: put('a') })).toMatchObject({ value: {} });
    expect(running.lines).toEqual([]);
  });

  test.each(['ñ', 'a\nb', 'x'.repeat(256)])('the content type %j: bad-request', async (contentType) => {
    expect(await client.call('setRecord', { put: { ...put('a'), contentType } })).toMatchObject({ failure: { code: 'bad-request' } });
  });

  test('not confirmed in time: the outcome is unknown', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    const failure = { code: 'unknown-outcome', retry: 'reads' };
    expect(await client.call('setRecord', { put: put('a') })).toMatchObject({ failure });
    expect(await client.call('deleteRecord', { key: 'a' })).toMatchObject({ failure });
  });
});

describe.each([true, false])('getRecord, in memory: %s', (hot) => {
  beforeEach(async () => {
    running.keyValue.hot = hot;
    await running.keyValue.put('a', Buffer.from('1'));
    await running.keyValue.put('b', Buffer.from('2'));
  });

  const seen = (offset: number, genesis = 'genesis-1') => ({ genesis, positions: [{ partition: 0, offset }] });

  test('the value, its version, and how far the node was', async () => {
    expect(await client.call('getRecord', { key: 'a', seen: nothingSeen })).toEqual({
      value: {
        found: {
          value: Buffer.from('1'),
          contentType: '',
          version: { partition: 0, offset: 0 },
          timestamp: expect.any(Number),
          expires: 0,
          uuid: expect.stringMatching(uuid),
        },
        source: 1,
        applied: { partition: 0, offset: 2 },
        genesis: 'genesis-1',
      },
    });
  });

  test('absent', async () => {
    expect(await client.call('getRecord', { key: 'none', seen: nothingSeen })).toMatchObject({
      value: { found: null, source: 1, applied: { offset: 2 } },
    });
  });

  test('what the caller has seen is reflected, or the answer says that it is not', async () => {
    expect(await client.call('getRecord', { key: 'a', seen: seen(1) })).toMatchObject({ value: { found: { version: { offset: 0 } } } });
    expect(await client.call('getRecord', { key: 'a', seen: seen(2) })).toMatchObject({
      failure: { code: 'position-not-reached', retry: 'yes', retryAfterMs: 1_000 },
    });
    expect(await client.call('getRecord', { key: 'a', seen: seen(0, 'other') })).toMatchObject({
      failure: { code: 'position-foreign', retry: 'no', retryAfterMs: 0 },
    });
  });

  test('more positions than any log has partitions: bad-request', async () => {
    const many = { genesis: 'genesis-1', positions: Array.from({ length: 4_097 }, (_, partition) => ({ partition, offset: 0 })) };
    expect(await client.call('getRecord', { key: 'a', seen: many })).toMatchObject({ failure: { code: 'bad-request' } });
  });

  test('a position of another partition is not waited for', async () => {
    const other = { genesis: 'genesis-1', positions: [{ partition: 7, offset: 10 ** 15 }] };
    expect(await client.call('getRecord', { key: 'a', seen: other })).toMatchObject({ value: { source: 1 } });
  });
});

test('a value of a peer that did not tell its version', async () => {
  const found = { value: Buffer.from('theirs'), version: undefined, time: 7, expires: 0, id: 'i', contentType: '' };
  running.keyValue.peers.set('p', found as unknown as FoundValue);
  expect(await client.call('getRecord', { key: 'p', seen: nothingSeen })).toMatchObject({
    value: { source: 2, found: { value: Buffer.from('theirs'), version: null, timestamp: 7, uuid: 'i' } },
  });
});

describe('failures', () => {
  test.each(['log-unavailable', 'overloaded', 'store-failed', 'key-invalid'] as const)(
    '%s: code, words, retry and hint of the table',
    async (code) => {
      running.keyValue.failure = new BitacoraError(code, 'said so');
      const { retry, retryAfter = 0 }: { retry: string; retryAfter?: number } = errorTable[code];
      const failure = { code, message: 'said so', retry, retryAfterMs: retryAfter * 1_000 };
      expect(await client.call('setRecord', { put: put('a') })).toEqual({ failure });
      expect(await client.call('deleteRecord', { key: 'a' })).toEqual({ failure });
      expect(await client.call('getRecord', { key: 'a', seen: nothingSeen })).toEqual({ failure });
    },
  );

  test('what nobody expected is told as internal, and logged once', async () => {
    running.keyValue.failure = new Error('secret words');
    expect(await client.call('setRecord', { put: put('a') })).toMatchObject({
      failure: { code: 'internal', message: errorTable.internal.title },
    });
    expect(running.lines).toHaveLength(1);
  });
});
