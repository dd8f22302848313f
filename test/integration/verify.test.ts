/** Whether all nodes hold the same, asked from the shell: they do; then one's disk has changed a value, and it is named and mended. */
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import type { Checkpoint } from '../../src/ports.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { getOwn, put, remove, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, knows, startNodes } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, startNode } from './node-process.ts';
import { bitacora } from './shell.ts';

afterEach(cleanUp);

/** Writes a wrong value under a key, with all its checksums right, as a broken machine might. */
async function falsify({ directory }: NodeProcess, key: string): Promise<void> {
  const store = await openLevelStore({ directory: join(directory, 'data/store') });
  const entry = await store.get(key);
  if (entry === undefined) throw new Error(`${key} is not there`);
  const partition = partitionOf(bytesOf(key), store.checkpoints.length);
  const checkpoint = store.checkpoints[partition] as Checkpoint;
  await store.write({ partition, checkpoint, writers: new Map(), entries: new Map([[key, { ...entry, value: bytesOf('wrong') }]]) });
  await store.close();
}

test('verify names the node that differs, and --resync mends it', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const nodes = await startNodes(3, settings);
  const [one, two, three] = nodes as [NodeProcess, NodeProcess, NodeProcess];
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  await inParallel(keys, 32, (key) => put(one, key, `value of ${key}`));
  for (const key of keys.slice(0, 20)) await remove(two, key);
  const all = await bitacora('verify', '-e', one.url);
  expect([all.code, all.err]).toEqual([0, '']);
  expect(all.out).toMatch(/all 3 agree on 280 values at (\d:\d+,?){8}\n$/);

  await two.end();
  await falsify(two, 'key-100');
  const back = startNode(two, settings);
  await back.ready();
  await knows(three, 2);
  expect(JSON.parse((await getOwn(back, 'key-100')).body)).toMatchObject({ value: 'wrong' });
  // Asked at any node; another is busy writing meanwhile.
  const busy = inParallel(keys.slice(0, 100), 8, (key) => put(three, `more-${key}`, 'x'));
  const found = await bitacora('verify', '--resync', '-e', three.url);
  await busy;
  expect(found.code).toBe(1);
  expect(found.out).toMatch(new RegExp(`${back.address} +differs  partition \\d`));
  expect(found.out.match(/agrees/g)).toHaveLength(2);
  expect(found.err).toContain(`${back.address} makes its state anew`);
  expect(await three.metric('bitacora_verification_differing_nodes')).toBe(1);
  await back.said('store.rebuild');
  await back.ready();
  expect(await valueAt(back, 'key-100')).toBe('value of key-100');
  expect((await bitacora('verify', '-e', back.url)).code).toBe(0);
  expect(await back.metric('bitacora_store_rebuilds_total', 'reason="resync-asked"')).toBe(1);

  // A node that does not answer is no proof of anything.
  three.signal('SIGSTOP');
  const silent = await bitacora('verify', '--timeout', '2s', '--json', '-e', one.url);
  three.signal('SIGCONT');
  expect(silent.code).toBe(1);
  expect(JSON.parse(silent.out).nodes).toContainEqual({ address: three.address, result: 'silent', partitions: [0, 1, 2, 3, 4, 5, 6, 7] });
  const resynced = await bitacora('resync', '--wait', '-e', one.url);
  expect([resynced.code, resynced.err]).toEqual([0, 'it is ready\n']);
  expect((await bitacora('verify', '-e', `http://127.0.0.1:1`)).code).toBe(5);
}, 120_000);
