/** Sweeping on real Kafka: what has been gone for long leaves the nodes, then the topic, and does not come back with a node that was away. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import { call, get, put, remove } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { createTopic, differences, newName, settled } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';
import { v1Get } from './v1-calls.ts';

afterEach(cleanUp);

/** A broker of its own: the cleaner of the shared one has the topics of all other tests to look after. */
let kafka: KafkaService;
let brokers: readonly string[];
beforeAll(async () => {
  kafka = await startKafka({ config: { 'log.cleaner.backoff.ms': '200', 'log.retention.check.interval.ms': '1000' } });
  brokers = kafka.brokers;
});
afterAll(() => kafka?.stop());

const graceMs = 4_000;
/** The broker looks every 200 ms for something to clean; small segments let it. */
const cleaned = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'min.compaction.lag.ms': String(graceMs),
  'min.cleanable.dirty.ratio': '0.001',
  'segment.ms': '200',
};
const partitions = 2;
/** What the newest segments hold, which are not cleaned: the writes of this test's own last looks, and tombstones that are kept for a while. */
const mostLeft = 200;
/** Genesis, and a barrier of each partition. */
const mostOwn = 1 + partitions;

async function newTopic(retentionMs: number): Promise<{ topic: string; settings: Record<string, string> }> {
  const topic = newName('sweeping');
  await createTopic(brokers, topic, partitions, { ...cleaned, 'delete.retention.ms': String(retentionMs) });
  const settings = { BROKER_LIST: brokers.join(','), KAFKA_TOPIC: topic, BITACORA_SWEEP_GRACE: String(graceMs), PEER_READS: 'never' };
  return { topic, settings };
}

const keysOf = (what: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${what}-${i}`);

const putFor = ({ url }: NodeProcess, key: string, ttl: string) => call(url, 'PUT', `/v1/kv/${key}?ttl=${ttl}`, { body: 'value' });
const v1Node = ({ url }: NodeProcess) => call(url, 'GET', '/v1/node');

test('deleted and expired keys leave the nodes; one that was away all that time comes back and agrees', async () => {
  const { topic, settings } = await newTopic(24 * 3_600_000);
  const [one, two, away] = (await Promise.all([1, 2, 3].map(async () => startNode(await newPlace(), settings)))) as [
    NodeProcess,
    NodeProcess,
    NodeProcess,
  ];
  for (const node of [one, two, away]) await node.ready();
  const [deleted, expired, kept] = [keysOf('deleted', 60), keysOf('expired', 20), keysOf('kept', 20)];
  await inParallel([...deleted, ...kept], 16, (key) => put(one, key, 'value'));
  await settled(brokers, topic, [one, two, away]);
  await away.end();

  await inParallel(deleted, 16, async (key) => expect((await remove(two, key)).status).toBe(200));
  await inParallel(expired, 16, async (key) => expect((await putFor(two, key, '1s')).status).toBe(200));
  expect((await one.status()).entries).toBeGreaterThanOrEqual(100);
  for (const node of [one, two]) await until('only what lives is held', async () => (await node.status()).entries <= kept.length + mostOwn);
  const swept = async (kind: string) =>
    (await Promise.all([one, two].map((node) => node.metric('bitacora_swept_total', `kind="${kind}"`)))).reduce((a, b) => a + b);
  expect(await swept('deleted')).toBeGreaterThanOrEqual(deleted.length);
  expect(await swept('expired')).toBeGreaterThanOrEqual(expired.length);
  expect(await one.metric('bitacora_sweep_last_pass_timestamp_seconds')).toBeGreaterThan(Date.now() / 1_000 - 60);
  const report = JSON.parse((await v1Node(one)).body) as { entries: number };
  expect(report.entries).toBe(await one.metric('bitacora_keys'));

  const back = startNode(away, settings);
  await back.ready();
  // Where the delete is compacted away already, the node is in doubt for some seconds: it says so, or that the key is gone, and never the value.
  await inParallel(deleted, 16, async (key) => expect([404, 503], key).toContain((await v1Get(back, key)).status));
  for (const key of deleted) await until(`${key} is gone`, async () => (await get(back, key)).status === 404, 60_000);
  for (const key of kept) expect((await get(back, key)).status, key).toBe(200);
  await settled(brokers, topic, [one, two, back]);
  expect(await differences([one, two, back], [...deleted, ...expired, ...kept])).toEqual([]);
  for (const node of [one, two, back])
    await until('nothing of them is left', async () => (await node.status()).entries <= kept.length + mostOwn, 60_000);
}, 180_000);

test('endless deletes and deadlines beside a few live keys: neither the nodes nor the topic grow', async () => {
  const { settings } = await newTopic(2_000);
  const [one, two] = (await Promise.all([1, 2].map(async () => startNode(await newPlace(), settings)))) as [NodeProcess, NodeProcess];
  for (const node of [one, two]) await node.ready();
  const live = keysOf('live', 5);
  const keepLive = () => inParallel(live, 8, (key) => put(one, key, String(Date.now())));
  let written = 0;
  let most = 0;
  const began = performance.now();
  for (let round = 0; performance.now() - began < 4 * graceMs; round++) {
    await keepLive();
    await inParallel(keysOf(`round-${round}`, 20), 16, async (key) => {
      await put(one, key, 'value');
      await remove(two, key);
      await putFor(one, `${key}-expiring`, '500ms');
    });
    written += 60 + live.length;
    most = Math.max(most, (await two.status()).entries);
  }
  for (const node of [one, two]) await until('only what lives is held', async () => (await node.status()).entries <= live.length + mostOwn);
  expect(most).toBeGreaterThan(live.length);
  expect(written).toBeGreaterThan(600);

  // A node that begins with nothing reads what is left of the topic, and counts it.
  await until(
    'the topic holds little more than what lives',
    async () => {
      // The cleaner leaves the newest segment of a partition alone: these make new ones.
      for (let i = 0; i < 5; i++) await keepLive();
      const fresh = startNode(await newPlace(), settings);
      await fresh.ready();
      const { records_applied: records, entries } = await fresh.status();
      expect(entries).toBeLessThanOrEqual(live.length + mostOwn);
      await fresh.end();
      if (records <= mostLeft) return true;
      throw new Error(`${records} records of ${written}`);
    },
    150_000,
  );
}, 240_000);
