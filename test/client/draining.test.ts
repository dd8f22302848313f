/** A server that is going away, or cannot do it now, says so: nothing happened there, and others do it. */
import { expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import type { FakeServer } from './fake-server.ts';
import { clientOf, startServer, startServers, until } from './setting.ts';

function drain(server: FakeServer): void {
  const draining = (): never => {
    throw new BitacoraError('draining', 'the node is going away');
  };
  Object.assign(server.answers, { getRecord: draining, setRecord: draining, getNode: draining });
}

test('reads and writes move to another server, and the draining one is left alone', async () => {
  const servers = await startServers(2);
  const [leaving, staying] = servers as [FakeServer, FakeServer];
  const client = await clientOf(servers);
  drain(leaving);
  for (let round = 0; round < 30; round++) {
    await client.set('a', `${round}`);
    expect(await client.get('a')).toBe(`${round}`);
  }
  expect(leaving.count('setRecord') + leaving.count('getRecord')).toBe(1);
  expect(staying.count('setRecord') + staying.count('getRecord')).toBe(60);
});

test('it is used again when it turns out to stay', async () => {
  const servers = await startServers(2);
  const [leaving] = servers as [FakeServer];
  const client = await clientOf(servers);
  drain(leaving);
  await until('it said so', async () => {
    await client.get('a');
    return leaving.count('getRecord') > 0;
  });
  for (const message of ['getRecord', 'setRecord', 'getNode'] as const) delete leaving.answers[message];
  const before = leaving.count('getRecord');
  await until('it gets calls again', async () => {
    await client.get('a');
    return leaving.count('getRecord') > before;
  });
});

test('the only server is draining: the call says so when its attempts are over', async () => {
  const server = await startServer();
  const client = await clientOf([server], { attempts: 3, timeoutMs: 60_000 });
  server.answers.setRecord = () => {
    throw Object.assign(new BitacoraError('overloaded', 'too much'), {});
  };
  const error = await client.set('a', '1').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'overloaded', retryable: true, server: server.address, retryAfterMs: 1_000 });
  expect(server.count('setRecord')).toBe(3);
});

test('a refusal that would have to wait beyond the deadline is told at once', async () => {
  const server = await startServer();
  const client = await clientOf([server], { timeoutMs: 900 });
  server.answers.setRecord = () => {
    throw new BitacoraError('log-unavailable', 'Kafka is away');
  };
  await expect(client.set('a', '1')).rejects.toMatchObject({ code: 'log-unavailable', retryable: true });
  expect(server.count('setRecord')).toBe(1);
});

test.each([
  ['internal', 1, 2],
  ['store-failed', 1, 2],
  ['unknown-outcome', 1, 2],
  ['log-unavailable', 2, 2],
  ['position-not-reached', 2, 2],
  ['value-too-large', 1, 1],
] as const)('%s: a write is sent to %i of two servers, a read to %i', async (code, writes, reads) => {
  const servers = await startServers(2);
  const client = await clientOf(servers, { attempts: 2 });
  for (const server of servers) {
    server.answers.setRecord = server.answers.getRecord = () => {
      throw new BitacoraError(code, 'no');
    };
  }
  const write = await client.set('a', '1').catch((reason: unknown) => reason);
  expect(write).toMatchObject({ code, retryable: writes === 2 });
  const read = await client.get('a').catch((reason: unknown) => reason);
  expect(read).toMatchObject({ code, retryable: reads === 2 });
  const sum = (message: 'setRecord' | 'getRecord') => servers.reduce((total, server) => total + server.count(message), 0);
  expect([sum('setRecord'), sum('getRecord')]).toEqual([writes, reads]);
});

test('a server that is behind: the read is answered by another', async () => {
  const servers = await startServers(2);
  const [behind] = servers as [FakeServer];
  const client = await clientOf(servers);
  await client.set('a', '1');
  behind.answers.getRecord = () => {
    throw new BitacoraError('position-not-reached', 'not yet');
  };
  for (let round = 0; round < 20; round++) expect(await client.get('a')).toBe('1');
  expect(behind.count('getRecord')).toBeGreaterThan(0);
});

test('a code that this version does not know is passed on, and repeated as the server says', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  server.answers.getMany = () => [
    { 'com.grayscaleconsulting.bitacora.rpc.avro.Failure': { code: 'of-tomorrow', message: 'x', retry: 'no', retryAfterMs: 0 } },
  ];
  expect(await client.getMany(['a'])).toMatchObject([{ key: 'a', error: { code: 'of-tomorrow', retryable: false } }]);
});
