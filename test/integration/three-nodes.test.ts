/** Three nodes on Kafka and ZooKeeper: what is written to one is read from the others. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { call, found, get, getOwn, put, remove, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, differences, settled, startNodes } from './cluster.ts';
import type { NodeProcess } from './node-process.ts';
import { until } from './until.ts';

let nodes: NodeProcess[];
let topic: string;
beforeAll(async () => {
  // The peers have long enough to answer also on a machine that is busy with everything else.
  const settings = { ...clusterSettings(inject('brokers'), inject('zookeeperHosts')), EXTERNAL_REQUEST_TIMEOUT: '5000' };
  topic = settings.KAFKA_TOPIC;
  nodes = await startNodes(3, settings);
});
afterAll(cleanUp);

const [one, two, three] = [0, 1, 2].map((i) => () => nodes[i] as NodeProcess) as [() => NodeProcess, () => NodeProcess, () => NodeProcess];

test('a key written through one node is found on the others at once, and then in their own state', async () => {
  for (const [writer, key] of [
    [one(), 'plain'],
    [two(), 'with spaces & signs = ?'],
    [three(), 'señor/ñ/日本'],
  ] as const) {
    const written = await put(writer, key, `value of ${key}`);
    expect(written.status).toBe(200);
    expect(written.headers['bitacora-position']).toMatch(/^\d+:\d+$/);
    for (const node of nodes) {
      const answer = await get(node, key);
      expect(found(answer)).toMatchObject({ key, value: `value of ${key}`, ttl: 0 });
      expect(answer.headers['bitacora-node']).toBe(node.address);
      await until('the key is in the own state', async () => found(await get(node, key)).source === 1);
      const own = await getOwn(node, key);
      expect(found(own).version).toBe(written.headers['bitacora-position']);
      expect(own.headers['bitacora-applied']).toMatch(/^\d+:\d+$/);
    }
  }
});

test('a value that is written again through another node is the newer one everywhere', async () => {
  await put(one(), 'twice', 'first');
  await put(two(), 'twice', 'second');
  for (const node of nodes) await until('the newer value', async () => (await valueAt(node, 'twice')) === 'second');
});

test('a form may carry the value', async () => {
  const body = new URLSearchParams({ key: 'from a form', value: 'a & b' }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  expect((await call(two().url, 'POST', '/rpc', { headers, body })).status).toBe(200);
  for (const node of nodes) await until('the value of the form', async () => (await valueAt(node, 'from a form')) === 'a & b');
});

test('a delete is seen everywhere, also of what was never there', async () => {
  await put(one(), 'short-lived', 'x');
  for (const node of nodes) await until('the key', async () => (await valueAt(node, 'short-lived')) === 'x');
  expect((await remove(three(), 'short-lived')).status).toBe(200);
  expect((await remove(two(), 'never there')).status).toBe(200);
  for (const node of nodes) {
    await until('the key is gone', async () => (await get(node, 'short-lived')).status === 404);
    expect((await get(node, 'never there')).status).toBe(404);
    const own = await getOwn(node, 'short-lived');
    expect(own.status).toBe(404);
    expect(own.headers['bitacora-applied']).toMatch(/^\d+:\d+$/);
  }
  await put(two(), 'short-lived', 'again');
  for (const node of nodes) await until('the key is back', async () => (await valueAt(node, 'short-lived')) === 'again');
});

test('what a node says of itself to the others: the same on all, by GET and by HEAD', async () => {
  await put(one(), 'for all', 'the same');
  await settled(inject('brokers'), topic, nodes);
  expect(await differences(nodes, ['for all', 'twice', 'short-lived', 'never there', 'unheard of'])).toEqual([]);
  const genesis = new Set(await Promise.all(nodes.map(async (node) => (await node.status()).genesis)));
  expect(genesis.size).toBe(1);
  for (const node of nodes) {
    const head = await call(node.url, 'HEAD', '/rpc/cluster?key=for%20all');
    expect(head.status).toBe(200);
    expect(head.body).toBe('');
    expect(head.headers['bitacora-genesis']).toBe([...genesis][0]);
    expect((await call(node.url, 'HEAD', '/rpc/cluster?key=nothing')).status).toBe(404);
    expect((await call(node.url, 'GET', '/health')).body).toBe('OK');
  }
});
