/** A node that is held behind the log answers from its peers, and says how far behind it is. */
import { afterEach, expect, inject, test } from 'vitest';
import { found, get, getOwn, put, remove } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, knows, startNodes } from './cluster.ts';
import { startKafkaProxy } from './kafka-proxy.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

test('held behind: keys it has not seen come from a peer, until the log brings them', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const [one, two] = (await startNodes(2, settings)) as [NodeProcess, NodeProcess];
  await put(one, 'old', 'first');
  await put(one, 'going', 'still here');
  const proxy = await startKafkaProxy(inject('brokers')[0] as string);
  const late = startNode(await newPlace(), { ...settings, BROKER_LIST: proxy.broker, EXTERNAL_REQUEST_TIMEOUT: '5000' });
  await late.ready();
  await knows(late, 2);
  expect(found(await get(late, 'old')).source).toBe(1);

  proxy.hold();
  await put(one, 'new', 'from the log');
  await put(two, 'old', 'second');
  await put(two, 'not yet', 'x');
  await remove(two, 'not yet');
  const answer = await get(late, 'new');
  expect(found(answer)).toMatchObject({ key: 'new', value: 'from the log', source: 2 });
  expect(answer.headers['bitacora-node']).toBe(late.address);
  expect((await get(late, 'not yet')).status).toBe(404);
  // A peer's answer is never stored: of itself the node still knows nothing of the key.
  expect((await getOwn(late, 'new')).status).toBe(404);
  expect(found(await get(late, 'new')).source).toBe(2);
  expect(await late.metric('bitacora_reads_total', 'source="peer",outcome="hit"')).toBeGreaterThanOrEqual(2);
  // What it has of its own may be old, and then the answer says so.
  const stale = await until('the answer tells the lag', async () => {
    const told = await get(late, 'old');
    return Number(told.headers['bitacora-lag-ms']) > 0 && told;
  });
  expect(found(stale)).toMatchObject({ value: 'first', source: 1 });
  expect((await getOwn(late, 'new')).status).toBe(404);

  proxy.release();
  await until('the log brings the key', async () => found(await get(late, 'new')).source === 1);
  await until('and the newer value', async () => found(await get(late, 'old')).value === 'second');
  expect((await get(late, 'not yet')).status).toBe(404);
  await until('no lag any more', async () => (await get(late, 'old')).headers['bitacora-lag-ms'] === '0');
  await late.ready();
});

test('without peers to ask, a node that is held behind answers of itself alone', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const [one] = (await startNodes(1, settings)) as [NodeProcess];
  const proxy = await startKafkaProxy(inject('brokers')[0] as string);
  const late = startNode(await newPlace(), { ...settings, BROKER_LIST: proxy.broker, PEER_READS: 'never' });
  await late.ready();
  await knows(late, 1);
  proxy.hold();
  await put(one, 'new', 'x');
  expect((await get(late, 'new')).status).toBe(404);
  proxy.release();
  await until('the log brings the key', async () => (await get(late, 'new')).status === 200);
});

test('PEER_READS=behind: the others are asked while the node lags, and not otherwise', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const [one] = (await startNodes(1, settings)) as [NodeProcess];
  const proxy = await startKafkaProxy(inject('brokers')[0] as string);
  const late = startNode(await newPlace(), {
    ...settings,
    BROKER_LIST: proxy.broker,
    PEER_READS: 'behind',
    EXTERNAL_REQUEST_TIMEOUT: '5000',
  });
  await late.ready();
  await knows(late, 1);
  await until('it is at the end', async () => (await get(late, 'missing')).headers['bitacora-lag-ms'] === '0');
  const asked = () => late.metric('bitacora_peer_requests_total');
  const before = await asked();
  expect((await get(late, 'missing')).status).toBe(404);
  expect(await asked()).toBe(before);
  proxy.hold();
  await put(one, 'new', 'x');
  await until('a peer answers', async () => found(await get(late, 'new')).source === 2);
  proxy.release();
  await until('the log brings the key', async () => found(await get(late, 'new')).source === 1);
});
