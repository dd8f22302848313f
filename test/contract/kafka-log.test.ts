/** The log on Kafka under the contract, and what only it can be put to, against a real broker of this file's own: some tests stop it. */
import { setTimeout as pause } from 'node:timers/promises';
import { CompressionTypes } from 'kafkajs';
import { afterAll, describe, expect, test } from 'vitest';
import type { Log } from '../../src/ports.ts';
import type { KafkaService } from '../services/kafka.ts';
import { logContract } from './log.ts';
import { failure, newRecord, p, range, readAll, readStretch, valuesOf } from './log-harness.ts';
import { client, freshTopic, kafkaHarness, startBroker, timeoutMs, withAdmin } from './log-kafka-harness.ts';

let service: Promise<KafkaService> | undefined;
const startService = (): Promise<KafkaService> => {
  service ??= startBroker();
  return service;
};

afterAll(async () => {
  await (await service)?.stop();
});

logContract('kafka', async () => kafkaHarness(await startService()));

/*
 * The contract's pauses are shorter than a request's timeout. In this one the request is sent several times, and the broker finds it as often
 * in its sockets when it goes on.
 */
test('records together whose request has timed out are in the log once, side by side and in one batch', async () => {
  const kafka = await startService();
  const topic = await freshTopic(kafka, { partitions: 1, compacts: false });
  const log = await topic.open();
  const groups = Array.from({ length: 12 }, (_, i) => Array.from({ length: 9 }, (_, j) => `${i}-${j}`));
  await log.append(p(0), newRecord('k', 'first'));
  await kafka.pause();
  const work = groups.map((group) =>
    log.appendTogether(
      p(0),
      group.map((value) => newRecord(value, value)),
    ),
  );
  await pause(12_500);
  await kafka.resume();
  const positions = await Promise.all(work);
  expect(positions.map(({ offset }) => offset)).toEqual(groups.map((_, i) => 1 + 9 * i));
  expect((await readAll(log, timeoutMs)).values(0)).toEqual(['first', ...groups.flat()]);
  const batches = (await topic.batches?.(p(0))) ?? [];
  for (const i of groups.keys()) expect(new Set(batches.slice(1 + 9 * i, 10 + 9 * i)).size).toBe(1);
  await log.close();
  await topic.remove();
}, 120_000);

describe('stretches from a broker', () => {
  const fill = async (log: Log, count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, (_, i) => log.append(p(0), newRecord(`k${i}`, `${i}-`.padEnd(15_000, 'x')))));
  };
  const numbers = (values: readonly (string | undefined)[]) => values.map((value) => Number(value?.split('-')[0]));
  const upTo = (count: number) => [...Array(count).keys()];

  test('a stretch goes on where it was when the broker has been killed and started again', async () => {
    const kafka = await startService();
    const topic = await freshTopic(kafka, { partitions: 1, compacts: false });
    const log = await topic.openWith({ fetchPatienceMs: timeoutMs });
    await fill(log, 150);
    const reading = log.read(range(0, 0, 150))[Symbol.asyncIterator]();
    const batches = [(await reading.next()).value];
    await kafka.kill();
    const second = reading.next();
    await kafka.restart();
    for (let next = await second; !next.done; next = await reading.next()) batches.push(next.value);
    expect(numbers(valuesOf(batches))).toEqual(upTo(150));
    // A connection that died while nobody read is no trouble to whoever comes next.
    await kafka.restart();
    await expect.poll(() => failure(readStretch(log, range(0, 0, 10))), { timeout: timeoutMs }).toBeUndefined();
    await log.close();
    await topic.remove();
  }, 120_000);

  test('a broker that is silent for longer than the patience fails the stretch, and the next one comes whole', async () => {
    const kafka = await startService();
    const topic = await freshTopic(kafka, { partitions: 1, compacts: false });
    const log = await topic.openWith({ fetchPatienceMs: 700 });
    await fill(log, 150);
    const reading = log.read(range(0, 0, 150))[Symbol.asyncIterator]();
    await reading.next();
    await kafka.pause();
    try {
      const began = performance.now();
      expect(await failure(reading.next())).toBe('log-unavailable');
      expect(performance.now() - began).toBeLessThan(5_000);
      expect(await failure(readStretch(log, range(0, 0, 150)))).toBe('log-unavailable');
    } finally {
      await kafka.resume();
    }
    await expect.poll(() => failure(readStretch(log, range(0, 0, 10))), { timeout: timeoutMs }).toBeUndefined();
    expect(numbers(valuesOf(await readStretch(log, range(0, 0, 150))))).toEqual(upTo(150));
    await log.close();
    await topic.remove();
  }, 120_000);

  test('connections that nobody uses are closed and made again, and no group is needed', async () => {
    const kafka = await startService();
    const topic = await freshTopic(kafka, { partitions: 1, compacts: false });
    const log = await topic.openWith({ fetchIdleMs: 200 });
    await fill(log, 10);
    await log.bounds();
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    for (let round = 0; round < 3; round += 1) {
      expect(numbers(valuesOf(await readStretch(log, range(0, round, 10))))).toEqual(upTo(10).slice(round));
      expect(sockets()).toBeGreaterThan(before);
      await expect.poll(sockets, { timeout: timeoutMs }).toBe(before);
    }
    const { groups } = await withAdmin(kafka, (admin) => admin.listGroups());
    expect(groups.filter(({ groupId }) => groupId.includes(topic.name))).toEqual([]);
    await log.close();
    await topic.remove();
  });

  test("other producers' batches come whole, however large, and from their middle, however packed", async () => {
    const kafka = await startService();
    const topic = await freshTopic(kafka, { partitions: 1, compacts: false });
    const log = await topic.openWith({});
    const producer = client(kafka).producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const message = (value: string) => ({ partition: 0, key: 'k', value });
    try {
      for (const size of [10, 1_000_000, 10, 900_000]) {
        await producer.send({ topic: topic.name, acks: -1, messages: [message('x'.repeat(size))] });
      }
      const packed = Array.from({ length: 20 }, (_, i) => message(`packed-${i}`));
      await producer.send({ topic: topic.name, acks: -1, compression: CompressionTypes.GZIP, messages: packed });
    } finally {
      await producer.disconnect();
    }
    const large = valuesOf(await readStretch(log, range(0, 0, 4)));
    expect(large.map((value) => value?.length)).toEqual([10, 1_000_000, 10, 900_000]);
    const middle = await readStretch(log, range(0, 9, 14));
    expect(valuesOf(middle)).toEqual(['packed-5', 'packed-6', 'packed-7', 'packed-8', 'packed-9']);
    expect(middle.every(({ jumped }) => !jumped)).toBe(true);
    await log.close();
    await topic.remove();
  });
});
