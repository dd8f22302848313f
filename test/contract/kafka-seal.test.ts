/** The seal of a topic on three brokers, of which one sleeps through it as the leader of some partitions, and wakes up later. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Log } from '../../src/ports.ts';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import { failure, newRecord, p, readAll } from './log-harness.ts';
import { freshTopic, timeoutMs, withAdmin } from './log-kafka-harness.ts';

let kafka: KafkaService;
beforeAll(async () => {
  kafka = await startKafka({ nodes: 3 });
}, 180_000);
afterAll(async () => {
  await kafka?.stop();
});

const nexts = async (log: Log): Promise<number[]> => (await log.bounds()).map(({ next }) => next);

test('whoever leads a partition afterwards refuses, and what was acknowledged stands before the ends', async () => {
  const topic = await freshTopic(kafka, { partitions: 3, compacts: false });
  const log = await topic.openWith({});
  const other = await topic.openWith({});
  const acknowledged: { value: string; partition: number; offset: number }[] = [];
  const codes = new Map<string, number>();
  let going = true;
  let number = 0;
  const lanes = Array.from({ length: 3 }, async (_, partition) => {
    while (going) {
      const value = `${++number}`;
      try {
        const { offset } = await other.append(p(partition), newRecord(`k${partition}`, value), AbortSignal.timeout(3_000));
        acknowledged.push({ value, partition, offset });
      } catch (error) {
        const { code } = error as { code: string };
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  await expect.poll(() => acknowledged.length, { timeout: timeoutMs }).toBeGreaterThan(200);

  // The last of them is no bootstrap server that anybody depends on; its partitions are led by others once it is missed.
  await kafka.pause(2);
  const sealing = async (): Promise<readonly number[] | undefined> => {
    try {
      return await log.seal({ keep: async () => undefined, probe: () => newRecord('\0probe', '') });
    } catch {
      return undefined;
    }
  };
  let ends: readonly number[] | undefined;
  await expect.poll(async () => (ends ??= await sealing()), { timeout: 90_000, interval: 500 }).toBeDefined();
  const before = acknowledged.length;
  await kafka.resume(2);
  const sealed = codes.get('log-sealed') ?? 0;
  await expect.poll(() => codes.get('log-sealed') ?? 0, { timeout: timeoutMs }).toBeGreaterThan(sealed + 200);

  // Leadership comes back to the one that slept, once it has what the others have: the one that leads is taken from the replicas.
  const inSync = async () => (await partitionsOf(topic.name)).every(({ isr }) => isr.length === 3);
  await expect.poll(inSync, { timeout: 90_000, interval: 500 }).toBe(true);
  // Again and again: who leads may be another one by the time the controller hears of it.
  const led = async (): Promise<readonly number[]> => {
    const partitions = await partitionsOf(topic.name);
    const partitionAssignment = partitions.map(({ partitionId, leader }) => ({
      partition: partitionId,
      replicas: [3, leader === 1 ? 2 : 1],
    }));
    const leaders = partitions.map(({ leader }) => leader);
    if (!leaders.includes(3))
      await withAdmin(kafka, (admin) => admin.alterPartitionReassignments({ topics: [{ topic: topic.name, partitionAssignment }] }));
    return leaders;
  };
  await expect.poll(() => led().catch(() => []), { timeout: 120_000, interval: 2_000 }).toContain(3);
  for (const partition of [0, 1, 2]) {
    const outcome = () => failure(log.append(p(partition), newRecord('k', 'late'), AbortSignal.timeout(2_000)));
    await expect.poll(outcome, { timeout: timeoutMs }).toBe('log-sealed');
  }
  going = false;
  await Promise.all(lanes);
  await expect.poll(() => nexts(log).catch(() => undefined), { timeout: timeoutMs }).toEqual(ends);
  expect(acknowledged.length).toBe(before);
  const read = await readAll(log, timeoutMs);
  for (const { value, partition, offset } of acknowledged) {
    expect(offset).toBeLessThan(ends?.[partition] ?? 0);
    expect(read.values(partition)).toContain(value);
  }
  for (const each of [log, other]) await each.close();
  await topic.remove();
}, 400_000);

interface LedPartition {
  readonly partitionId: number;
  readonly leader: number;
  readonly isr: readonly number[];
}

async function partitionsOf(topic: string): Promise<readonly LedPartition[]> {
  const { topics } = await withAdmin(kafka, (admin) => admin.fetchTopicMetadata({ topics: [topic] }));
  return topics[0]?.partitions ?? [];
}
