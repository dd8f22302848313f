/** A client that finds its servers in ZooKeeper: they join and leave while it works, and ZooKeeper may go away. */
import { expect, test } from 'vitest';
import { FakeLog, Replica } from './fake-log.ts';
import { never } from './fake-server.ts';
import { FakeZooKeeper } from './fake-zookeeper.ts';
import { connected, startServer, startServers, until, untilServing } from './setting.ts';

const hosts = '127.0.0.1:2181';
const through = (zooKeeper: FakeZooKeeper) => ({ openSession: zooKeeper.open });

test('a server that joins gets its share; one that leaves gets no more calls and its connection ends', async () => {
  const zooKeeper = new FakeZooKeeper();
  const log = new FakeLog();
  const [first, second] = (await startServers(2, log)) as [
    Awaited<ReturnType<typeof startServer>>,
    Awaited<ReturnType<typeof startServer>>,
  ];
  zooKeeper.names = [first.address];
  const client = await connected({ zookeeper: hosts }, through(zooKeeper));
  expect(client.servers).toEqual([first.address]);
  zooKeeper.change([first.address, second.address]);
  await untilServing(client, 2);
  for (let round = 0; round < 200; round++) await client.get('a');
  expect(second.count('getRecord')).toBeGreaterThan(50);
  zooKeeper.change([second.address]);
  await until('the first has no connection', () => first.sockets.size === 0);
  const before = first.count('getRecord');
  for (let round = 0; round < 20; round++) await client.get('a');
  expect(first.count('getRecord')).toBe(before);
});

test('a call that is under way when its server leaves the list is answered', async () => {
  const zooKeeper = new FakeZooKeeper();
  const log = new FakeLog();
  const [leaving, staying] = [await startServer({ replica: new Replica(log) }), await startServer({ replica: new Replica(log) })];
  zooKeeper.names = [leaving.address];
  const client = await connected({ zookeeper: hosts }, through(zooKeeper));
  let answer = (): void => undefined;
  leaving.answers.setRecord = ({ put }) =>
    new Promise((resolve) => {
      answer = () => resolve({ position: { partition: 0, offset: 5 }, uuid: put.key, genesis: '' });
    });
  const write = client.set('a', '1');
  await until('it has arrived', () => leaving.count('setRecord') === 1);
  zooKeeper.change([staying.address]);
  await until('the other is used', () => client.servers.join() === staying.address);
  expect(leaving.sockets.size).toBe(1);
  answer();
  expect(await write).toEqual({ version: '0:5', id: 'a' });
  await until('its connection has ended', () => leaving.sockets.size === 0);
});

test('ZooKeeper goes away, or lists nobody: the servers last known stay', async () => {
  const zooKeeper = new FakeZooKeeper();
  const server = await startServer();
  zooKeeper.names = [server.address];
  const client = await connected({ zookeeper: hosts }, through(zooKeeper));
  await client.set('a', '1');
  zooKeeper.reachable = false;
  zooKeeper.session.become('ended');
  expect(await client.get('a')).toBe('1');
  await server.kill();
  await server.start();
  expect(await client.get('a')).toBe('1');
  zooKeeper.reachable = true;
  zooKeeper.names = [];
  await until('it was listed again', () => zooKeeper.sessions.length > 1 && zooKeeper.watches > 0);
  expect(await client.get('a')).toBe('1');
});

test('connect waits for the first server that registers', async () => {
  const zooKeeper = new FakeZooKeeper();
  const server = await startServer();
  const connecting = connected({ zookeeper: hosts }, through(zooKeeper));
  await until('it watches', () => zooKeeper.watches > 0);
  zooKeeper.change([server.address]);
  const client = await connecting;
  expect(await client.get('a')).toBeUndefined();
});

test('connect gives up: it says where it looked, and lets ZooKeeper go', async () => {
  const zooKeeper = new FakeZooKeeper();
  await expect(connected({ zookeeper: hosts, connectTimeoutMs: 80 }, through(zooKeeper))).rejects.toMatchObject({
    name: 'ClientConnectionError',
    message: expect.stringMatching(/no server is listed in ZooKeeper 127\.0\.0\.1:2181, \/bitacora\/sockets/),
  });
  expect(zooKeeper.session.state).toBe('ended');
  const away = new FakeZooKeeper();
  away.reachable = false;
  await expect(connected({ zookeeper: hosts, connectTimeoutMs: 80 }, through(away))).rejects.toThrow(/no answer yet/);
});

test('connect is aborted', async () => {
  const zooKeeper = new FakeZooKeeper();
  const stop = new AbortController();
  const connecting = connected({ zookeeper: hosts, signal: stop.signal }, through(zooKeeper));
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(connecting).rejects.toMatchObject({ code: 'aborted', cause: reason });
  await expect(connected({ servers: ['127.0.0.1:1'], signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' });
});

test.each<[string, object, string]>([
  ['neither', {}, 'bad-request'],
  ['both', { servers: ['a:1'], zookeeper: hosts }, 'bad-request'],
  ['no server', { servers: [] }, 'bad-request'],
  ['what is no address', { servers: ['a'] }, 'bad-request'],
  ['what is no list', { servers: 'a:1,b:2' }, 'bad-request'],
  ['what is no list of ZooKeepers', { zookeeper: 'a:b' }, 'option-invalid'],
])('%s: refused', async (_, options, code) => {
  await expect(connected(options as never)).rejects.toMatchObject({ name: 'ClientError', code, retryable: false });
});

test('a server in the list twice is one', async () => {
  const server = await startServer();
  server.answers.setRecord = () => never;
  const client = await connected({ servers: [server.address, server.address] });
  expect(client.servers).toEqual([server.address]);
});
