/** The log on Kafka under the contract, against a real broker of the test file's own: the pause test stops it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type EachBatchPayload, Kafka, logLevel } from 'kafkajs';
import { expect } from 'vitest';
import type { Log, Offset, Partition } from '../../src/ports.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../storage/log/kafka/kafka-log.ts';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import {
  bytes,
  fromStart,
  type LogBounds,
  type LogHarness,
  type LogTopic,
  newRecord,
  o,
  p,
  readAll,
  type TopicSettings,
} from './log-harness.ts';
import { silentLogger } from './silent-logger.ts';

export const timeoutMs = 45_000;
const recordBytes = 20_000;

/** A broker that compacts soon after it may. */
export const startBroker = (): Promise<KafkaService> =>
  startKafka({ config: { 'log.cleaner.backoff.ms': '200', 'log.retention.check.interval.ms': '1000' } });

export function kafkaHarness(kafka: KafkaService): LogHarness {
  return {
    timeoutMs,
    pauses: { times: 8, forMs: 2_600, gapMs: 400 },
    fresh: (settings) => freshTopic(kafka, settings),
  };
}

/** A topic on a broker: what is only there can be done with it by its name. */
export interface KafkaTopic extends LogTopic {
  readonly name: string;
  /** With limits of this log's own. */
  openWith(limits: KafkaLogOptions['limits']): Promise<Log>;
}

export async function freshTopic(kafka: KafkaService, settings: TopicSettings): Promise<KafkaTopic> {
  const topic = `contract-${randomUUID().slice(0, 8)}`;
  if (settings.compacts) await compactingTopic(kafka, topic, settings.partitions);
  const openWith = (limits: KafkaLogOptions['limits'] = {}): Promise<Log> =>
    openKafkaLog({
      topic,
      brokers: kafka.brokers,
      partitions: settings.partitions,
      replication: undefined,
      compactionLagMs: 3_600_000,
      deleteRetentionMs: 7 * 86_400_000,
      recordBytes,
      create: true,
      connection: { brokers: kafka.brokers, clientId: 'contract', tls: false, sasl: undefined },
      node: 'contract',
      logger: silentLogger,
      limits,
    });
  const open = (bounds: LogBounds = {}): Promise<Log> =>
    openWith({
      // Its one broker has no followers to wait for.
      settleMs: 100,
      ...(bounds.maxPendingRecords === undefined ? {} : { queueRecords: bounds.maxPendingRecords }),
      ...(bounds.maxCommitRecords === undefined ? {} : { batchRecords: bounds.maxCommitRecords }),
      ...(bounds.maxStretches === undefined ? {} : { maxStretches: bounds.maxStretches }),
    });
  return {
    name: topic,
    openWith,
    maxRecordBytes: recordBytes + 8 * 1024,
    open,
    compact: () => compact(open),
    batches: (partition) => batchesOf(kafka, topic, partition),
    async recreate() {
      await withAdmin(kafka, async (admin) => {
        await admin.deleteTopics({ topics: [topic] });
        while ((await admin.listTopics()).includes(topic)) await pause(50);
      });
    },
    async interrupt(forMs) {
      await kafka.pause();
      await pause(forMs);
      await kafka.resume();
    },
    async inject(partition, { key, value }) {
      // A compacted topic takes no record without a key; one that was not compacted before may hold some.
      if (key === null) await alterTopic(kafka, topic, { 'cleanup.policy': 'delete' });
      const producer = client(kafka).producer({ allowAutoTopicCreation: false });
      await producer.connect();
      try {
        const messages = [{ partition, key: key && Buffer.from(key), value: value && Buffer.from(value) }];
        const [answer] = await producer.send({ topic, acks: -1, messages });
        return { partition, offset: o(Number(answer?.baseOffset)) };
      } finally {
        await producer.disconnect();
        if (key === null) await alterTopic(kafka, topic, compacted);
      }
    },
    async transact(partition, values, end) {
      const producer = client(kafka).producer({
        ...{ transactionalId: `contract-${randomUUID()}`, idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false },
      });
      await producer.connect();
      const readable = async () =>
        Number((await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic))).find((each) => each.partition === partition)?.high);
      try {
        const before = await readable();
        const transaction = await producer.transaction();
        await transaction.send({ topic, messages: values.map((value) => ({ partition, key: value, value })) });
        await transaction[end]();
        // The broker has answered before the control record is written.
        await expect.poll(readable, { timeout: timeoutMs }).toBe(before + values.length + 1);
      } finally {
        await producer.disconnect();
      }
    },
    async truncate(partition, first) {
      // Nobody removes records of a topic that is compacted.
      await alterTopic(kafka, topic, { 'cleanup.policy': 'delete' });
      await withAdmin(kafka, async (admin) => {
        // kafkajs deletes only where it has heard of the partitions before.
        await admin.fetchTopicOffsets(topic);
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(first) }] });
      });
      await alterTopic(kafka, topic, compacted);
    },
    async remove() {
      await withAdmin(kafka, async (admin) => {
        if ((await admin.listTopics()).includes(topic)) await admin.deleteTopics({ topics: [topic] }).catch(goneAlready);
      });
    },
  };
}

const compacted = { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime' };

/** kafkajs repeats a deletion whose answer came late, and then does not find the topic. */
function goneAlready(error: unknown): void {
  if (!String((error as Error).message).includes('does not host this topic-partition')) throw error;
}

export async function alterTopic(kafka: KafkaService, topic: string, settings: Record<string, string>): Promise<void> {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  await withAdmin(kafka, (admin) => admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] }));
}

/** A topic that Kafka compacts as soon as its segment has rolled, which a later append brings about. */
async function compactingTopic(kafka: KafkaService, topic: string, partitions: number): Promise<void> {
  const settings = {
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'LogAppendTime',
    'min.compaction.lag.ms': '0',
    'min.cleanable.dirty.ratio': '0.001',
    'segment.ms': '200',
    'delete.retention.ms': '86400000',
    'max.message.bytes': '1048588',
  };
  await withAdmin(kafka, (admin) =>
    admin.createTopics({
      waitForLeaders: true,
      topics: [{ topic, numPartitions: partitions, configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })) }],
    }),
  );
}

/** Appends under other keys roll the segments; done when no superseded record of before is found any more. */
async function compact(open: () => Promise<Log>): Promise<void> {
  const log = await open();
  try {
    const ends = (await log.bounds()).map(({ next }) => next);
    for (const until = Date.now() + timeoutMs; ; ) {
      if (Date.now() > until) throw new Error('Kafka has not compacted the topic in time');
      for (const partition of ends.keys()) await log.append(p(partition), newRecord(`roll-${randomUUID()}`, ''));
      await pause(300);
      const read = await readAll(log, timeoutMs, fromStart(log));
      const superseded = ends.some((end, partition) => {
        const records = read.records(partition);
        return records.some(({ key, offset }) => offset < end && records.some((later) => later.offset > offset && same(later.key, key)));
      });
      if (!superseded) return;
    }
  } finally {
    await log.close();
  }
}

/** kafkajs gives every message the RecordBatch that it came in, and keeps it out of its types. */
async function batchesOf(kafka: KafkaService, topic: string, partition: Partition): Promise<Offset[]> {
  const ends = await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
  const end = Number(ends.find((each) => each.partition === partition)?.high);
  const found: Offset[] = [];
  const consumer = client(kafka).consumer({ groupId: `batches-${randomUUID()}` });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
      const eachBatch = async ({ batch }: EachBatchPayload) => {
        if (batch.partition !== partition) return;
        for (const message of batch.messages) {
          const { batchContext } = message as unknown as { batchContext: { firstOffset: string } };
          found.push(o(Number(batchContext.firstOffset)));
        }
        if (Number(batch.lastOffset()) + 1 >= end) resolve();
      };
      consumer.run({ eachBatch }).catch(reject);
    });
    return found;
  } finally {
    await consumer.disconnect();
  }
}

const same = (a: Uint8Array | null, b: Uint8Array | null): boolean => Buffer.compare(a ?? bytes(''), b ?? bytes('')) === 0;

export const client = (kafka: KafkaService): Kafka =>
  new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING, retry: { retries: 8, initialRetryTime: 100 } });

export async function withAdmin<T>(kafka: KafkaService, work: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
  const admin = client(kafka).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}
