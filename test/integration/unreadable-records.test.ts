/** Records of other producers: what can be understood is served, what cannot is counted and skipped, and the node goes on. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { get, put, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { newName, produce, settled } from './cluster.ts';
import { type Environment, type NodeProcess, newPlace, startNode } from './node-process.ts';
import { bitacora } from './shell.ts';
import { until } from './until.ts';

const partitions = 4;
const placeOf = (key: string): number => partitionOf(bytesOf(key), partitions);

let node: NodeProcess;
let settings: Environment & { readonly KAFKA_TOPIC: string };
beforeAll(async () => {
  settings = { BROKER_LIST: inject('brokers').join(','), KAFKA_TOPIC: newName('raw'), BITACORA_PARTITIONS: String(partitions) };
  node = startNode(await newPlace(), settings);
  await node.ready();
});
afterAll(cleanUp);

const skippedFor = (reason: string): Promise<number> => node.metric('bitacora_log_records_skipped_total', `reason="${reason}"`);

test('what cannot be understood is counted by reason and skipped', async () => {
  await put(node, 'kept', 'before');
  const kept = placeOf('kept');
  await produce(inject('brokers'), settings.KAFKA_TOPIC, [
    { partition: kept, key: Buffer.from([0xff, 0xfe, 0x41]), value: 'x' },
    { partition: kept, key: 'kept', value: 'x', headers: { op: 'zz' } },
    { partition: (kept + 1) % partitions, key: 'kept', value: 'in the wrong partition' },
    { partition: kept, key: 'kept', value: 'x', headers: { by: 'nobody' } },
    { partition: kept, key: 'kept', value: 'x', headers: { op: 'c' } },
    { partition: placeOf('after'), key: 'after', value: 'the bad ones' },
  ]);
  await until('what came after is served', async () => (await valueAt(node, 'after')) === 'the bad ones');
  await settled(inject('brokers'), settings.KAFKA_TOPIC, [node]);
  expect(await valueAt(node, 'kept')).toBe('before');
  expect(await skippedFor('key-not-text')).toBe(1);
  expect(await skippedFor('unknown-operation')).toBe(1);
  expect(await skippedFor('wrong-partition')).toBe(1);
  expect(await skippedFor('bad-header')).toBe(2);
  await node.ready();
  expect((await put(node, 'kept', 'after')).status).toBe(200);
  expect(await valueAt(node, 'kept')).toBe('after');

  const { code, out, err } = await bitacora('topic', 'skipped', '-e', node.url);
  expect([code, err]).toEqual([0, '5 since the node was started\n']);
  const [places, told] = [new RegExp(`^(${kept}|${(kept + 1) % partitions}):\\d+  `), out.trimEnd().split('\n')];
  expect(told.map((line) => line.replace(places, '')).toSorted()).toEqual(
    [
      'bad-header  "kept"',
      'bad-header  "kept"',
      'key-not-text  "\ufffd\ufffdA"',
      'unknown-operation  "kept"',
      'wrong-partition  "kept"',
    ].toSorted(),
  );
});

test('plain records of other producers are served, and their null deletes', async () => {
  const foreign = (value: string | null) => ({ partition: placeOf('theirs'), key: 'theirs', value });
  await produce(inject('brokers'), settings.KAFKA_TOPIC, [foreign('one'), foreign('two')]);
  await until('their value', async () => (await valueAt(node, 'theirs')) === 'two');
  await produce(inject('brokers'), settings.KAFKA_TOPIC, [foreign(null)]);
  await until('their delete', async () => (await get(node, 'theirs')).status === 404);
  await put(node, 'theirs', 'now ours');
  await produce(inject('brokers'), settings.KAFKA_TOPIC, [foreign(null)]);
  await until('their delete of ours', async () => (await get(node, 'theirs')).status === 404);
  await put(node, 'theirs', 'ours again');
  expect(await valueAt(node, 'theirs')).toBe('ours again');
});

test('a node that meets all of it at its start comes to the same', async () => {
  await settled(inject('brokers'), settings.KAFKA_TOPIC, [node]);
  const fresh = startNode(await newPlace(), { ...settings, PEER_READS: 'never' });
  await fresh.ready();
  for (const key of ['kept', 'after', 'theirs']) expect(await valueAt(fresh, key)).toBe(await valueAt(node, key));
  expect(await fresh.metric('bitacora_log_records_skipped_total')).toBe(5);
});
