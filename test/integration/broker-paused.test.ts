/** The broker frozen and continued, eight times, under concurrent writes: every acknowledged write is there, no refused one is. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type KafkaService, startKafka } from '../services/kafka.ts';
import { valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, differences, settled, startNodes } from './cluster.ts';
import { Ledger } from './ledger.ts';
import type { NodeProcess } from './node-process.ts';
import { until } from './until.ts';

const times = 8;
const frozenMs = 2_600;
/** Acknowledged between two freezes, so that a slow machine tries as much as a fast one. */
const writesBetween = 30;

let kafka: KafkaService;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await cleanUp();
  await kafka?.stop();
});

test('eight freezes under writes through three nodes', async () => {
  // Less patience than a freeze lasts: some writes are refused and some of unknown fate, which is what is to be told apart.
  const settings = { ...clusterSettings(kafka.brokers, inject('zookeeperHosts')), BITACORA_WRITE_TIMEOUT: '1500' };
  const nodes = await startNodes(3, settings);
  const ledger = new Ledger();
  let over = false;
  const lane = async (node: NodeProcess, name: string): Promise<void> => {
    for (let i = 0; !over; i++) {
      // One key of its own for every write, and one that is overwritten, deleted and written again.
      await ledger.write(node, `${name}-${i}`, `value ${i}`);
      await ledger.write(node, `${name}-again`, i % 7 === 6 ? undefined : `again ${i}`);
    }
  };
  const lanes = nodes.flatMap((node) => Array.from({ length: 8 }, (_, i) => lane(node, `${node.port}-${i}`)));
  const someAreWritten = async (): Promise<void> => {
    const enough = ledger.counts.done + writesBetween;
    await until(`${enough} writes acknowledged`, async () => ledger.counts.done >= enough);
  };
  for (let time = 0; time < times; time++) {
    await someAreWritten();
    await kafka.pause();
    await pause(frozenMs);
    await kafka.resume();
  }
  await someAreWritten();
  over = true;
  await Promise.all(lanes);
  process.stdout.write(`eight freezes: ${JSON.stringify(ledger.counts)}\n`);

  await settled(kafka.brokers, settings.KAFKA_TOPIC, nodes);
  for (const node of nodes) expect(await ledger.wrongAt((key) => valueAt(node, key))).toEqual([]);
  expect(await differences(nodes, ledger.keys)).toEqual([]);
  // The test has tried what it is there for.
  expect(ledger.counts.unknown + ledger.counts.refused).toBeGreaterThan(0);
  for (const node of nodes) {
    await node.ready();
    expect(await node.metric('bitacora_store_rebuilds_total')).toBe(0);
  }
}, 150_000);
