/** Several nodes on one topic, and what can be said of all of them together. */
import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { getOwn } from './calls.ts';
import { inParallel } from './ledger.ts';
import { type Environment, type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

/** A name that no other test has. */
export const newName = (what: string): string => `${what}-${randomUUID().slice(0, 8)}`;

/** The settings of a cluster: its own topic, its own place in ZooKeeper. */
export interface ClusterSettings extends Environment {
  readonly KAFKA_TOPIC: string;
  readonly BITACORA_ZOOKEEPER_ROOT: string;
}

export function clusterSettings(brokers: readonly string[], zooKeeperHosts: string, name = newName('it')): ClusterSettings {
  return { BROKER_LIST: brokers.join(','), ZOOKEEPER_HOSTS: zooKeeperHosts, KAFKA_TOPIC: name, BITACORA_ZOOKEEPER_ROOT: `/${name}` };
}

/** Starts nodes and waits until they are ready and know one another. */
export async function startNodes(count: number, settings: Environment): Promise<NodeProcess[]> {
  const places = await Promise.all(Array.from({ length: count }, newPlace));
  const nodes = places.map((place) => startNode(place, settings));
  await Promise.all(nodes.map((node) => node.ready()));
  await Promise.all(nodes.map((node) => knows(node, count - 1)));
  return nodes;
}

/** The node is registered and sees so many others. */
export async function knows(node: NodeProcess, others: number, limitMs?: number): Promise<void> {
  const what = `${node.address} knows ${others} others`;
  await until(what, async () => (await node.metric('bitacora_members', 'state="joined"')) === others, limitMs);
  // With nobody else there, only the log line tells a node that is registered from one that is not yet.
  if (others === 0) await node.said('membership.joined', limitMs);
}

export const kafkaClient = (brokers: readonly string[]): Kafka =>
  new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, requestTimeout: 10_000, retry: { retries: 10, maxRetryTime: 500 } });

export async function withAdmin<T>(brokers: readonly string[], work: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** A topic as other tools make it, or what is there already under its name; resolves when all its partitions are served. */
export async function createTopic(
  brokers: readonly string[],
  topic: string,
  partitions: number,
  config: Readonly<Record<string, string>>,
): Promise<void> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await withAdmin(brokers, async (admin) => {
    // kafkajs's own wait for leaders fails as long as the broker has not heard of the topic that it has just made.
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: partitions, configEntries }] });
    await until(`${topic} is served`, async () => (await admin.fetchTopicOffsets(topic)).length === partitions);
  });
}

/** The ends of a topic as the broker tells them. */
export async function endsOf(brokers: readonly string[], topic: string): Promise<number[]> {
  const offsets = await withAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic));
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high));
}

/** All nodes have applied the log to its end. */
export async function settled(brokers: readonly string[], topic: string, nodes: readonly NodeProcess[]): Promise<void> {
  await until(
    'all nodes at the end of the log',
    async () => {
      const ends = JSON.stringify(await endsOf(brokers, topic));
      const applied = await Promise.all(nodes.map(async (node) => JSON.stringify((await node.status()).applied)));
      if (applied.every((each) => each === ends)) return true;
      throw new Error(`ends ${ends}, applied ${applied.join(' ')}`);
    },
    60_000,
  );
}

/**
 * Keys of which the nodes do not hold the same: value, uuid, timestamp, deadline, version, or absence. How far each has applied the log is
 * left out: even a quiet cluster may state a key meanwhile.
 */
export async function differences(nodes: readonly NodeProcess[], keys: readonly string[]): Promise<string[]> {
  const different: string[] = [];
  await inParallel(keys, 16, async (key) => {
    const answers = await Promise.all(nodes.map((node) => getOwn(node, key)));
    const told = answers.map(({ status, body }) => `${status} ${body.trim()}`);
    if (new Set(told).size > 1) different.push(told.join(' | '));
  });
  return different;
}

export interface RawRecord {
  readonly partition: number;
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: Record<string, string>;
}

/** Writes records as another producer would. */
export async function produce(brokers: readonly string[], topic: string, records: readonly RawRecord[]): Promise<void> {
  const producer = kafkaClient(brokers).producer();
  await producer.connect();
  try {
    await producer.send({ topic, acks: -1, messages: records.map((record) => ({ ...record })) });
  } finally {
    await producer.disconnect();
  }
}
