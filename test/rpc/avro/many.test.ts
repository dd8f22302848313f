/** Many in one message: each by itself, in the order asked, within one frame. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError } from '../../../src/core/errors.ts';
import { answerBranch, failureBranch, writtenBranch } from '../../../wire/avro/messages.ts';
import { maxValueBytes } from '../memory-key-value.ts';
import { RawClient } from './raw-client.ts';
import { gate, type Running, startServer, testLimits } from './start-server.ts';

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
const item = (key: string, value: string | Buffer = 'v', ttl = 0) => ({ key, value: Buffer.from(value), contentType: '', ttl });
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`);
const items = (answer: object): Record<string, Record<string, unknown>>[] => (answer as { value: never }).value;

describe('setMany', () => {
  test('writes in the order asked, and each item has its own result', async () => {
    const answer = await client.call('setMany', {
      puts: [item('a'), item(' '), item('b', 'v', -1), item('c', Buffer.alloc(maxValueBytes + 1)), item('d')],
    });
    expect(items(answer)).toMatchObject([
      { [writtenBranch]: { position: { offset: 0 }, genesis: 'genesis-1' } },
      { [failureBranch]: { code: 'key-invalid' } },
      { [failureBranch]: { code: 'bad-request' } },
      { [failureBranch]: { code: 'value-too-large' } },
      { [writtenBranch]: { position: { offset: 1 } } },
    ]);
    expect(running.keyValue.written).toEqual(['a', 'd']);
  });

  test('a thousand at once, in parallel; one more is refused before anything is written', async () => {
    const { closed, open } = gate();
    running.keyValue.writeGate = closed;
    const asked = client.call('setMany', { puts: numbered(1_000).map((key) => item(key)) });
    await client.ping();
    expect(running.keyValue.written).toEqual([]);
    open();
    expect(items(await asked).every((item) => writtenBranch in item)).toBe(true);
    expect(running.keyValue.written).toEqual(numbered(1_000));
    expect(await client.call('setMany', { puts: numbered(1_001).map((key) => item(key)) })).toMatchObject({
      failure: { code: 'bad-request', message: expect.stringContaining('1000') },
    });
    expect(running.keyValue.written).toHaveLength(1_000);
  });

  test('batches are one call each, and yet the writes that wait are bounded', async () => {
    await running.stop();
    running = await startServer();
    client = await RawClient.open(running.port);
    const { closed, open } = gate();
    running.keyValue.writeGate = closed;
    const put = running.keyValue.put.bind(running.keyValue);
    let begun = 0;
    running.keyValue.put = (...all) => {
      begun++;
      return put(...all);
    };
    const batch = { puts: numbered(1_000).map((key) => item(key)) };
    const asked = Array.from({ length: 10 }, () => client.call('setMany', batch));
    const behind = client.call('getValue', { key: 'none' });
    await expect.poll(() => begun).toBe(4_000);
    const other = await RawClient.open(running.port);
    await other.ping();
    expect(begun).toBe(4_000);
    open();
    await Promise.all([...asked, behind]);
    expect(begun).toBe(10_000);
    await other.close();
  });

  test('what is not confirmed in time is told for each', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    const answer = await client.call('setMany', { puts: [item('a'), item('b')] });
    expect(items(answer)).toMatchObject([
      { [failureBranch]: { code: 'unknown-outcome' } },
      { [failureBranch]: { code: 'unknown-outcome' } },
    ]);
  });

  test('none', async () => {
    expect(await client.call('setMany', { puts: [] })).toEqual({ value: [] });
    expect(await client.call('getMany', { keys: [], seen: nothingSeen })).toEqual({ value: [] });
  });
});

describe.each([true, false])('getMany, in memory: %s', (hot) => {
  beforeEach(async () => {
    for (const key of ['a', 'b']) await running.keyValue.put(key, Buffer.from(key));
    running.keyValue.hot = hot;
  });

  test('each in its place: found, absent, failing, twice', async () => {
    const answer = await client.call('getMany', { keys: ['b', 'none', '', 'a', 'b'], seen: nothingSeen });
    expect(items(answer)).toMatchObject([
      { [answerBranch]: { found: { value: Buffer.from('b'), version: { offset: 1 } }, applied: { offset: 2 }, genesis: 'genesis-1' } },
      { [answerBranch]: { found: null } },
      { [failureBranch]: { code: 'key-invalid' } },
      { [answerBranch]: { found: { value: Buffer.from('a') } } },
      { [answerBranch]: { found: { value: Buffer.from('b') } } },
    ]);
  });

  test('what the caller has seen counts for each', async () => {
    const seen = { genesis: 'genesis-1', positions: [{ partition: 0, offset: 5 }] };
    const answer = await client.call('getMany', { keys: ['a', 'b'], seen });
    expect(items(answer)).toMatchObject([{ [failureBranch]: { code: 'position-not-reached' } }, { [failureBranch]: {} }]);
  });

  test('what does not fit into a frame is to be asked again; a client that does so has them all', async () => {
    const keys = numbered(12);
    running.keyValue.hot = true;
    for (const key of keys) await running.keyValue.put(key, Buffer.alloc(maxValueBytes, key));
    running.keyValue.hot = hot;
    const have = new Set<string>();
    for (let turn = 0; have.size < keys.length; turn++) {
      expect(turn).toBeLessThan(4);
      const missing = keys.filter((key) => !have.has(key));
      const serials = client.received.length;
      const answer = items(await client.call('getMany', { keys: missing, seen: nothingSeen }));
      expect(client.received[serials]?.payload.length).toBeLessThanOrEqual(testLimits.maxFrameBytes);
      for (const [index, item] of answer.entries()) {
        if (answerBranch in item) have.add(missing[index] as string);
        else expect(item[failureBranch]).toMatchObject({ code: 'overloaded', retry: 'yes' });
      }
    }
  });

  test('of a thousand of the largest values in the smallest frame, each answer has at least one', async () => {
    await running.stop();
    running = await startServer({ maxFrameBytes: 1024 + maxValueBytes + 40 * 1024 });
    client = await RawClient.open(running.port);
    const keys = numbered(1_000);
    for (const key of keys) await running.keyValue.put(key, Buffer.alloc(maxValueBytes));
    running.keyValue.hot = hot;
    const answer = items(await client.call('getMany', { keys, seen: nothingSeen }));
    expect(answer.filter((one) => answerBranch in one)).toHaveLength(1);
    expect(answer.filter((one) => one[failureBranch]?.['code'] === 'overloaded')).toHaveLength(999);
    expect(client.received.at(-1)?.payload.length).toBeLessThanOrEqual(1024 + maxValueBytes + 40 * 1024);
  });

  test('a thousand keys; one more is refused', async () => {
    const answer = await client.call('getMany', { keys: numbered(1_000), seen: nothingSeen });
    expect(items(answer)).toHaveLength(1_000);
    expect(await client.call('getMany', { keys: numbered(1_001), seen: nothingSeen })).toMatchObject({ failure: { code: 'bad-request' } });
  });

  test('a thousand failures fit', async () => {
    running.keyValue.failure = new BitacoraError('store-failed', 'ñ'.repeat(10_000));
    const answer = await client.call('getMany', { keys: numbered(1_000), seen: nothingSeen });
    expect(items(answer)).toHaveLength(1_000);
    expect(client.received.at(-1)?.payload.length).toBeLessThanOrEqual(testLimits.maxFrameBytes);
  });

  test('what nobody expected is logged once for all', async () => {
    running.keyValue.failure = new Error('secret words');
    const answer = await client.call('getMany', { keys: numbered(100), seen: nothingSeen });
    expect(items(answer).every((item) => item[failureBranch]?.['code'] === 'internal')).toBe(true);
    expect(JSON.stringify(answer)).not.toContain('secret');
    expect(running.lines).toHaveLength(1);
  });
});
