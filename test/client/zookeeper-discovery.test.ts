/** Servers found in ZooKeeper, which itself may come late, break off, expire and hang. */
import { afterEach, expect, test } from 'vitest';
import type { Discovery } from '../../client/discovery/discovery.ts';
import { openZooKeeperDiscovery } from '../../client/discovery/zookeeper.ts';
import { systemClock } from '../../src/app/system.ts';
import type { Clock } from '../../src/ports.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { FakeZooKeeper } from './fake-zookeeper.ts';
import { until } from './setting.ts';

/** Waits are a hundredth of what they say. */
const quick: Clock = {
  ...systemClock,
  monotonic: () => performance.now() * 100,
  after: (delayMs, action) => systemClock.after(delayMs / 100, action),
};

const opened: Discovery[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

async function discover(zooKeeper: FakeZooKeeper, options: { hosts?: string; root?: string; sessionTimeoutMs?: number } = {}) {
  const lists: (readonly string[])[] = [];
  const discovery = await openZooKeeperDiscovery(
    { hosts: '127.0.0.1:2181', clock: quick, chance: { random: Math.random }, logger: silentLogger, ...options },
    (servers) => lists.push(servers),
    async () => zooKeeper.open,
  );
  opened.push(discovery);
  return { discovery, lists };
}

const shows = (lists: readonly (readonly string[])[], wanted: readonly string[]) =>
  until(`the list is ${wanted}`, () => JSON.stringify(lists.at(-1)) === JSON.stringify(wanted));

test('the children of <path><root>/sockets, nonsense left out; nothing else is read and nothing is written', async () => {
  const zooKeeper = new FakeZooKeeper();
  zooKeeper.names = ['n1:8083', 'not an address', 'n2:99999', '[::1]:8083'];
  const { discovery, lists } = await discover(zooKeeper, { hosts: '127.0.0.1:2181/apps/one', root: '/mine' });
  await shows(lists, ['n1:8083', '[::1]:8083']);
  expect(discovery.trouble).toBeUndefined();
  expect(new Set(zooKeeper.listed)).toEqual(new Set(['/apps/one/mine/sockets']));
  expect(zooKeeper.asked).toEqual([]);
});

test('changes are followed, each with a watch set anew', async () => {
  const zooKeeper = new FakeZooKeeper();
  const { lists } = await discover(zooKeeper);
  await until('it is watched', () => zooKeeper.watches === 1);
  for (const names of [['n1:1'], ['n1:1', 'n2:1'], ['n2:1'], []]) {
    zooKeeper.change(names);
    await shows(lists, names);
    await until('it is watched again', () => zooKeeper.watches === 1);
  }
});

test('two changes at once set no second watch', async () => {
  const zooKeeper = new FakeZooKeeper();
  const { lists } = await discover(zooKeeper);
  await until('it is watched', () => zooKeeper.watches === 1);
  zooKeeper.session.become('connecting');
  zooKeeper.session.become('connected');
  zooKeeper.names = ['n1:1'];
  await shows(lists, ['n1:1']);
  expect(zooKeeper.watches).toBe(1);
});

test('a connection that is lost for a while changes nothing, and what happened meanwhile is seen', async () => {
  const zooKeeper = new FakeZooKeeper();
  zooKeeper.names = ['n1:1'];
  const { lists } = await discover(zooKeeper);
  await shows(lists, ['n1:1']);
  const told = lists.length;
  zooKeeper.session.become('connecting');
  zooKeeper.names = ['n2:1'];
  await new Promise(setImmediate);
  expect(lists).toHaveLength(told);
  zooKeeper.session.become('connected');
  await shows(lists, ['n2:1']);
  expect(zooKeeper.sessions).toHaveLength(1);
});

test('an expired session is followed by another; the list stays meanwhile', async () => {
  const zooKeeper = new FakeZooKeeper();
  zooKeeper.names = ['n1:1'];
  const { lists, discovery } = await discover(zooKeeper);
  await shows(lists, ['n1:1']);
  zooKeeper.session.become('ended');
  zooKeeper.names = ['n1:1', 'n2:1'];
  await shows(lists, ['n1:1', 'n2:1']);
  expect(lists).not.toContainEqual([]);
  expect(zooKeeper.sessions).toHaveLength(2);
  expect(discovery.trouble).toBeUndefined();
});

test('a ZooKeeper that is away at the start: a new session every time one has waited in vain, until it is there', async () => {
  const zooKeeper = new FakeZooKeeper();
  zooKeeper.reachable = false;
  const { lists, discovery } = await discover(zooKeeper, { sessionTimeoutMs: 1_000 });
  await until('it has tried again', () => zooKeeper.sessions.length >= 3);
  expect(discovery.trouble).toBe('no connection');
  expect(zooKeeper.sessions.filter(({ state }) => state !== 'ended').length).toBeLessThanOrEqual(1);
  expect(lists).toEqual([]);
  zooKeeper.names = ['n1:1'];
  zooKeeper.reachable = true;
  await shows(lists, ['n1:1']);
});

test('a ZooKeeper that hangs while it takes itself for connected is left for a new session', async () => {
  const zooKeeper = new FakeZooKeeper();
  zooKeeper.hangs = true;
  const { lists } = await discover(zooKeeper, { sessionTimeoutMs: 1_000 });
  await until('it has begun anew', () => zooKeeper.sessions.length >= 2);
  zooKeeper.hangs = false;
  zooKeeper.names = ['n1:1'];
  await shows(lists, ['n1:1']);
});

test('no server has ever registered: it is said, and looked for until one has', async () => {
  const zooKeeper = new FakeZooKeeper();
  zooKeeper.names = undefined;
  const { lists, discovery } = await discover(zooKeeper, { sessionTimeoutMs: 1_000 });
  await until('it has looked', () => zooKeeper.listed.length > 3);
  expect(discovery.trouble).toBe('no server has registered yet');
  zooKeeper.names = ['n1:1'];
  await shows(lists, ['n1:1']);
  expect(zooKeeper.sessions).toHaveLength(1);
});

test('closed: the session ends, and nothing is told any more', async () => {
  const zooKeeper = new FakeZooKeeper();
  const { lists, discovery } = await discover(zooKeeper);
  await until('it is watched', () => zooKeeper.watches === 1);
  zooKeeper.hangs = true;
  zooKeeper.change(['n1:1']);
  await until('it is being asked', () => zooKeeper.listed.length === 2);
  const told = lists.length;
  await discovery.close();
  await discovery.close();
  expect(zooKeeper.session.state).toBe('ended');
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(lists).toHaveLength(told);
  expect(zooKeeper.sessions).toHaveLength(1);
});

test.each(['', 'x', '/', '/a//b', '/a b'])('root %j is refused', async (root) => {
  await expect(discover(new FakeZooKeeper(), { root })).rejects.toMatchObject({ code: 'bad-request' });
});
