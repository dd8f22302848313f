/** A server that answers nothing, with its connection open: reads go elsewhere within their time, and it is left alone until it answers. */
import { expect, test } from 'vitest';
import type { FakeServer } from './fake-server.ts';
import { clientOf, startServer, startServers, until, untilServing } from './setting.ts';

test('reads are answered by others within their time, and after a while none goes there', async () => {
  const servers = await startServers(2);
  const [frozen, other] = servers as [FakeServer, FakeServer];
  const client = await clientOf(servers, { timeoutMs: 4_500 });
  await client.set('a', '1');
  frozen.freeze();
  const began = performance.now();
  expect(await Promise.all(Array.from({ length: 20 }, () => client.get('a')))).toEqual(Array(20).fill('1'));
  expect(performance.now() - began).toBeLessThan(4_400);
  await untilServing(client, 1);
  expect(client.servers).toEqual([other.address]);
  const quick = performance.now();
  for (let round = 0; round < 20; round++) expect(await client.get('a')).toBe('1');
  expect(performance.now() - quick).toBeLessThan(1_000);
});

test('when it goes on, it is used again', async () => {
  const servers = await startServers(2);
  const [frozen] = servers as [FakeServer];
  const client = await clientOf(servers, { timeoutMs: 3_900 });
  frozen.freeze();
  await Promise.all(Array.from({ length: 10 }, () => client.get('a')));
  await untilServing(client, 1);
  frozen.thaw();
  await untilServing(client, 2);
});

test('a write on it waits until its time is up, and is unknown', async () => {
  const servers = await startServers(1);
  const [frozen] = servers as [FakeServer];
  const client = await clientOf(servers);
  frozen.freeze();
  await expect(client.set('a', '1', { timeoutMs: 100 })).rejects.toMatchObject({ code: 'unknown-outcome', server: frozen.address });
});

test('a write that it answers late, after it was left alone, has its answer', async () => {
  const servers = await startServers(2);
  const [frozen, other] = servers as [FakeServer, FakeServer];
  const client = await clientOf(servers, { timeoutMs: 20_000 });
  frozen.freeze();
  const writes = Array.from({ length: 10 }, (_, index) => client.set(`k${index}`, 'x'));
  const reads = Array.from({ length: 10 }, () => client.get('a', { timeoutMs: 3_900 }));
  await Promise.all(reads);
  await untilServing(client, 1);
  frozen.thaw();
  await Promise.all(writes);
  expect(frozen.count('setRecord')).toBeGreaterThan(0);
  expect(frozen.count('setRecord') + other.count('setRecord')).toBe(10);
});

test('reads that wait on the only server are answered over its next connection', async () => {
  const server = await startServer();
  const client = await clientOf([server], { timeoutMs: 30_000 });
  server.freeze();
  const quick = client.get('a', { timeoutMs: 1_500 }).catch((error: unknown) => error);
  const slow = client.get('a');
  expect(await quick).toMatchObject({ code: 'timeout', retryable: true });
  await until('its connection was given up', () => client.servers.length === 0);
  server.thaw();
  expect(await slow).toBeUndefined();
});

test('an answer that comes after its read has moved on is dropped', async () => {
  const servers = await startServers(2);
  const [slow, other] = servers as [FakeServer, FakeServer];
  const client = await clientOf(servers, { timeoutMs: 900 });
  await client.set('a', '1');
  const late: (() => void)[] = [];
  slow.answers.getRecord = ({ key }) =>
    new Promise((resolve) => {
      late.push(() =>
        resolve({ found: null, source: 1, applied: { partition: slow.replica.log.partitionOf(key), offset: 9 }, genesis: 'log-1' }),
      );
    });
  await until('one was asked there', async () => {
    expect(await client.get('a')).toBe('1');
    return late.length > 0;
  });
  for (const answer of late) answer();
  await client.set('b', '1');
  await until('the slow one has written since', async () => {
    await client.set('b', '1');
    return slow.count('setRecord') > 1;
  });
  expect(await client.get('a').catch((error: unknown) => error)).toBe('1');
  expect(client.servers).toHaveLength(2);
  expect(other.count('getRecord')).toBeGreaterThan(0);
});
