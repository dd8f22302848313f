/** The local database is only a cache of the log: one of another topic, or a damaged one, is set aside and made anew. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { get, put, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { differences, newName, settled } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type Environment, type NodeProcess, newPlace, startNode } from './node-process.ts';

afterEach(cleanUp);

const keys = Array.from({ length: 400 }, (_, i) => `key-${i}`);
const onKafka = (topic: string): Environment => ({ BROKER_LIST: inject('brokers').join(','), KAFKA_TOPIC: topic, PEER_READS: 'never' });
const storeOf = (node: NodeProcess): string => join(node.directory, 'data/store');

async function filled(settings: Environment): Promise<NodeProcess> {
  const node = startNode(await newPlace(), settings);
  await node.ready();
  await inParallel(keys, 32, (key) => put(node, key, `value of ${key} ${'x'.repeat(100)}`));
  return node;
}

test('started again with another topic, and then with the first one: each time the keys of that topic alone', async () => {
  const [first, second] = [newName('first'), newName('second')];
  const node = await filled(onKafka(first));
  await node.end();
  const other = startNode(node, onKafka(second));
  await other.ready();
  expect(await other.said('store.rebuild')).toMatchObject({ code: 'log-changed' });
  expect((await get(other, 'key-0')).status).toBe(404);
  await put(other, 'of the second', 'x');
  await other.end();
  const back = startNode(node, onKafka(first));
  await back.ready();
  expect((await get(back, 'of the second')).status).toBe(404);
  for (const key of keys) expect((await get(back, key)).status, key).toBe(200);
});

async function flipBytes(node: NodeProcess): Promise<void> {
  const tables = (await readdir(storeOf(node))).filter((name) => name.endsWith('.ldb'));
  expect(tables.length).toBeGreaterThan(0);
  for (const name of tables) {
    const path = join(storeOf(node), name);
    const bytes = await readFile(path);
    for (let at = Math.floor(bytes.length / 3); at < bytes.length / 2; at += 97) bytes[at] = (bytes[at] as number) ^ 0x55;
    await writeFile(path, bytes);
  }
}

test.each([
  { what: 'flipped bytes in its tables', damage: flipBytes },
  { what: 'its file CURRENT lost', damage: (node: NodeProcess) => rm(join(storeOf(node), 'CURRENT')) },
  {
    what: 'a table lost',
    damage: async (node: NodeProcess) => {
      const table = (await readdir(storeOf(node))).find((name) => name.endsWith('.ldb')) as string;
      await rm(join(storeOf(node), table));
    },
  },
])('a damaged database: $what', async ({ damage }) => {
  const topic = newName('damaged');
  const node = await filled(onKafka(topic));
  await node.end();
  // What LevelDB has in its journal goes into tables when it is opened again.
  const again = startNode(node, onKafka(topic));
  await again.ready();
  await put(again, 'newest', 'x');
  await again.end();
  await damage(node);

  const back = startNode(node, onKafka(topic));
  await back.ready();
  expect(await back.said('store.rebuild')).toMatchObject({ code: 'store-damaged' });
  expect(await back.metric('bitacora_store_rebuilds_total', 'reason="store-damaged"')).toBe(1);
  expect(await readdir(join(node.directory, 'data'))).toContain('store.damaged-1');
  const whole = startNode(await newPlace(), onKafka(topic));
  await whole.ready();
  await settled(inject('brokers'), topic, [back, whole]);
  expect(await differences([back, whole], [...keys, 'newest'])).toEqual([]);
  for (const key of keys) expect(await valueAt(back, key)).toContain(`value of ${key} `);
});
