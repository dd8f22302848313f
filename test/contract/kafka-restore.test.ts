/**
 * Restores that users of other Kafka clients have seen stand still for ever, or end too early: what stands at the end, or at the beginning, of a
 * partition is no record that can be read. Against a real broker of this file's own.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KafkaService } from '../services/kafka.ts';
import { collect, fromStart, newRecord, o, p, readAll } from './log-harness.ts';
import { freshTopic, type KafkaTopic, startBroker, timeoutMs, withAdmin } from './log-kafka-harness.ts';

let kafka: KafkaService;

beforeAll(async () => {
  kafka = await startBroker();
}, 120_000);
afterAll(() => kafka?.stop());

const fresh = (): Promise<KafkaTopic> => freshTopic(kafka, { partitions: 3, compacts: false });

const fill = async (log: Awaited<ReturnType<KafkaTopic['open']>>, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await log.append(p(0), newRecord(`k${i}`, `v${i}`));
};

describe('a restore comes to the end of a partition', () => {
  test('that ends in an aborted transaction, and its control record', async () => {
    const topic = await fresh();
    const log = await topic.open();
    await fill(log, 3);
    await topic.transact?.(p(0), ['a0', 'a1'], 'abort');
    expect((await log.bounds())[0]).toEqual({ first: 0, next: 6 });
    const read = await readAll(log, timeoutMs);
    expect(read.values(0)).toEqual(['v0', 'v1', 'v2']);
    expect(read.next(0)).toBe(6);
    // From behind what can be read there is nothing but what cannot.
    const rest = await readAll(log, timeoutMs, [o(3), o(0), o(0)]);
    expect([rest.values(0), rest.next(0)]).toEqual([[], 6]);
    await log.close();
    await topic.remove();
  });

  test('that holds nothing but aborted transactions', async () => {
    const topic = await fresh();
    const log = await topic.open();
    for (let i = 0; i < 3; i++) await topic.transact?.(p(1), [`a${i}`], 'abort');
    const read = await readAll(log, timeoutMs);
    expect([read.values(1), read.next(1)]).toEqual([[], 6]);
    await log.close();
    await topic.remove();
  });

  test('that ends in the control record of a commit', async () => {
    const topic = await fresh();
    const log = await topic.open();
    await topic.transact?.(p(0), ['c0', 'c1'], 'commit');
    const read = await readAll(log, timeoutMs);
    expect([read.values(0), read.next(0)]).toEqual([['c0', 'c1'], 3]);
    await log.close();
    await topic.remove();
  });

  test('whose beginning is gone', async () => {
    const topic = await fresh();
    const log = await topic.open();
    await fill(log, 20);
    await topic.truncate?.(p(0), o(12));
    const read = await readAll(log, timeoutMs);
    expect(read.records(0).map(({ offset }) => offset)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
    expect(read.batches.find(({ partition }) => partition === 0)).toMatchObject({ first: 0, jumped: true });
    await log.close();
    await topic.remove();
  });

  test('of which nothing is left', async () => {
    const topic = await fresh();
    const count = 10_000;
    const log = await topic.open();
    for (let i = 0; i < count; i += 1_000) {
      await Promise.all(Array.from({ length: 1_000 }, (_, j) => log.append(p(0), newRecord(`k${i + j}`, 'x'))));
    }
    await log.append(p(1), newRecord('k', 'elsewhere'));
    await topic.truncate?.(p(0), o(count));
    expect((await log.bounds())[0]).toEqual({ first: count, next: count });
    const read = await readAll(log, timeoutMs);
    expect([read.values(0), read.next(0), read.values(1)]).toEqual([[], count, ['elsewhere']]);
    expect(read.batches.some(({ partition, jumped }) => partition === 0 && jumped)).toBe(true);
    await log.close();
    await topic.remove();
  });

  test('from within a batch of which only what stands before is left', async () => {
    const compacting = await freshTopic(kafka, { partitions: 3, compacts: true });
    const log = await compacting.open();
    const together = ['first', ...Array.from({ length: 19 }, () => 'k')].map((key, i) => newRecord(key, `${i}`));
    await log.appendTogether(p(0), together);
    await log.append(p(0), newRecord('k', 'last'));
    await compacting.compact?.();
    const whole = await readAll(log, timeoutMs);
    expect(
      whole
        .records(0)
        .slice(0, 2)
        .map(({ offset }) => offset),
    ).toEqual([0, 20]);
    // What is fetched from here is the batch of 0 to 19, and all it holds stands before.
    const read = await readAll(log, timeoutMs, [o(10), o(0), o(0)]);
    expect(read.records(0)[0]?.offset).toBe(20);
    expect(read.batches.find(({ partition }) => partition === 0)).toMatchObject({ first: 10, jumped: true });
    expect(read.violations).toEqual([]);
    await log.close();
    await compacting.remove();
  });

  test('whose beginning goes while it is read', async () => {
    const topic = await fresh();
    const log = await topic.open();
    for (let i = 0; i < 300; i++) await log.append(p(0), newRecord(`k${i}`, `${i}-`.padEnd(15_000, 'x')));
    let release: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { collector, subscription } = await collect(log, fromStart(log), undefined, () => gone);
    await collector.until(() => collector.next(0) > 0, 'the first batch', timeoutMs);
    await topic.truncate?.(p(0), o(290));
    release();
    await collector.until(() => collector.next(0) === 300 || collector.error !== undefined, 'the end', timeoutMs);
    expect(collector.error).toBeUndefined();
    expect(collector.records(0).at(-1)?.offset).toBe(299);
    await subscription.close();
    await log.close();
    await topic.remove();
  });

  test('whatever its group has committed: that is for operators to see', async () => {
    const topic = await fresh();
    const log = await topic.open();
    await fill(log, 20);
    const { collector, subscription } = await collect(log, fromStart(log));
    await collector.until(() => collector.next(0) === 20, 'the end', timeoutMs);
    subscription.progress([o(20), o(0), o(0)]);
    const committed = () =>
      withAdmin(kafka, async (admin) => {
        const groups = (await admin.listGroups()).groups.map(({ groupId }) => groupId).filter((id) => id.startsWith(topic.name));
        const told = await Promise.all(groups.map((groupId) => admin.fetchOffsets({ groupId, topics: [topic.name] })));
        return told.flat().flatMap(({ partitions }) => partitions.filter(({ offset }) => offset === '20'));
      });
    await expect.poll(committed, { timeout: timeoutMs }).toHaveLength(1);
    await subscription.close();
    await log.close();
    // The same node again, with nothing on its disk.
    const again = await topic.open();
    expect((await readAll(again, timeoutMs)).values(0)).toHaveLength(20);
    await again.close();
    await topic.remove();
  });
});
