/** Conditional writes through three nodes on a real log: every increment counts once, whatever dies. */
import { randomUUID } from 'node:crypto';
import { afterEach, expect, inject, test } from 'vitest';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, kafkaClient, settled, startNodes } from './cluster.ts';
import { type NodeProcess, startNode } from './node-process.ts';
import { until } from './until.ts';
import { v1Get, v1Put, versionIn } from './v1-calls.ts';

afterEach(cleanUp);

const perClient = 60;

test('five clients count to the number of their acknowledged increments, though a node is killed and comes back', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const nodes = (await startNodes(3, settings)) as [NodeProcess, NodeProcess, NodeProcess];
  const victim = nodes[2];
  expect((await v1Put(nodes[0], 'counter', '0', { 'if-none-match': '*' })).status).toBe(201);
  let acknowledged = 0;
  /** Values whose write has no certain end. */
  const unknown: string[] = [];
  let conflicts = 0;

  const client = async (number: number): Promise<void> => {
    for (let i = 0, done = 0; done < perClient; i++) {
      const node = nodes[(number + i) % nodes.length] as NodeProcess;
      const read = await v1Get(node, 'counter').catch(() => undefined);
      if (read?.status !== 200) continue;
      // Told apart by who wrote it, so that a write of unknown fate can be looked for in the log.
      const value = `${Number.parseInt(read.body, 10) + 1} ${number}/${i}`;
      const written = await v1Put(node, 'counter', value, { 'if-match': `"${versionIn(read)}"` }).catch(() => undefined);
      if (written?.status === 200) {
        acknowledged++;
        done++;
      } else if (written === undefined || written.status === 504 || written.status === 500) unknown.push(value);
      else if (written.status === 412) conflicts++;
      else expect([503, 412]).toContain(written.status);
    }
  };
  const clients = Promise.all([0, 1, 2, 3, 4].map(client));
  clients.catch(() => undefined);
  await until('some increments', async () => acknowledged > 40);
  victim.signal('SIGKILL');
  await victim.exit;
  await until('increments without it', async () => acknowledged > 120);
  nodes[2] = startNode(victim, settings);
  await nodes[2].ready();
  await clients;
  await settled(inject('brokers'), settings.KAFKA_TOPIC, nodes);

  const values = await Promise.all(nodes.map(async (node) => (await v1Get(node, 'counter', '?consistency=linearizable')).body));
  expect(new Set(values).size).toBe(1);
  // What of the unknown took effect, the log tells: it is what the next increments were built on.
  const lasting = await valuesThatLasted(settings.KAFKA_TOPIC);
  const counted = unknown.filter((value) => lasting.has(value)).length;
  expect(Number.parseInt(values[0] as string, 10)).toBe(acknowledged + counted);
  expect(acknowledged).toBe(5 * perClient);
  expect(conflicts).toBeGreaterThan(0);
}, 180_000);

/** All values that the counter really had: of the conditional records those whose condition held, one after another. */
async function valuesThatLasted(topic: string): Promise<ReadonlySet<string>> {
  const records = await recordsOf(topic, 'counter');
  const lasting = new Set<string>();
  let version = 'absent';
  for (const { offset, value, op, expected } of records) {
    if (op !== 'c' || expected !== version) continue;
    lasting.add(value);
    version = offset;
  }
  return lasting;
}

interface Seen {
  readonly offset: string;
  readonly value: string;
  readonly op: string;
  readonly expected: string;
}

async function recordsOf(topic: string, key: string): Promise<Seen[]> {
  const seen: Seen[] = [];
  const consumer = kafkaClient(inject('brokers')).consumer({ groupId: randomUUID() });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let last = 0;
  const done = new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: async ({ message: { key: bytes, value, headers, offset } }) => {
        if (bytes?.toString() === 'end of the test') resolve();
        if (bytes?.toString() !== key) return;
        last++;
        seen.push({ offset, value: String(value), op: String(headers?.['op'] ?? ''), expected: String(headers?.['if'] ?? '') });
      },
    });
  });
  const producer = kafkaClient(inject('brokers')).producer();
  await producer.connect();
  // To the partition of the key, behind all that is there.
  const partition = (await partitionFor(topic, key)) as number;
  await producer.send({ topic, messages: [{ key: 'end of the test', value: '', partition }] });
  await producer.disconnect();
  await done;
  await consumer.disconnect();
  expect(last).toBeGreaterThan(0);
  return seen;
}

async function partitionFor(topic: string, key: string): Promise<number> {
  const { partitionOf } = await import('../../src/core/partitioner.ts');
  const admin = kafkaClient(inject('brokers')).admin();
  await admin.connect();
  const { length } = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return partitionOf(Buffer.from(key), length);
}

test('an idempotency key that is sent again to another node, because the first was killed, gets the first answer', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const [one, two] = (await startNodes(2, settings)) as [NodeProcess, NodeProcess];
  const written = await v1Put(one, 'k', 'a', { 'if-none-match': '*', 'idempotency-key': 'first' });
  expect(written.status).toBe(201);
  const refused = await v1Put(one, 'k', 'b', { 'if-none-match': '*', 'idempotency-key': 'second' });
  expect(refused.status).toBe(412);
  one.signal('SIGKILL');
  await one.exit;
  const later = await v1Put(two, 'k', 'c');
  expect(later.status).toBe(200);
  const again = await v1Put(two, 'k', 'a', { 'if-none-match': '*', 'idempotency-key': 'first' });
  expect([again.status, versionIn(again)]).toEqual([201, versionIn(written)]);
  expect((await v1Get(two, 'k')).body).toBe('c');
  // A conflict that was found without a record is no answer that the log remembers: it is looked at anew.
  expect((await v1Put(two, 'k', 'b', { 'if-none-match': '*', 'idempotency-key': 'second' })).status).toBe(412);
  // What the key remembers survives the node that gives the answer.
  two.signal('SIGKILL');
  await two.exit;
  const back = startNode(two, settings);
  await back.ready();
  const third = await v1Put(back, 'k', 'a', { 'if-none-match': '*', 'idempotency-key': 'first' });
  expect([third.status, versionIn(third)]).toEqual([201, versionIn(written)]);
}, 120_000);
