/** The topic deleted and made again under the same name: noticed, and the local state made anew from it. */
import { afterEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { get, put, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { createTopic, newName, produce, settled, withAdmin } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

const partitions = 2;
const oldKeys = Array.from({ length: 30 }, (_, i) => `old-${i}`);
const compacted = { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime', 'min.compaction.lag.ms': '3600000' };

/** Deletes the topic, makes it again, and writes so many records into it, all at once. */
async function recreate(topic: string, records: number): Promise<void> {
  const brokers = inject('brokers');
  await withAdmin(brokers, async (admin) => {
    await admin.deleteTopics({ topics: [topic] });
    await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic));
  });
  // A node that runs and misses the topic may be the first to make it again.
  await createTopic(brokers, topic, partitions, compacted);
  const keys = Array.from({ length: records }, (_, i) => `new-${i}`);
  await until('the records are taken', async () => {
    await produce(
      brokers,
      topic,
      keys.map((key) => ({ partition: partitionOf(bytesOf(key), partitions), key, value: 'new' })),
    );
    return true;
  });
}

async function filled(topic: string): Promise<NodeProcess> {
  const node = startNode(await newPlace(), {
    BROKER_LIST: inject('brokers').join(','),
    KAFKA_TOPIC: topic,
    BITACORA_PARTITIONS: String(partitions),
  });
  await node.ready();
  await inParallel(oldKeys, 8, (key) => put(node, key, 'old'));
  await until('the topic has its identity', async () => (await node.status()).genesis !== null);
  await settled(inject('brokers'), topic, [node]);
  return node;
}

async function isMadeAnew(node: NodeProcess, topic: string, oldGenesis: string | null): Promise<void> {
  const line = await node.said('store.rebuild', 60_000);
  expect(line).toMatchObject({ level: 'error', code: 'log-changed' });
  await until('the new keys', async () => (await valueAt(node, 'new-0')) === 'new', 60_000);
  await node.ready(60_000);
  await settled(inject('brokers'), topic, [node]);
  for (const key of oldKeys) expect((await get(node, key)).status, key).toBe(404);
  expect(await node.metric('bitacora_store_rebuilds_total', 'reason="log-changed"')).toBeGreaterThanOrEqual(1);
  await until('the new identity', async () => {
    const { genesis } = await node.status();
    return genesis !== null && genesis !== oldGenesis;
  });
  expect((await put(node, 'old-0', 'written again')).status).toBe(200);
  expect(await valueAt(node, 'old-0')).toBe('written again');
}

// Shorter than the old one, the topic ends before the checkpoint; longer, only its identity tells it apart.
test.each([
  { what: 'shorter', records: 5 },
  { what: 'longer', records: 400 },
])(
  'while a node runs, and the new topic is $what',
  async ({ records }) => {
    const topic = newName('again');
    const node = await filled(topic);
    const { genesis } = await node.status();
    await recreate(topic, records);
    await isMadeAnew(node, topic, genesis);
  },
  120_000,
);

test.each([
  { what: 'shorter', records: 5 },
  { what: 'longer', records: 400 },
])(
  'while a node is stopped, and the new topic is $what',
  async ({ records }) => {
    const topic = newName('again');
    const node = await filled(topic);
    const { genesis } = await node.status();
    await node.end();
    await recreate(topic, records);
    const back = startNode(node, {
      BROKER_LIST: inject('brokers').join(','),
      KAFKA_TOPIC: topic,
      BITACORA_PARTITIONS: String(partitions),
    });
    await isMadeAnew(back, topic, genesis);
  },
  120_000,
);
