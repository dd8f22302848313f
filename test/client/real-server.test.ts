/** The client and the node’s own Avro face, over one key-value service in memory: what both sides believe of the wire fits. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../client/client.ts';
import { type AvroServer, openAvroServer } from '../../rpc/avro/server.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { createMemoryKeyValue, type MemoryKeyValue, maxValueBytes } from '../rpc/memory-key-value.ts';
import { connected, gate, until, untilServing } from './setting.ts';

const limits = {
  maxKeyBytes: 1_024,
  maxValueBytes,
  maxFrameBytes: 300_000,
  maxBuffers: 64,
  maxConnections: 20,
  maxCallsPerConnection: 32,
  maxBytesPerConnection: 4_000_000,
  idleTimeoutMs: 30_000,
  frameTimeoutMs: 5_000,
  takeTimeoutMs: 5_000,
  writeTimeoutMs: 2_000,
};

let keyValue: MemoryKeyValue;
const servers: AvroServer[] = [];
const open = async (port = 0): Promise<AvroServer> => {
  const options = { keyValue, node: 'n1', host: '127.0.0.1', port, limits, observe: () => undefined, logger: silentLogger, drainMs: 2_000 };
  const server = await openAvroServer(options);
  servers.push(server);
  return server;
};
const nameOf = ({ address }: AvroServer): string => `${address.host}:${address.port}`;

beforeEach(() => {
  keyValue = createMemoryKeyValue();
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function one(): Promise<{ server: AvroServer; client: Client }> {
  const server = await open();
  return { server, client: await connected({ servers: [nameOf(server)] }) };
}

test('every call', async () => {
  const { client } = await one();
  expect(await client.get('a')).toBeUndefined();
  const { version, id } = await client.set('a', 'ž', { ttlMs: 60_000, contentType: 'text/plain' });
  expect(await client.get('a')).toBe('ž');
  expect(await client.getBytes('a')).toEqual(Buffer.from('ž'));
  expect(await client.getRecord('a')).toMatchObject({ version, id, contentType: 'text/plain', source: 'local', position: version });
  expect(client.position).toBe(`genesis-1@${version}`);
  await client.delete('a');
  expect(await client.get('a')).toBeUndefined();
  const keys = Array.from({ length: 1_500 }, (_, index) => `k${index}`);
  const written = await client.setMany(keys.map((key) => [key, key] as const));
  expect(written.filter(({ error }) => error !== undefined)).toEqual([]);
  const found = await client.getMany(keys);
  expect(found.map((result) => result.found?.text())).toEqual(keys);
});

test('many in flight, over the server’s bound of calls on a connection', async () => {
  const { client } = await one();
  keyValue.hot = false;
  const keys = Array.from({ length: 500 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => client.set(key, key)));
  expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
});

test('values that do not fit one answer together are all there in the end', async () => {
  const { client } = await one();
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  const written = await client.setMany(keys.map((key) => [key, Buffer.alloc(maxValueBytes, key)] as const));
  expect(written.filter(({ error }) => error !== undefined)).toEqual([]);
  const found = await client.getMany(keys);
  expect(found.every(({ key, found: record }) => Buffer.alloc(maxValueBytes, key).equals(record?.value as Uint8Array))).toBe(true);
});

test('failures come with their codes', async () => {
  const { client } = await one();
  await expect(client.set('a', Buffer.alloc(maxValueBytes + 1))).rejects.toMatchObject({ code: 'value-too-large', retryable: false });
  await expect(client.set('a', '1', { contentType: 'ž' })).rejects.toMatchObject({ code: 'bad-request', retryable: false });
  client.observe('another@0:5');
  await expect(client.get('a')).rejects.toMatchObject({ code: 'position-foreign' });
  keyValue.failure = new BitacoraError('store-failed', 'the disk is full');
  await expect(client.set('a', '1')).rejects.toMatchObject({ code: 'store-failed', retryable: false });
  await expect(client.get('a', { timeoutMs: 500 })).rejects.toMatchObject({ code: 'store-failed', retryable: true });
});

test('a drain under load: no call fails', async () => {
  const [first, second] = [await open(), await open()];
  const client = await connected({ servers: [nameOf(first), nameOf(second)] });
  await untilServing(client, 2);
  let working = true;
  let done = 0;
  const workers = Array.from({ length: 16 }, async (_, worker) => {
    for (let round = 0; working; round++) {
      await client.set(`${worker}`, `${round}`);
      expect(await client.get(`${worker}`)).toBe(`${round}`);
      done++;
    }
  });
  await until('work is under way', () => done > 50);
  const before = done;
  await first.drain();
  await until('work goes on', () => done > before + 50);
  working = false;
  await Promise.all(workers);
  expect(client.servers).toEqual([nameOf(second)]);
});

test('a write that the log does not confirm is unknown after the server’s patience, and the next is taken again', async () => {
  const { client } = await one();
  const held = gate();
  keyValue.writeGate = held.opened;
  await expect(client.set('a', '1', { timeoutMs: 20_000 })).rejects.toMatchObject({ code: 'unknown-outcome', retryable: false });
  held.open();
  await client.set('a', '2');
  expect(await client.get('a')).toBe('2');
});
