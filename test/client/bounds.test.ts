/** Everything has a bound: calls in flight, bytes waiting, calls waiting, attempts. */
import { expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import { TestClock } from '../replica/test-clock.ts';
import type { FakeServer } from './fake-server.ts';
import { clientOf, connected, gate, startServer, startServers, until, untilServing } from './setting.ts';

test('no more calls in flight than allowed; the others wait in order, and over that bound they are refused', async () => {
  const server = await startServer();
  const client = await clientOf([server], { maxInFlight: 4, maxQueued: 3 });
  const held = gate();
  const answered: string[] = [];
  server.answers.getRecord = async ({ key }) => {
    await held.opened;
    answered.push(key);
    return { found: null, source: 1, applied: { partition: 0, offset: 0 }, genesis: '' };
  };
  const calls = Array.from({ length: 9 }, (_, index) => client.get(`k${index}`).catch((error: unknown) => error));
  await until('four have arrived', () => server.count('getRecord') === 4);
  for (const refused of calls.slice(7)) expect(await refused).toMatchObject({ code: 'overloaded', retryable: true });
  expect(server.count('getRecord')).toBe(4);
  held.open();
  expect(await Promise.all(calls.slice(0, 7))).toEqual(Array(7).fill(undefined));
  expect(answered).toEqual(Array.from({ length: 7 }, (_, index) => `k${index}`));
});

test('calls that one server has no room for go to the other', async () => {
  const servers = await startServers(2);
  const client = await clientOf(servers, { maxInFlight: 10, maxQueued: 0 });
  const held = gate();
  for (const server of servers) {
    server.answers.setRecord = async () => {
      await held.opened;
      return { position: { partition: 0, offset: 0 }, uuid: '', genesis: '' };
    };
  }
  const calls = Array.from({ length: 20 }, (_, index) => client.set(`k${index}`, 'x'));
  await until('all have arrived', () => servers.every((server) => server.count('setRecord') === 10));
  held.open();
  await Promise.all(calls);
});

test('a call that must wait for a server without room holds up nobody who need not', async () => {
  const servers = await startServers(2);
  const [full, free] = servers as [FakeServer, FakeServer];
  // Time stands still: nothing is mended by looking again after a while.
  const clock = new TestClock();
  const client = await connected({ servers: servers.map(({ address }) => address), maxInFlight: 1 }, { clock });
  await untilServing(client, 2);
  const held = gate();
  full.answers.setRecord = async () => {
    await held.opened;
    return { position: { partition: 0, offset: 0 }, uuid: '', genesis: '' };
  };
  const write = await until('one has no room', async () => {
    const one = client.set('a', 'x');
    await Promise.race([one, until('it is there', () => full.count('setRecord') === 1, 100).catch(() => undefined)]);
    return full.count('setRecord') === 1 && { done: one };
  });
  // Refused by the one that has room: it waits for the other.
  free.answers.getRecord = () => {
    delete free.answers.getRecord;
    throw new BitacoraError('position-not-reached', 'behind');
  };
  const waiting = client.get('a');
  await until('it was refused', () => free.count('getRecord') === 1);
  expect(await client.get('b')).toBeUndefined();
  held.open();
  await write.done;
  await waiting;
});

test('bytes that a server does not take hold back further calls', async () => {
  const server = await startServer();
  const client = await clientOf([server], { maxBufferedBytes: 3_000_000, maxQueued: 1 });
  const value = Buffer.alloc(900_000);
  server.freeze();
  const results: unknown[] = [];
  // What the system buffers for a socket varies; a client without a bound would take them all.
  for (let index = 0; index < 60; index++) {
    void client.set(`k${index}`, value).then(
      () => results.push('written'),
      (error: { code: string }) => results.push(error.code),
    );
    await new Promise(setImmediate);
  }
  expect(results.filter((result) => result === 'overloaded').length).toBeGreaterThan(20);
  server.thaw();
  await until('the others are written', () => results.length === 60);
  expect(new Set(results)).toEqual(new Set(['overloaded', 'written']));
});

test('a call is sent at most as often as it may be', async () => {
  const servers = await startServers(3);
  const client = await clientOf(servers, { attempts: 5 });
  for (const server of servers) {
    server.answers.getRecord = () => {
      for (const socket of server.sockets) socket.resetAndDestroy();
      throw new Error('never told');
    };
  }
  await expect(client.get('a')).rejects.toMatchObject({ code: 'connection', retryable: true });
  const total = servers.reduce((sum, server: FakeServer) => sum + server.count('getRecord'), 0);
  expect(total).toBe(5);
});

test.each([
  ['timeoutMs', 0],
  ['timeoutMs', Number.NaN],
  ['attempts', 0],
  ['maxInFlight', 1.5],
  ['maxQueued', -1],
  ['maxFrameBytes', 2 ** 40],
] as const)('%s of %d is refused', async (name, value) => {
  await expect(clientOf([], { [name]: value })).rejects.toMatchObject({ code: 'bad-request', message: expect.stringContaining(name) });
});
