/** Peers that disagree about a key that is missing here: the furthest position wins, absence included. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { found, get, getOwn, put, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { newName } from './cluster.ts';
import { type FakePeer, startFakePeer } from './fake-peer.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';

const timeoutMs = 1_000;
const nothing = { applied: '0:0' };

let node: NodeProcess;
let peers: FakePeer[];
/** The node's own position: it has applied everything before. */
let own: number;
beforeAll(async () => {
  peers = await Promise.all([1, 2, 3].map(() => startFakePeer(nothing)));
  node = startNode(await newPlace(), {
    BROKER_LIST: inject('brokers').join(','),
    KAFKA_TOPIC: newName('peers'),
    BITACORA_PARTITIONS: '1',
    BITACORA_MEMBERS: peers.map(({ address }) => address).join(','),
    EXTERNAL_REQUEST_TIMEOUT: String(timeoutMs),
  });
  await node.ready();
  // Past the records by which the topic gets its identity.
  for (let i = 0; i < 20; i++) await put(node, `filler-${i}`, 'x');
  own = Number((await getOwn(node, 'missing')).headers['bitacora-applied']?.toString().split(':')[1]);
});
afterAll(cleanUp);

const [a, b, c] = [0, 1, 2].map((i) => () => peers[i] as FakePeer) as [() => FakePeer, () => FakePeer, () => FakePeer];

test('the furthest position wins, whatever the times say', async () => {
  a().says({ applied: `0:${own + 100}`, value: 'older', version: `0:${own + 5}`, timestamp: 2_000_000_000_000 });
  b().says({ applied: `0:${own + 200}`, value: 'newer', version: `0:${own + 150}`, timestamp: 1_000 });
  c().says({ applied: `0:${own + 150}`, value: 'between', version: `0:${own + 120}`, timestamp: 3_000 });
  expect(found(await get(node, 'k1'))).toMatchObject({ value: 'newer', source: 2 });
});

test('absence wins too: a stale peer does not bring back what was deleted', async () => {
  a().says({ applied: `0:${own + 100}`, value: 'deleted since', version: `0:${own + 5}` });
  b().says({ applied: `0:${own + 200}` });
  c().says({ applied: `0:${own + 1}`, value: 'deleted since', version: `0:${own}` });
  expect((await get(node, 'k2')).status).toBe(404);
  a().says({ applied: `0:${own + 300}`, value: 'written again', version: `0:${own + 250}` });
  expect(await valueAt(node, 'k2')).toBe('written again');
});

test('an answer that is not beyond the own position says nothing', async () => {
  for (const peer of peers) peer.says({ applied: `0:${own}`, value: 'no news', version: `0:${own - 1}` });
  expect((await get(node, 'k3')).status).toBe(404);
  a().says({ applied: `0:${own + 1}`, value: 'news', version: `0:${own}` });
  expect(await valueAt(node, 'k3')).toBe('news');
});

test('an answer from another log is worthless', async () => {
  for (const peer of peers) peer.says({ applied: `0:${own + 900}`, value: 'elsewhere', version: `0:${own}`, genesis: 'of another topic' });
  expect((await get(node, 'k4')).status).toBe(404);
});

test('a value past its deadline is absent', async () => {
  for (const peer of peers) peer.says({ applied: `0:${own + 900}`, value: 'over', version: `0:${own}`, ttl: 1_000 });
  expect((await get(node, 'k5')).status).toBe(404);
});

test('older nodes tell no position: the latest of them counts, and only when nobody tells one', async () => {
  // Beyond 32 bits, and in an order that 32 bits would turn round.
  a().says({ value: 'earlier', timestamp: 1_700_000_000_000 });
  b().says({ value: 'later', timestamp: 1_703_000_000_000 });
  c().says(nothing);
  expect(found(await get(node, 'k6'))).toMatchObject({ value: 'later', source: 2 });
  c().says({ applied: `0:${own + 10}` });
  expect((await get(node, 'k6')).status).toBe(404);
});

test('a peer that hangs costs the time limit and no more, and the others count', async () => {
  a().says('hang');
  b().says({ applied: `0:${own + 200}`, value: 'from b', version: `0:${own + 150}` });
  c().says({ applied: `0:${own + 100}`, value: 'from c', version: `0:${own + 50}` });
  const began = performance.now();
  expect(await valueAt(node, 'k7')).toBe('from b');
  const spent = performance.now() - began;
  expect(spent).toBeGreaterThan(timeoutMs - 50);
  expect(spent).toBeLessThan(timeoutMs + 1_000);
});

test("a peer's answer is never stored", async () => {
  for (const peer of peers) peer.says({ applied: `0:${own + 200}`, value: 'from a peer', version: `0:${own + 150}` });
  for (let i = 0; i < 3; i++) expect(found(await get(node, 'k8'))).toMatchObject({ value: 'from a peer', source: 2 });
  expect((await getOwn(node, 'k8')).status).toBe(404);
  for (const peer of peers) peer.says(nothing);
  for (const key of ['k1', 'k2', 'k3', 'k6', 'k7', 'k8']) expect((await get(node, key)).status).toBe(404);
  expect(peers.every(({ asked }) => asked.includes('k8'))).toBe(true);
});
