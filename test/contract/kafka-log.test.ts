/** The log on Kafka under the contract, and what only it can be put to, against a real broker of this file's own: some tests stop it. */
import { setTimeout as pause } from 'node:timers/promises';
import { CompressionTypes } from 'kafkajs';
import { afterAll, describe, expect, test } from 'vitest';
import type { Log } from '../../src/ports.ts';
import type { KafkaService } from '../services/kafka.ts';
import { logContract } from './log.ts';
import { collect, failure, fromStart, newRecord, o, p, range, readAll, readStretch, valuesOf } from './log-harness.ts';
import { alterTopic, client, freshTopic, kafkaHarness, startBroker, timeoutMs, withAdmin } from './log-kafka-harness.ts';

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

test("a node's progress shows as that of a group without members, and the groups of its earlier runs go", async () => {
  const kafka = await startService();
  const topic = await freshTopic(kafka, { partitions: 2, compacts: false });
  const groups = () => withAdmin(kafka, (admin) => admin.listGroups().then((all) => all.groups.map(({ groupId }) => groupId)));
  const mine = async () => (await groups()).filter((id) => id.startsWith(`${topic.name}-contract-`));
  const seen: string[] = [];
  for (let run = 1; run <= 2; run += 1) {
    const log = await topic.open();
    await log.append(p(1), newRecord('k', 'v'));
    const { collector, subscription } = await collect(log, fromStart(log));
    await collector.until(() => collector.next(1) === run, 'the records', timeoutMs);
    subscription.progress([o(0), o(run)]);
    await expect.poll(async () => (await mine()).filter((id) => !seen.includes(id)), { timeout: timeoutMs }).toHaveLength(1);
    const [group] = (await mine()).filter((id) => !seen.includes(id)) as [string];
    await expect.poll(() => committed(kafka, group, topic.name), { timeout: timeoutMs }).toEqual(['0', String(run)]);
    const { members } = (await withAdmin(kafka, (admin) => admin.describeGroups([group]))).groups[0]!;
    expect(members).toEqual([]);
    await expect.poll(mine, { timeout: timeoutMs }).toEqual([group]);
    seen.push(group);
    await log.close();
  }
  await topic.remove();
}, 120_000);

const committed = async (kafka: KafkaService, groupId: string, topic: string): Promise<string[]> => {
  const [found] = await withAdmin(kafka, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }));
  return (found?.partitions ?? []).toSorted((a, b) => a.partition - b.partition).map(({ offset }) => offset);
};

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

test('a topic that was sealed and opened again has all its settings as before, those that a broker gave it too', async () => {
  const kafka = await startService();
  for (const largest of ['2000000', undefined]) {
    const topic = await freshTopic(kafka, { partitions: 2, compacts: false });
    const log = await topic.open();
    const own = { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime', 'segment.bytes': '20000000' };
    await alterTopic(kafka, topic.name, largest === undefined ? own : { ...own, 'max.message.bytes': largest });
    const before = await settingsOf(kafka, topic.name);
    let memo = 'none';
    const keep = async (given: string): Promise<void> => {
      memo = given;
    };
    await log.seal({ keep, probe: () => newRecord('\0probe', '') });
    expect(await settingsOf(kafka, topic.name)).toEqual({ ...before, 'max.message.bytes': 'TOPIC 0' });
    await log.unseal(memo);
    expect(await settingsOf(kafka, topic.name)).toEqual(before);
    await log.close();
    await topic.remove();
  }
});

/** Every setting with where it comes from. */
async function settingsOf(kafka: KafkaService, topic: string): Promise<Record<string, string>> {
  const { resources } = await withAdmin(kafka, (admin) =>
    admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] }),
  );
  return Object.fromEntries(
    (resources[0]?.configEntries ?? []).map(({ configName, configValue, configSource }) => [
      configName,
      `${Number(configSource) === 1 ? 'TOPIC' : 'broker'} ${configValue}`,
    ]),
  );
}
