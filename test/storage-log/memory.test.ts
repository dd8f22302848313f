/** The troubles a test can make on a memory topic, and that nodes on one topic see each other. */
import { expect, test } from 'vitest';
import { type MemoryTopicOptions, openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { bytes, Collector, collect, failure, fromStart, newRecord, p, readAll } from '../contract/log-harness.ts';
import { realChance, realClock } from '../contract/log-memory-harness.ts';

const settled = () => new Promise(setImmediate);
const topicOf = (options: Partial<MemoryTopicOptions> = {}) =>
  openMemoryTopic({ clock: realClock, chance: realChance, partitions: 2, ...options });

test('nodes on one topic see the same records, and a node that is opened again goes on', async () => {
  const topic = topicOf();
  const [one, two] = [openMemoryLog(topic), openMemoryLog(topic)];
  await one.append(p(0), newRecord('k', '1'));
  await two.append(p(0), newRecord('k', '2'));
  await one.close();
  const again = openMemoryLog(topic);
  expect(await again.append(p(0), newRecord('k', '3'))).toEqual({ partition: 0, offset: 2 });
  expect((await readAll(two, 1_000)).values(0)).toEqual(['1', '2', '3']);
});

test('an append held before the log and given up is lost, and unknown to its caller', async () => {
  const topic = topicOf();
  const log = openMemoryLog(topic);
  topic.hold('before');
  const held = failure(log.append(p(0), newRecord('k', 'lost')));
  await settled();
  expect((await log.bounds())[0]?.next).toBe(0);
  topic.release('unknown');
  expect(await held).toBe('unknown-outcome');
  await log.append(p(0), newRecord('k', 'next'));
  expect((await readAll(log, 1_000)).values(0)).toEqual(['next']);
});

test('an append held behind the log is visible before it is acknowledged, and stays when it never is', async () => {
  const topic = topicOf();
  const log = openMemoryLog(topic);
  topic.hold('after');
  const held = failure(log.append(p(0), newRecord('k', 'there')));
  await settled();
  expect((await readAll(log, 1_000)).values(0)).toEqual(['there']);
  topic.release('unknown');
  expect(await held).toBe('unknown-outcome');
});

test('an append held when its node dies may still come to be', async () => {
  const topic = topicOf();
  const log = openMemoryLog(topic);
  topic.hold('before');
  const held = failure(log.append(p(0), newRecord('k', 'late')));
  await settled();
  await log.close();
  expect(await held).toBe('unknown-outcome');
  topic.release();
  await settled();
  expect((await readAll(openMemoryLog(topic), 1_000)).values(0)).toEqual(['late']);
});

test.each(['topic', 'node'] as const)('after a cut of the %s, the landmark is asked for again', async (what) => {
  const topic = topicOf();
  const log = openMemoryLog(topic);
  let asked = 0;
  const collector = new Collector(fromStart(log));
  const landmark = () => {
    asked += 1;
    return undefined;
  };
  await log.subscribe({ from: fromStart(log), landmark }, collector);
  await settled();
  expect(asked).toBe(1);
  const cut = what === 'topic' ? topic : log;
  cut.disconnect();
  topic.inject(p(0), { key: bytes('k'), value: bytes('v') });
  await settled();
  expect([asked, collector.batches.length, log.state]).toEqual([1, 0, 'disconnected']);
  cut.reconnect();
  await collector.until(() => collector.next(0) === 1, 'the record', 1_000);
  expect(asked).toBe(2);
});

test('a topic recreated under a subscription ends it as log-changed, as its positions lie beyond the end', async () => {
  const topic = topicOf();
  const log = openMemoryLog(topic);
  await log.append(p(0), newRecord('k', 'v'));
  const { collector } = await collect(log, fromStart(log));
  await collector.until(() => collector.next(0) === 1, 'the record', 1_000);
  topic.recreate();
  await collector.until(() => collector.error !== undefined, 'the end', 1_000);
  expect(collector.error).toMatchObject({ code: 'log-changed' });
  expect(openMemoryLog(topic).identity.clusterId).not.toBe(log.identity.clusterId);
});
