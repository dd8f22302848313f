/** What a restore has read is not read again: neither by a restart right behind it, nor after a quiet time. */
import { afterEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { newName, produce, settled } from './cluster.ts';
import { newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

const count = 5_000;
const partitions = 4;

test('killed the moment it is ready, and killed again on a quiet topic: each time it goes on where it was', async () => {
  const topic = newName('restarted');
  const settings = { BROKER_LIST: inject('brokers').join(','), KAFKA_TOPIC: topic, BITACORA_PARTITIONS: String(partitions) };
  const first = startNode(await newPlace(), settings);
  await first.ready();
  const keys = Array.from({ length: count }, (_, i) => `key-${i}`);
  await produce(
    inject('brokers'),
    topic,
    keys.map((key) => ({ partition: partitionOf(bytesOf(key), partitions), key, value: `value of ${key}` })),
  );
  await settled(inject('brokers'), topic, [first]);
  await until('the topic has its identity', async () => (await first.status()).genesis !== null);
  await first.end();

  const place = await newPlace();
  const restored = startNode(place, settings);
  const line = await restored.said('node.ready', 60_000);
  restored.signal('SIGKILL');
  await restored.exit;
  expect(line['records']).toBeGreaterThanOrEqual(count);

  for (const what of ['right behind the restore', 'on a quiet topic']) {
    const again = startNode(place, settings);
    // A crash may cost the newest batches, and these have thousands of records; the last one is written before the node is ready.
    expect((await again.said('node.ready', 60_000))['records'], what).toBeLessThan(10);
    expect(
      again.lines.filter(({ event }) => event === 'store.rebuild'),
      what,
    ).toEqual([]);
    for (const key of ['key-0', `key-${count - 1}`]) expect(await valueAt(again, key), what).toBe(`value of ${key}`);
    await again.end('SIGKILL');
  }
}, 120_000);
