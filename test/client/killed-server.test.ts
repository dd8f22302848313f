/** A server dies with calls on it: reads go on elsewhere, a write that was sent is unknown, one that was not is repeated. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { FakeLog, Replica } from './fake-log.ts';
import { type FakeServer, never } from './fake-server.ts';
import { clientOf, startServer, startServers, until, untilServing } from './setting.ts';

test('reads in flight on it succeed', async () => {
  const servers = await startServers(2);
  const [dying, other] = servers as [FakeServer, FakeServer];
  const client = await clientOf(servers);
  await client.set('a', '1');
  dying.answers.getRecord = () => never;
  const reads = Array.from({ length: 40 }, () => client.get('a'));
  await until('some are under way there', () => dying.count('getRecord') > 5);
  await dying.kill();
  expect(new Set(await Promise.all(reads))).toEqual(new Set(['1']));
  expect(other.count('getRecord')).toBe(40);
});

test('writes in flight on it are unknown, each of them, and none is sent twice', async () => {
  const log = new FakeLog();
  const dying = await startServer({ replica: new Replica(log) });
  dying.answers.setRecord = () => never;
  const client = await clientOf([dying]);
  const writes = Array.from({ length: 10 }, (_, index) => client.set(`k${index}`, 'x').catch((error: unknown) => error));
  await until('they have arrived', () => dying.count('setRecord') === 10);
  await dying.kill();
  for (const error of await Promise.all(writes)) {
    expect(error).toMatchObject({ code: 'unknown-outcome', retryable: false, server: dying.address, cause: { code: 'connection' } });
  }
  dying.answers.setRecord = undefined as never;
  await dying.start();
  await untilServing(client, 1);
  expect(dying.count('setRecord')).toBe(10);
});

test('a write that had not left yet goes out again, over the next connection', async () => {
  const log = new FakeLog();
  const sockets: Socket[] = [];
  const collect = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', collect);
  const client = await clientOf(await startServers(1, log));
  unsubscribe('net.client.socket', collect);
  const [written, read] = [client.set('a', '1'), client.get('a')];
  // In the same turn of the event loop: what was gathered has not been given to the socket.
  for (const socket of sockets) socket.destroy();
  expect(await written).toMatchObject({ version: expect.any(String) });
  await read;
  expect(log.records).toHaveLength(1);
});

test('a write to a server that has died without this side having heard goes to the next', async () => {
  const log = new FakeLog();
  const servers = await startServers(1, log);
  const client = await clientOf(servers);
  for (const socket of servers[0]?.sockets ?? []) socket.resetAndDestroy();
  expect(await client.set('a', '1')).toMatchObject({ version: expect.any(String) });
  expect(log.records).toHaveLength(1);
});

test('no read fails and no write is lost or doubled while servers die and come back under load', async () => {
  const log = new FakeLog();
  const servers = await startServers(3, log);
  const client = await clientOf(servers);
  const acknowledged = new Map<string, string>();
  let unknown = 0;
  let reads = 0;
  let working = true;
  const workers = Array.from({ length: 16 }, async (_, worker) => {
    for (let round = 0; working; round++) {
      const key = `w${worker}-${round}`;
      try {
        await client.set(key, key);
        acknowledged.set(key, key);
        expect(await client.get(key)).toBe(key);
        reads++;
      } catch (error) {
        // A write may be unknown; nothing else may fail.
        expect(error).toMatchObject({ code: 'unknown-outcome' });
        unknown++;
      }
    }
  });
  for (const server of [...servers, ...servers]) {
    const before = reads;
    await server.kill();
    await until('work goes on', () => reads > before + 50);
    await server.start();
    await untilServing(client, 3);
  }
  working = false;
  await Promise.all(workers);
  expect(reads).toBeGreaterThan(300);
  const written = log.records.map(({ key }) => key);
  expect(new Set(written).size).toBe(written.length);
  for (const key of acknowledged.keys()) expect(written).toContain(key);
  expect(written.length).toBeLessThanOrEqual(acknowledged.size + unknown);
});
