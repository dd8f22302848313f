/** A node killed with -9 in the middle of a load comes back with exactly the state of the others. */
import { afterEach, expect, inject, test } from 'vitest';
import { valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, differences, settled, startNodes } from './cluster.ts';
import { inParallel, Ledger } from './ledger.ts';
import { type NodeProcess, startNode } from './node-process.ts';

afterEach(cleanUp);

test('killed in the middle of a load: the same state as the others, and only the news is read', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const nodes = await startNodes(3, settings);
  const [one, two, victim] = nodes as [NodeProcess, NodeProcess, NodeProcess];
  const ledger = new Ledger();
  let lost = false;
  // Each key has one writer, which goes through one node: some keys are written once, some again and again, some deleted.
  const lane = async (node: NodeProcess, name: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const [key, value] =
        i % 5 === 4 ? [`${name}-${i - 4}`, undefined] : i % 5 === 3 ? [`${name}-again`, `again ${i}`] : [`${name}-${i}`, `${i}`];
      if (node === victim && lost) return;
      await ledger.write(node, key, value);
      if (node === victim && !lost && ledger.counts.done >= 400) {
        lost = true;
        victim.signal('SIGKILL');
      }
    }
  };
  const lanes = nodes.flatMap((node) => Array.from({ length: 16 }, (_, i) => ({ node, name: `${node.port}-${i}` })));
  await Promise.all(lanes.map(({ node, name }) => lane(node, name, 40)));
  expect(await victim.exit).toEqual({ code: null, signal: 'SIGKILL' });
  expect(ledger.counts.done).toBeGreaterThan(1_000);
  // Nobody but the killed one has refused anything, and nobody has taken its log for another one.
  expect(ledger.counts.refused).toBeLessThanOrEqual(16);
  for (const node of [one, two]) expect(await node.metric('bitacora_store_rebuilds_total')).toBe(0);

  const back = startNode(victim, settings);
  await back.ready();
  // Its own clients write again, too.
  await inParallel(
    Array.from({ length: 64 }, (_, i) => `back-${i}`),
    16,
    (key) => ledger.write(back, key, 'back'),
  );
  const now = [one, two, back];
  await settled(inject('brokers'), settings.KAFKA_TOPIC, now);
  expect(await differences(now, ledger.keys)).toEqual([]);
  for (const node of now) expect(await ledger.wrongAt((key) => valueAt(node, key))).toEqual([]);
  expect(await back.metric('bitacora_store_rebuilds_total')).toBe(0);
  const read = await back.metric('bitacora_log_records_applied_total');
  const all = await one.metric('bitacora_log_records_applied_total');
  expect(read).toBeGreaterThan(0);
  // What it had applied before it was killed, all but the newest moments of it, is not read again.
  expect(read).toBeLessThan(all - 300);
}, 180_000);
