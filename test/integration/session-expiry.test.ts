/** A node whose ZooKeeper session has expired is registered again, as it was, and finds the others; one that finds no ZooKeeper serves. */
import { afterEach, expect, inject, test } from 'vitest';
import { startZooKeeper } from '../services/zookeeper.ts';
import { found, get, put, valueAt } from './calls.ts';
import { atCleanUp, cleanUp } from './clean-up.ts';
import { clusterSettings, knows, startNodes } from './cluster.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';
import { dataOf, openEyes } from './zookeeper-eyes.ts';

afterEach(cleanUp);

test('a session that expires while its node is frozen: registered again under the same path, with the same text', async () => {
  const hosts = inject('zookeeperHosts');
  const settings = clusterSettings(inject('brokers'), hosts);
  const [one, frozen] = (await startNodes(2, settings)) as [NodeProcess, NodeProcess];
  const root = settings.BITACORA_ZOOKEEPER_ROOT;
  const path = `${root}/servers/${frozen.address}`;
  const eyes = await openEyes(hosts);
  expect([...(await eyes.children(`${root}/servers`))].sort()).toEqual([one.address, frozen.address].sort());
  expect([...(await eyes.children(`${root}/sockets`))].sort()).toEqual([one.socket, frozen.socket].sort());
  expect(await dataOf(hosts, path)).toBe(frozen.address);
  expect(await dataOf(hosts, `${root}/sockets/${frozen.socket}`)).toBe(frozen.socket);
  const before = await eyes.owner(path);
  expect(before).not.toBe('0');

  await put(one, 'overwritten', 'first');
  await until('the first value', async () => (await valueAt(frozen, 'overwritten')) === 'first');

  frozen.signal('SIGSTOP');
  await until('the session has expired', async () => (await eyes.owner(path)) === undefined, 40_000);
  await knows(one, 0);
  await put(one, 'meanwhile', 'x');
  await put(one, 'overwritten', 'second');
  frozen.signal('SIGCONT');
  // It has slept for longer than it can have known itself at the end of the log: what is old is said to be.
  const waking = await get(frozen, 'overwritten');
  if (found(waking).value !== 'second') expect(Number(waking.headers['bitacora-lag-ms'])).toBeGreaterThan(0);
  await knows(frozen, 1);
  await knows(one, 1);
  const after = await eyes.owner(path);
  expect(after).not.toBe('0');
  expect(after).not.toBe(before);
  expect(await dataOf(hosts, path)).toBe(frozen.address);
  expect([...(await eyes.children(`${root}/sockets`))].sort()).toEqual([one.socket, frozen.socket].sort());
  expect(await eyes.owner(`${root}/sockets/${frozen.socket}`)).toBe(after);
  await until('what was written meanwhile', async () => (await valueAt(frozen, 'meanwhile')) === 'x');
  await frozen.ready();

  await frozen.end('SIGTERM');
  expect(await eyes.owner(path)).toBeUndefined();
}, 90_000);

test('ZooKeeper away at the start, there, away past every session, and there again', async () => {
  const zooKeeper = await startZooKeeper();
  atCleanUp(() => zooKeeper.stop());
  await zooKeeper.kill();
  const settings = clusterSettings(inject('brokers'), zooKeeper.hosts);
  const places = [await newPlace(), await newPlace()];
  const nodes = places.map((place) => startNode(place, settings)) as [NodeProcess, NodeProcess];
  const [one, two] = nodes;
  // They serve, and say what is missing.
  await Promise.all(nodes.map((node) => node.ready()));
  expect((await put(one, 'alone', 'served')).status).toBe(200);
  await until('the key on the other node', async () => (await valueAt(two, 'alone')) === 'served');
  for (const node of nodes) expect((await node.said('membership.unreachable', 40_000)).level).toBe('warn');

  await zooKeeper.restart();
  await Promise.all(nodes.map((node) => knows(node, 1)));
  const eyes = await openEyes(zooKeeper.hosts);
  const paths = nodes.map((node) => `${settings.BITACORA_ZOOKEEPER_ROOT}/servers/${node.address}`);
  const before = await Promise.all(paths.map((path) => eyes.owner(path)));
  expect(before).not.toContain(undefined);

  await zooKeeper.pause();
  await Promise.all(
    nodes.map((node) =>
      until('the node misses ZooKeeper', async () => (await node.metric('bitacora_members', 'state="joining"')) === 1, 40_000),
    ),
  );
  // The members last known stay, reads and writes go on.
  expect((await put(two, 'frozen', 'served')).status).toBe(200);
  await until('the key on the other node', async () => found(await get(one, 'frozen')).value === 'served');
  // Long enough for the nodes to give their sessions up: a server that wakes up earlier may find them alive.
  for (const node of nodes) {
    const saidAgain = () => node.lines.filter(({ event }) => event === 'membership.unreachable').length >= 2;
    await until('the node says again that ZooKeeper is away', saidAgain, 60_000);
  }
  await zooKeeper.resume();
  await Promise.all(nodes.map((node) => knows(node, 1, 60_000)));
  for (const path of paths) {
    await until(`${path} stands and stays`, async () => {
      const owner = await eyes.owner(path);
      return owner !== undefined && owner !== '0' && !before.includes(owner);
    });
  }
  for (const node of nodes) await node.ready();
}, 150_000);
