/** The topic as Kafka itself gives it, read directly: the witness against which everything is held. */
import { kafkaClient, newName, withAdmin } from '../integration/cluster.ts';
import { until } from '../integration/until.ts';
import type { LoggedRecord } from './history.ts';

const limitMs = 60_000;

export interface Witness {
  /** All records that were ever there, up to the ends as they are now. Errors: it takes longer than a minute. */
  whole(): Promise<LoggedRecord[]>;
  stop(): Promise<void>;
}

/** Reads on from the beginning, so that it knows what compaction removes later. */
export async function openWitness(brokers: readonly string[], topic: string): Promise<Witness> {
  const records = new Map<string, LoggedRecord>();
  const next = new Map<number, number>();
  const consumer = kafkaClient(brokers).consumer({ groupId: newName('fault-witness') });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    // After a rejoin it begins at the beginning again.
    eachBatch: async ({ batch }) => {
      const { partition } = batch;
      for (const { offset, timestamp, key, value, headers = {} } of batch.messages) {
        const texts = Object.entries(headers).map(([name, bytes]) => [name, String(bytes)]);
        records.set(`${partition}:${offset}`, {
          partition,
          offset: Number(offset),
          time: Number(timestamp),
          key: String(key),
          value: value === null ? null : String(value),
          headers: Object.fromEntries(texts),
        });
      }
      // The last ones may be markers of transactions, which nobody is shown.
      next.set(partition, Math.max(next.get(partition) ?? 0, Number(batch.lastOffset()) + 1));
    },
  });
  return {
    async whole() {
      const ends = await withAdmin(brokers, (admin) => admin.fetchTopicOffsets(topic));
      const isRead = (): boolean => ends.every(({ partition, high, low }) => low === high || (next.get(partition) ?? 0) >= Number(high));
      await until(`${topic} is read to its end`, isRead, limitMs);
      return [...records.values()];
    },
    // kafkajs may wait for ever when it is closed.
    async stop() {
      await Promise.race([consumer.disconnect().catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
    },
  };
}

/** What is there now. */
export async function readTopic(brokers: readonly string[], topic: string): Promise<LoggedRecord[]> {
  const witness = await openWitness(brokers, topic);
  try {
    return await witness.whole();
  } finally {
    await witness.stop();
  }
}
