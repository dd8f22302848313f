/** Calls are spread over all servers, and away from those that are busy. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { FakeLog, Replica } from './fake-log.ts';
import type { FakeServer } from './fake-server.ts';
import { clientOf, startServer, startServers, until, untilServing } from './setting.ts';

/** So many calls one after another, by so many callers. */
async function load(client: { get(key: string): Promise<unknown> }, callers: number, each: number): Promise<void> {
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let round = 0; round < each; round++) await client.get('a');
    }),
  );
}

const shares = (servers: readonly FakeServer[]): number[] => servers.map((server) => server.count('getRecord'));

test('equal servers get equal shares', async () => {
  const servers = await startServers(3);
  const client = await clientOf(servers);
  await load(client, 1, 300);
  for (const share of shares(servers)) expect(share).toBeGreaterThan(60);
  await load(client, 30, 30);
  for (const share of shares(servers)) expect(share).toBeGreaterThan(300);
});

test('a slow server gets few calls', async () => {
  const servers = await startServers(3);
  const [slow] = servers as [FakeServer, FakeServer, FakeServer];
  const client = await clientOf(servers);
  const found = { found: null, source: 1, applied: { partition: 0, offset: 0 }, genesis: 'log-1' };
  for (const server of servers) server.answers.getRecord = () => pause(server === slow ? 500 : 1, found);
  await load(client, 30, 30);
  const [ofSlow, ...ofFast] = shares(servers) as [number, number, number];
  expect(ofSlow).toBeLessThan(100);
  for (const share of ofFast) expect(share).toBeGreaterThan(300);
});

test('a server that has come back gets its share again', async () => {
  const servers = await startServers(2);
  const [first, second] = servers as [FakeServer, FakeServer];
  const client = await clientOf(servers);
  await second.kill();
  await untilServing(client, 1);
  await load(client, 4, 10);
  await second.start();
  await untilServing(client, 2);
  const before = shares(servers);
  await load(client, 10, 40);
  const after = shares(servers);
  expect((after[1] as number) - (before[1] as number)).toBeGreaterThan(100);
  expect(first.count('getRecord')).toBeGreaterThan(100);
});

test('a node that is restoring is asked only when there is no other, and gets its share once it is ready', async () => {
  const log = new FakeLog();
  const restoring = await startServer({ replica: new Replica(log), node: { state: 'restoring' } });
  const alone = await clientOf([restoring]);
  expect(await alone.get('a')).toBeUndefined();
  const ready = await startServer({ replica: new Replica(log) });
  const client = await clientOf([restoring, ready]);
  const before = restoring.count('getRecord');
  await load(client, 4, 25);
  expect(shares([restoring, ready])).toEqual([before, 100]);
  restoring.node = { state: 'ready' };
  await until('the other gets calls', async () => {
    await load(client, 4, 5);
    return restoring.count('getRecord') > before;
  });
});

test('connect takes a list with servers that are not there, and finds them when they come', async () => {
  const log = new FakeLog();
  const [here, away] = [await startServer({ replica: new Replica(log) }), await startServer({ replica: new Replica(log) })];
  await away.kill();
  const client = await connect({ servers: [away.address, here.address] });
  expect(client.servers).toEqual([here.address]);
  await away.start();
  await untilServing(client, 2);
  await client.close();
});
