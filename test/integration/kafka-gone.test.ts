/** Kafka killed and, much later, there again: reads go on, writes are refused or of unknown fate, nothing is falsely acknowledged. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import { call, codeIn, found, get, put, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, differences, knows, settled, startNodes } from './cluster.ts';
import { inParallel, Ledger } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

let kafka: KafkaService;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await cleanUp();
  await kafka?.stop();
});

test('a node that is told to go while Kafka is frozen goes all the same, in bounded time', async () => {
  const settings = clusterSettings(kafka.brokers, inject('zookeeperHosts'));
  const [node] = (await startNodes(1, settings)) as [NodeProcess];
  await put(node, 'k', 'v');
  await kafka.pause();
  // The node's word to go on with the body tells that the request is begun there.
  const hanging = request(`${node.url}/rpc?key=in%20flight&value=x`, { method: 'POST', agent: false, headers: { expect: '100-continue' } });
  const answered = once(hanging, 'response') as Promise<[IncomingMessage]>;
  hanging.flushHeaders();
  await once(hanging, 'continue');
  hanging.end();
  const began = performance.now();
  const { code } = await node.end('SIGTERM');
  const seconds = (performance.now() - began) / 1_000;
  await kafka.resume();
  expect(code).toBe(0);
  // The longest wait for what is in flight, and a few seconds for closing what does not answer.
  expect(seconds).toBeLessThan(25);
  process.stdout.write(`SIGTERM while Kafka is frozen: gone after ${seconds.toFixed(1)} s\n`);
  // It was answered for all that, and not with an acknowledgement: nobody had the write.
  expect([503, 504]).toContain((await answered)[0].statusCode);
}, 60_000);

test('Kafka goes under writes and comes back', async () => {
  const settings = { ...clusterSettings(kafka.brokers, inject('zookeeperHosts')), BITACORA_WRITE_TIMEOUT: '1000' };
  const nodes = await startNodes(3, settings);
  const [one, two, third] = nodes as [NodeProcess, NodeProcess, NodeProcess];
  const ledger = new Ledger();
  const before = Array.from({ length: 50 }, (_, i) => `before-${i}`);
  await inParallel(before, 16, (key) => ledger.write(one, key, 'there'));
  await settled(kafka.brokers, settings.KAFKA_TOPIC, nodes);

  // Killed under load.
  let gone = false;
  const lane = async (node: NodeProcess, name: string): Promise<void> => {
    for (let i = 0; !gone; i++) await ledger.write(node, `${name}-${i}`, `${i}`);
  };
  const lanes = nodes.flatMap((node) => Array.from({ length: 4 }, (_, i) => lane(node, `${node.port}-${i}`)));
  await until('a load', () => ledger.counts.done > 300);
  await kafka.kill();
  await until('a write that is not taken', () => ledger.counts.refused + ledger.counts.unknown > 0);
  gone = true;
  await Promise.all(lanes);

  // Reads go on and tell the lag; the node stays ready, or a balancer would empty.
  for (const node of nodes) {
    expect(await valueAt(node, 'before-0')).toBe('there');
    const lag = async () => Number((await get(node, 'before-1')).headers['bitacora-lag-ms']);
    const first = await until('a lag is told', async () => (await lag()) || false);
    await until('the lag grows', async () => (await lag()) > first);
    await until('no writes here', async () => (await call(node.url, 'GET', '/readyz/write')).status === 503);
    expect((await call(node.url, 'GET', '/readyz')).status).toBe(200);
    expect((await call(node.url, 'GET', '/health')).status).toBe(200);
    expect(await node.metric('bitacora_log_connected')).toBe(0);
    expect((await get(node, 'nowhere')).status).toBe(404);
  }
  // Kafka is certainly gone, so what is refused now was never sent.
  const away = nodes.flatMap((node) => [0, 1, 2].map((i) => ({ node, key: `away-${i}-${node.port}` })));
  await inParallel(away, away.length, async ({ node, key }) => {
    const answer = await put(node, key, 'x');
    ledger.note(key, 'x', 'refused');
    expect(answer.status).toBe(503);
    expect(codeIn(answer)).toBe('log-unavailable');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });
  // A node that is started now serves what it has, and is not ready; one that has nothing yet says so.
  await third.end('SIGKILL');
  const back = startNode(third, settings);
  await back.said('node.listening');
  await until('the old state is served', async () => (await valueAt(back, 'before-0')) === 'there');
  expect((await call(back.url, 'GET', '/readyz')).status).toBe(503);
  expect((await call(back.url, 'GET', '/health')).body).toBe('DOWN');
  expect(Number((await get(back, 'before-0')).headers['bitacora-lag-ms'])).toBeGreaterThan(0);
  const fresh = startNode(await newPlace(), { ...settings, EXTERNAL_REQUEST_TIMEOUT: '5000' });
  expect((await fresh.said('log.unavailable')).level).toBe('warn');
  // It has nothing of its own, and does not pretend to know; the others do know.
  await knows(fresh, 3);
  expect(found(await get(fresh, 'before-0'))).toMatchObject({ value: 'there', source: 2 });
  const miss = await get(fresh, 'nowhere');
  expect(miss.status).toBe(404);
  expect(Number(miss.headers['bitacora-lag-ms'])).toBeGreaterThan(0);
  expect((await call(fresh.url, 'GET', '/readyz')).status).toBe(503);
  expect((await put(fresh, 'to a fresh one', 'x')).status).toBe(503);

  await kafka.restart();
  const now = [one, two, back, fresh];
  const began = performance.now();
  const goodAfter = await Promise.all(
    now.map(async (node) => {
      const write = async () => (await ledger.write(node, `good-${node.port}-${performance.now()}`, 'x')) === 'done';
      await until('a good write', write, 60_000);
      return Math.round(performance.now() - began);
    }),
  );
  process.stdout.write(`first good write after the restart of Kafka, ms: ${goodAfter.join(' ')}\n`);
  for (const node of now) {
    await node.ready(60_000);
    expect((await call(node.url, 'GET', '/readyz/write')).status).toBe(200);
  }
  for (const node of now) expect(await node.metric('bitacora_store_rebuilds_total')).toBe(0);
  await settled(kafka.brokers, settings.KAFKA_TOPIC, now);
  for (const node of now) expect(await ledger.wrongAt((key) => valueAt(node, key))).toEqual([]);
  expect(await differences(now, [...ledger.keys, 'to a fresh one'])).toEqual([]);
  expect((await get(one, 'to a fresh one')).status).toBe(404);
  await until('no lag any more', async () => (await get(one, 'before-1')).headers['bitacora-lag-ms'] === '0');
}, 180_000);
