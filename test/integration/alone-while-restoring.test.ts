/** A node that restores with nobody to ask: what it cannot know yet it does not pretend to know. And one that cannot reach Kafka says whom it asked. */
import { createServer } from 'node:net';
import { afterEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { call, codeIn } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { createTopic, newName, produce } from './cluster.ts';
import { startKafkaProxy } from './kafka-proxy.ts';
import { newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';
import { v1Get } from './v1-calls.ts';

afterEach(cleanUp);

test('a key that it has not read yet: absent with the lag told, and an error for whoever asks for more', async () => {
  const topic = newName('alone');
  await createTopic(inject('brokers'), topic, 2, { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime' });
  const partition = partitionOf(bytesOf('k'), 2);
  await produce(inject('brokers'), topic, [{ partition, key: 'k', value: 'v' }]);
  const proxy = await startKafkaProxy(inject('brokers')[0] as string);
  proxy.hold();
  const node = startNode(await newPlace(), { BROKER_LIST: proxy.broker, KAFKA_TOPIC: topic, BITACORA_PARTITIONS: '2' });
  await node.said('node.listening');
  const plain = await v1Get(node, 'k');
  expect(plain.status).toBe(404);
  expect(Number(plain.headers['bitacora-lag-ms'])).toBeGreaterThan(0);
  for (const consistency of ['latest', 'linearizable']) {
    const asked = await v1Get(node, 'k', `?consistency=${consistency}`);
    expect([consistency, asked.status, codeIn(asked)]).toEqual([
      consistency,
      503,
      expect.stringMatching(/log-unavailable|position-not-reached/),
    ]);
  }
  const behind = await v1Get(node, 'k', '', { 'bitacora-min-position': `${partition}:0` });
  expect([behind.status, codeIn(behind)]).toEqual([503, 'position-not-reached']);
  expect((await call(node.url, 'GET', '/readyz')).status).toBe(503);
  proxy.release();
  await node.ready(60_000);
  const there = await until('it is read', async () => {
    const answer = await v1Get(node, 'k', '?consistency=latest');
    return answer.status === 200 && answer;
  });
  expect(there.body).toBe('v');
});

test('a broker that is not there: the log names it, with the reason, and the node goes on trying', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const broker = `127.0.0.1:${(server.address() as { port: number }).port}`;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  const node = startNode(await newPlace(), { BROKER_LIST: broker, KAFKA_TOPIC: newName('nowhere') });
  const line = await node.said('log.unavailable');
  expect(line.level).toBe('warn');
  expect(line['reason']).toContain(broker);
  expect(line['reason']).toMatch(/ECONNREFUSED|refused/);
  const status = await node.status();
  expect([status.ready, status.reason]).toEqual([false, expect.stringContaining(broker)]);
});
