/** A server killed with -9 under the load of clients: no read fails, no acknowledged write is lost. */
import { afterEach, expect, inject, test } from 'vitest';
import { ClientError } from '../../client/index.ts';
import { clientOf, uses } from './avro-clients.ts';
import { valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, settled, startNodes } from './cluster.ts';
import { Ledger, type Outcome } from './ledger.ts';
import { type NodeProcess, startNode } from './node-process.ts';

afterEach(cleanUp);

/** What a write that failed may have come to. */
function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof ClientError)) throw error;
  if (error.code === 'unknown-outcome') return 'unknown';
  if (error.retryable) return 'refused';
  throw error;
}

test('killed twice under load', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const nodes = (await startNodes(3, settings)) as [NodeProcess, NodeProcess, NodeProcess];
  const client = await clientOf(settings);
  await uses(client, nodes);
  const ledger = new Ledger();
  let reads = 0;
  let over = false;
  // Each key has one lane, which writes, reads what it wrote, and notes everything.
  const lane = async (name: string): Promise<void> => {
    for (let i = 0; !over; i++) {
      const key = `${name}-${i % 50}`;
      const value = i % 9 === 8 ? undefined : `${i}`;
      const write = value === undefined ? client.delete(key) : client.set(key, value);
      ledger.note(key, value, await write.then((): Outcome => 'done', outcomeOf));
      // A read that fails fails the test.
      const seen = await client.get(key);
      reads++;
      expect(ledger.allowed(key), `${key} read as ${seen}`).toContain(seen);
    }
  };
  const lanes = Array.from({ length: 32 }, (_, i) => lane(`lane-${i}`));
  const load = Promise.all(lanes);
  load.catch(() => undefined);
  const reached = async (more: number): Promise<void> => {
    const goal = reads + more;
    while (reads < goal) await Promise.race([new Promise((resolve) => setTimeout(resolve, 10)), load]);
  };
  await reached(1_000);
  let now = [...nodes];
  for (const victim of nodes.slice(0, 2)) {
    victim.signal('SIGKILL');
    await victim.exit;
    await reached(1_000);
    const back = startNode(victim, settings);
    await back.ready(60_000);
    now = now.map((node) => (node === victim ? back : node));
    await uses(client, now, 60_000);
    await reached(500);
  }
  over = true;
  await load;
  expect(ledger.counts.done).toBeGreaterThan(3_000);
  // Only what was on its way when its server died may be in the dark.
  expect(ledger.counts.unknown).toBeLessThanOrEqual(2 * 32);
  expect(ledger.counts.refused).toBe(0);
  await settled(inject('brokers'), settings.KAFKA_TOPIC, now);
  for (const node of now) expect(await ledger.wrongAt((key) => valueAt(node, key))).toEqual([]);
}, 180_000);
