/** Membership on a real ZooKeeper that is away, frozen, killed, and that ends sessions. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openZooKeeperMembership } from '../../cluster/membership/zookeeper.ts';
import { codeOf } from '../../src/core/errors.ts';
import type { Membership } from '../../src/ports.ts';
import { parseZooKeeperHosts } from '../../wire/zookeeper/hosts.ts';
import { loadZooKeeper, type OpenSession, type ZooKeeperSession } from '../../wire/zookeeper/session.ts';
import { startZooKeeper, type ZooKeeperService } from '../services/zookeeper.ts';
import { createKeptLog, type KeptLog, realClock } from './real-clock.ts';

let service: ZooKeeperService;
let openSession: OpenSession;
let observer: ZooKeeperSession;
beforeAll(async () => {
  service = await startZooKeeper();
  openSession = await loadZooKeeper();
});
afterAll(() => service.stop());

const opened: { leave(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.leave()));
});

interface Node {
  readonly membership: Membership;
  /** Every session it has had, the newest last. */
  readonly sessions: ZooKeeperSession[];
  readonly log: KeptLog;
}

async function node(address: string, options: { root: string; hosts?: string; socket?: string; sessionTimeoutMs?: number }): Promise<Node> {
  const sessions: ZooKeeperSession[] = [];
  const log = createKeptLog();
  const membership = await openZooKeeperMembership(
    {
      hosts: options.hosts ?? service.hosts,
      root: options.root,
      sessionTimeoutMs: options.sessionTimeoutMs ?? 4_000,
      clock: realClock,
      chance: { random: Math.random },
      logger: log,
    },
    async () => (sessionOptions) => {
      const session = openSession(sessionOptions);
      sessions.push(session);
      return session;
    },
  );
  opened.push(membership);
  membership.join({ address, socket: options.socket ?? '' });
  return { membership, sessions, log };
}

/** A session to look with. */
async function look(): Promise<ZooKeeperSession> {
  observer = openSession({
    servers: service.hosts,
    sessionTimeoutMs: 10_000,
    operationTimeoutMs: 5_000,
    clock: realClock,
    onState: () => undefined,
  });
  opened.push({ leave: () => observer.close() });
  await expect.poll(() => observer.state, { timeout: 10_000 }).toBe('connected');
  return observer;
}

const slow = { timeout: 25_000, interval: 50 };
const joined = ({ membership }: Node) => expect.poll(() => membership.state, slow).toBe('joined');
const sees = ({ membership }: Node, addresses: readonly string[]) =>
  expect.poll(() => membership.others.map((other) => other.address), slow).toEqual(addresses);

/**
 * Another client takes the session over and closes it: to its owner it has expired. The owner takes it back as fast as it can, so the
 * other does not always get to close it.
 */
async function expire(session: ZooKeeperSession): Promise<void> {
  const ended = (): boolean => session.state === 'ended';
  for (let attempt = 0; attempt < 10 && !ended(); attempt++) {
    const client = await nativeClient({ client_id: session.id, client_password: session.password });
    client?.close();
    // Without a client the session is over already, and its owner has not heard of it yet.
    const patience = client === undefined ? 200 : 60;
    for (let wait = 0; wait < patience && !ended(); wait++) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(session.state).toBe('ended');
}

interface NativeClient extends NodeJS.EventEmitter {
  init(options: object): void;
  close(): void;
  get(path: string, watch: boolean): Promise<[object, Buffer]>;
}

/** A client of the package itself, connected; undefined when the session that it should go on with is over. */
async function nativeClient(more: object = {}): Promise<NativeClient | undefined> {
  const { default: Client } = (await import('zookeeper' as string)) as { default: new (options: object) => NativeClient };
  const client = new Client({});
  client.init({ connect: service.hosts, timeout: 4_000, debug_level: 0, ...more });
  const connected = await Promise.race([once(client, 'connect').then(() => true), once(client, 'close').then(() => false)]);
  // It must not be closed from within its own callback.
  await new Promise((resolve) => setImmediate(resolve));
  return connected ? client : undefined;
}

test('both entries of the original, ephemeral, with their own names as data', async () => {
  const root = '/deep/down';
  const one = await node('n1:8082', { root, socket: 'n1:8083' });
  await joined(one);
  const eyes = await look();
  expect(await eyes.children(`${root}/servers`)).toEqual(['n1:8082']);
  expect(await eyes.children(`${root}/sockets`)).toEqual(['n1:8083']);
  for (const path of [`${root}/servers/n1:8082`, `${root}/sockets/n1:8083`]) {
    expect(await eyes.owner(path)).toBe(one.sessions[0]?.id);
  }
  const client = (await nativeClient()) as NativeClient;
  expect((await client.get(`${root}/servers/n1:8082`, false))[1].toString()).toBe('n1:8082');
  expect((await client.get(`${root}/sockets/n1:8083`, false))[1].toString()).toBe('n1:8083');
  await new Promise((resolve) => setImmediate(resolve));
  client.close();
  await one.membership.leave();
  expect(await eyes.children(`${root}/servers`)).toEqual([]);
  expect(await eyes.children(`${root}/sockets`)).toEqual([]);
});

test('others come and go, with their sockets, and nonsense is passed over', async () => {
  const root = '/come-and-go';
  const one = await node('n1:1', { root });
  await joined(one);
  const eyes = await look();
  await eyes.create(`${root}/servers/not an address`, '', 'persistent');
  for (let round = 0; round < 3; round++) {
    const two = await node('n2:1', { root, socket: 'n2:2' });
    const three = await node('n3:1', { root });
    await sees(one, ['n2:1', 'n3:1']);
    await sees(three, ['n1:1', 'n2:1']);
    await expect.poll(() => one.membership.others[0]?.socket, slow).toBe('n2:2');
    await two.membership.leave();
    await three.membership.leave();
    await sees(one, []);
  }
});

test('a session that has expired: registered again in a new one, watching again, and seen by the others', async () => {
  const root = '/expiry';
  const one = await node('n1:1', { root, socket: 'n1:2' });
  const two = await node('n2:1', { root });
  await joined(one);
  await sees(one, ['n2:1']);
  for (let round = 1; round <= 2; round++) {
    const old = one.sessions.at(-1) as ZooKeeperSession;
    await expire(old);
    await expect.poll(() => one.sessions.length, slow).toBe(round + 1);
    expect(one.membership.others.map((other) => other.address)).toEqual(['n2:1']);
    await joined(one);
    const eyes = await look();
    const id = one.sessions.at(-1)?.id;
    expect(id).not.toBe(old.id);
    expect(await eyes.owner(`${root}/servers/n1:1`)).toBe(id);
    expect(await eyes.owner(`${root}/sockets/n1:2`)).toBe(id);
    await sees(two, ['n1:1']);
    const late = await node('n9:1', { root });
    await sees(one, ['n2:1', 'n9:1']);
    await late.membership.leave();
    await sees(one, ['n2:1']);
  }
  expect(one.log.events).toContain('membership.lost');
});

test('an entry left by a killed process of this address is replaced before its session is over', async () => {
  const root = '/killed';
  const process1 = processAt('n1:1', root);
  await process1.joined;
  const eyes = await look();
  const old = await eyes.owner(`${root}/servers/n1:1`);
  process1.child.kill('SIGKILL');
  await once(process1.child, 'exit');
  expect(await eyes.owner(`${root}/servers/n1:1`)).toBe(old);
  const one = await node('n1:1', { root });
  await joined(one);
  expect(one.sessions[0]?.id).not.toBe(old);
  expect(await eyes.owner(`${root}/servers/n1:1`)).toBe(one.sessions[0]?.id);
});

test('a process that has left ends by itself, and the native client has written nothing', async () => {
  const one = processAt('n1:1', '/by-itself');
  await one.joined;
  one.child.stdin.end();
  const [code] = await once(one.child, 'exit');
  expect(code).toBe(0);
  expect(one.output()).toBe('joined\n');
});

test('an entry that somebody deleted is made again', async () => {
  const root = '/deleted';
  const one = await node('n1:1', { root });
  await joined(one);
  const eyes = await look();
  await eyes.remove(`${root}/servers/n1:1`);
  await expect.poll(() => eyes.owner(`${root}/servers/n1:1`), slow).toBe(one.sessions[0]?.id);
});

test('two nodes under one address: the later has it, the earlier says so and gets it back when the later leaves', async () => {
  const root = '/contested';
  const one = await node('n1:1', { root });
  await joined(one);
  const two = await node('n1:1', { root });
  await joined(two);
  await expect.poll(() => one.log.events, slow).toContain('membership.contested');
  expect(one.membership.state).toBe('joining');
  const eyes = await look();
  expect(await eyes.owner(`${root}/servers/n1:1`)).toBe(two.sessions[0]?.id);
  await two.membership.leave();
  await joined(one);
});

test('ZooKeeper is away at the start, and comes', async () => {
  const away = await startZooKeeper();
  try {
    await away.kill();
    const one = await node('n1:1', { root: '/late', hosts: away.hosts, sessionTimeoutMs: 2_000 });
    await expect.poll(() => one.log.events, slow).toContain('membership.unreachable');
    expect(one.membership.state).toBe('joining');
    expect(one.membership.others).toEqual([]);
    await away.restart();
    await joined(one);
    const two = await node('n2:1', { root: '/late', hosts: away.hosts, sessionTimeoutMs: 2_000 });
    await sees(one, ['n2:1']);
    await Promise.all([one.membership.leave(), two.membership.leave()]);
  } finally {
    await away.stop();
  }
});

test('ZooKeeper freezes, goes on, is killed, comes back: the members last known stay, and all are registered at the end', async () => {
  const frail = await startZooKeeper();
  try {
    const root = '/frail';
    const [one, two] = (await Promise.all(
      ['n1:1', 'n2:1'].map((address) => node(address, { root, hosts: frail.hosts, sessionTimeoutMs: 2_000 })),
    )) as [Node, Node];
    await sees(one, ['n2:1']);
    await sees(two, ['n1:1']);
    await frail.pause();
    await expect.poll(() => one.membership.state, slow).toBe('joining');
    expect(one.membership.others.map((other) => other.address)).toEqual(['n2:1']);
    await frail.resume();
    await joined(one);
    await joined(two);
    await frail.kill();
    await expect.poll(() => one.membership.state, slow).toBe('joining');
    expect(one.membership.others.map((other) => other.address)).toEqual(['n2:1']);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await frail.restart();
    await joined(one);
    await joined(two);
    await sees(one, ['n2:1']);
    await sees(two, ['n1:1']);
    await frail.pause();
    const began = performance.now();
    await Promise.all([one.membership.leave(), two.membership.leave()]);
    expect(performance.now() - began).toBeLessThan(8_000);
  } finally {
    await frail.stop();
  }
});

test('the package is missing: one line with the way out', async () => {
  const error = await loadZooKeeper('zookeeper-that-is-not-there').catch((reason: unknown) => reason);
  expect(codeOf(error)).toBe('dependency-missing');
  expect(String(error)).toContain('npm install');
});

test('hosts: the usual forms, and a path before ours', async () => {
  expect(parseZooKeeperHosts('a')).toEqual({ servers: [{ host: 'a', port: 2181 }], path: '' });
  expect(parseZooKeeperHosts(' a:1, [::1]:2/x/y/ ')).toEqual({
    servers: [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
    ],
    path: '/x/y',
  });
  for (const wrong of ['', ',', 'a:b', 'a:1,,b:2']) expect(() => parseZooKeeperHosts(wrong), wrong).toThrow(/not host:port/);
  const one = await node('n1:1', { root: '/bitacora', hosts: `${service.hosts}/apps/one` });
  await joined(one);
  expect(await (await look()).children('/apps/one/bitacora/servers')).toEqual(['n1:1']);
});

function processAt(address: string, root: string) {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', new URL('join-for-a-while.ts', import.meta.url).pathname, service.hosts, root, address],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { child, output: () => output, joined: expect.poll(() => output, slow).toContain('joined') };
}
