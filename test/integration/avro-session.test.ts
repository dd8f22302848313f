/** A session reads its own writes, whichever server answers. */
import { afterEach, expect, inject, test } from 'vitest';
import { callsOf, clientOf, uses } from './avro-clients.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, startNodes } from './cluster.ts';
import { inParallel } from './ledger.ts';
import type { NodeProcess } from './node-process.ts';

afterEach(cleanUp);

const pairs = 10_000;

test('10,000 pairs of set and get over three servers, and not one stale answer', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const nodes = (await startNodes(3, settings)) as NodeProcess[];
  const client = await clientOf(settings);
  await uses(client, nodes);
  const stale: string[] = [];
  await inParallel(
    Array.from({ length: pairs }, (_, i) => i),
    16,
    async (i) => {
      const key = `pair-${i}`;
      const again = `again-${i}`;
      await client.set(key, `${i}`);
      const seen = await client.get(key);
      if (seen !== `${i}`) stale.push(`${key}: ${seen}`);
      if (i % 10 !== 0) return;
      await client.set(key, again);
      if ((await client.get(key)) !== again) stale.push(`${key}, again`);
      await client.delete(key);
      if ((await client.get(key)) !== undefined) stale.push(`${key}, deleted`);
    },
  );
  expect(stale).toEqual([]);
  // All of them answered: it was no session with one server.
  for (const node of nodes) expect(await callsOf(node, 'getRecord')).toBeGreaterThan(pairs / 10);

  // Another process goes on where this one stands.
  await client.set('handed-over', 'yes');
  const other = await clientOf(settings, { position: client.position });
  await uses(other, nodes);
  for (let i = 0; i < 30; i++) expect(await other.get('handed-over')).toBe('yes');
}, 240_000);
