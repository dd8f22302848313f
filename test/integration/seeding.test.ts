/** A node that is new to a long log takes its state from another, and follows the log from there; from the log alone where nobody gives one. */
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { call, put, remove, valueAt } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { type ClusterSettings, clusterSettings, knows, produce, settled } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { bitacora } from './shell.ts';
import { until } from './until.ts';
import { v1Put, versionIn } from './v1-calls.ts';

afterEach(cleanUp);

const count = 60_000;
let settings: ClusterSettings;
let giver: NodeProcess;

/** More records than a node would rather read itself, and some of every kind that leaves more behind than a value. */
beforeEach(async () => {
  settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  giver = startNode(await newPlace(), settings);
  await giver.ready();
  for (let from = 0; from < count; from += 10_000) {
    const records = Array.from({ length: 10_000 }, (_, i) => `key-${from + i}`);
    await produce(
      inject('brokers'),
      settings.KAFKA_TOPIC,
      records.map((key) => ({ partition: partitionOf(bytesOf(key), 8), key, value: `value of ${key} ${'x'.repeat(60)}` })),
    );
  }
  await inParallel(
    Array.from({ length: 20 }, (_, i) => `key-${i}`),
    8,
    (key) => remove(giver, key),
  );
  const version = versionIn(await v1Put(giver, 'conditional', 'a'));
  expect((await v1Put(giver, 'conditional', 'b', { 'if-match': `"${version}"`, 'idempotency-key': 'once' })).status).toBe(200);
  await settled(inject('brokers'), settings.KAFKA_TOPIC, [giver]);
}, 90_000);

const applied = (node: NodeProcess): Promise<number> => node.metric('bitacora_log_records_applied_total');

/** Both sides count the same store, once: rows are 20 bytes and more. */
async function expectCounted(taker: NodeProcess): Promise<void> {
  const taken = await taker.said('seed.taken');
  expect(await taker.metric('bitacora_seed_asked_total')).toBe(1);
  expect(await taker.metric('bitacora_seed_asked_total', 'outcome="taken"')).toBe(1);
  expect(await taker.metric('bitacora_seed_taking')).toBe(0);
  const rows = await taker.metric('bitacora_seed_taken_rows_total');
  expect([rows, rows >= count]).toEqual([taken['rows'], true]);
  const bytes = await taker.metric('bitacora_seed_taken_bytes_total');
  expect(bytes).toBeGreaterThan(20 * count);
  await until('its giver knows that it is taken', async () => (await giver.metric('bitacora_seed_given_total', 'outcome="taken"')) === 1);
  expect(await giver.metric('bitacora_seed_given_total')).toBe(1);
  expect(await giver.metric('bitacora_seed_given_bytes_total')).toBe(bytes);
}

test('from a peer: no record of the log is read twice, and all agree; what came meanwhile is there, too', async () => {
  const fresh = startNode(await newPlace(), settings);
  let written = 0;
  const writing = until('the new one has its state', async () => {
    await put(giver, `meanwhile-${written}`, String(written));
    written++;
    return fresh.lines.some(({ event }) => event === 'seed.taken');
  });
  await writing;
  await fresh.ready();
  expect(await applied(fresh)).toBeLessThan(1_000);
  await expectCounted(fresh);
  await knows(fresh, 1);
  const verified = await bitacora('verify', '-e', fresh.url);
  expect([verified.code, verified.out]).toEqual([0, expect.stringMatching(/all 2 agree/)]);
  expect(await valueAt(fresh, 'key-59999')).toContain('value of key-59999');
  expect(await valueAt(fresh, 'key-7')).toBeUndefined();
  // The answer to the key was given by another, and came with the state.
  const repeated = await v1Put(fresh, 'conditional', 'b', { 'if-match': '"0:0"', 'idempotency-key': 'once' });
  expect([repeated.status, await valueAt(fresh, 'conditional')]).toEqual([200, 'b']);
  for (let i = 0; i < written; i++) expect(await valueAt(fresh, `meanwhile-${i}`)).toBe(String(i));
  // Started again it goes on from its own.
  await fresh.end('SIGKILL');
  const again = startNode(fresh, settings);
  await again.ready();
  expect(again.lines.some(({ event }) => event === 'seed.wanted')).toBe(false);
  expect(await applied(again)).toBeLessThan(1_000);
}, 120_000);

test('its giver is killed in the middle: it goes on with the log, and holds all of it', async () => {
  await giver.end();
  giver = startNode(giver, { ...settings, BITACORA_SEED_RATE: '1' });
  await giver.ready();
  const fresh = startNode(await newPlace(), settings);
  await until('it is taking a state', async () => {
    const { progress } = JSON.parse((await call(fresh.url, 'GET', '/v1/node')).body) as { progress: number };
    return progress > 0.05 && progress < 0.9;
  });
  expect(await fresh.metric('bitacora_seed_taking')).toBe(1);
  giver.signal('SIGKILL');
  await fresh.ready(60_000);
  expect(await fresh.metric('bitacora_seed_asked_total', 'outcome="broken"')).toBe(1);
  expect(await fresh.metric('bitacora_seed_taking')).toBe(0);
  expect(fresh.lines.some(({ event }) => event === 'seed.taken')).toBe(false);
  expect(await applied(fresh)).toBeGreaterThan(count);
  const back = startNode(giver, settings);
  await back.ready();
  await knows(back, 1);
  expect((await bitacora('verify', '-e', back.url)).code).toBe(0);
}, 150_000);
