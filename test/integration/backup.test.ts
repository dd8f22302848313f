/**
 * Whole stores through real nodes: backed up while they are written to, restored, followed on from there; and what is left when Kafka has lost
 * the topic, written into the new one.
 */
import { spawn } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { get, put, remove, valueAt } from './calls.ts';
import { atCleanUp, cleanUp, forget, newDirectory, watchOver } from './clean-up.ts';
import { type ClusterSettings, clusterSettings, createTopic, knows, newName, produce, settled, startNodes, withAdmin } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, newPlace, type Place, startNode } from './node-process.ts';
import { bitacora } from './shell.ts';
import { until } from './until.ts';
import { tokenIn, v1Get, v1Put, versionIn } from './v1-calls.ts';

afterEach(cleanUp);

const partitions = 4;
const compacted = { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime', 'min.compaction.lag.ms': '3600000' };
const settingsFor = (name: string): ClusterSettings => ({
  ...clusterSettings(inject('brokers'), inject('zookeeperHosts'), name),
  BITACORA_PARTITIONS: String(partitions),
});
const dataOf = ({ directory }: Place): string => join(directory, 'data');
const namesIn = async (place: Place): Promise<string[]> => (await readdir(dataOf(place))).filter((name) => /^store/.test(name)).sort();
const applied = (node: NodeProcess): Promise<number> => node.metric('bitacora_log_records_applied_total');

/** Values as another producer would write them. */
async function filled(topic: string, count: number): Promise<void> {
  const keys = Array.from({ length: count }, (_, i) => `key-${i}`);
  const value = (key: string): string => `value of ${key} ${'x'.repeat(60)}`;
  const records = keys.map((key) => ({ partition: partitionOf(bytesOf(key), partitions), key, value: value(key) }));
  await produce(inject('brokers'), topic, records);
}

test('backed up while written to, restored elsewhere, and followed on from that position', async () => {
  const count = 20_000;
  const settings = settingsFor(newName('backup'));
  const [node] = (await startNodes(1, settings)) as [NodeProcess];
  await filled(settings.KAFKA_TOPIC, count);
  await inParallel(
    Array.from({ length: 20 }, (_, i) => `key-${i}`),
    8,
    (key) => remove(node, key),
  );
  const version = versionIn(await v1Put(node, 'conditional', 'a'));
  expect((await v1Put(node, 'conditional', 'b', { 'if-match': `"${version}"`, 'idempotency-key': 'once' })).status).toBe(200);
  await settled(inject('brokers'), settings.KAFKA_TOPIC, [node]);

  // Conditional writes go on all the while: at any moment some are not settled yet.
  let [over, written] = [false, 0];
  const writing = (async () => {
    for (let tag: string | undefined; !over || written < 20; written++) {
      const condition: Record<string, string> = tag === undefined ? { 'if-none-match': '*' } : { 'if-match': `"${tag}"` };
      const answer = await v1Put(node, 'counter', String(written), condition);
      expect([200, 201]).toContain(answer.status);
      tag = versionIn(answer);
    }
  })();
  await until('some are written', () => written > 5);
  const file = join(await newDirectory(), 'all');
  const saved = await bitacora('backup', '-o', file, '-e', node.url);
  over = true;
  await writing;
  expect([saved.code, saved.err]).toEqual([0, expect.stringContaining(`genesis   ${(await node.status()).genesis}`)]);
  const checked = await bitacora('backup', '--check', file);
  expect([checked.code, checked.out]).toEqual([0, expect.stringMatching(/ is whole: [\d,]+ rows.*\n.*position/)]);

  // Killed in the middle, or at its end: what is there then is nothing, or all of it.
  const place = await newPlace();
  await killedRestore(file, place);
  const again = await bitacora('restore', file, '--data', dataOf(place), '--force');
  expect([again.code, again.err]).toEqual([0, expect.stringMatching(/restored /)]);
  expect(await namesIn(place)).toEqual(expect.not.arrayContaining(['store.seed']));

  const back = startNode(place, settings);
  await back.ready();
  // The records before the position are not read again.
  expect(await applied(back)).toBeLessThan(written * 3 + 1_000);
  expect(back.lines.some(({ event }) => event === 'store.rebuild' || event === 'seed.wanted')).toBe(false);
  await knows(back, 1);
  const verified = await bitacora('verify', '-e', back.url);
  expect([verified.code, verified.out]).toEqual([0, expect.stringMatching(/all 2 agree/)]);
  expect(await valueAt(back, `key-${count - 1}`)).toContain(`value of key-${count - 1}`);
  expect(await valueAt(back, 'counter')).toBe(String(written - 1));
  expect((await get(back, 'key-7')).status).toBe(404);
  const repeated = await v1Put(back, 'conditional', 'b', { 'if-match': '"0:0"', 'idempotency-key': 'once' });
  expect([repeated.status, await valueAt(back, 'conditional')]).toEqual([200, 'b']);

  // While it runs neither is possible; stopped, its directory is as good as a node.
  expect((await bitacora('restore', file, '--data', dataOf(place), '--force')).err).toContain('directory-locked');
  expect((await bitacora('backup', '-o', `${file}-2`, '--data', dataOf(place))).err).toContain('directory-locked');
  await back.end();
  expect((await bitacora('backup', '-o', `${file}-2`, '--data', dataOf(place))).code).toBe(0);
}, 180_000);

/** kill -9 as soon as it has begun to write a store. */
async function killedRestore(file: string, place: Place): Promise<void> {
  const child = spawn(process.execPath, [resolve('dist/src/app/main.js'), 'restore', file, '--data', dataOf(place)], { stdio: 'ignore' });
  watchOver(child.pid as number);
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  atCleanUp(() => child.kill('SIGKILL'));
  await until('it has begun', async () => (await namesIn(place).catch(() => [])).length > 0);
  child.kill('SIGKILL');
  await gone;
  forget(child.pid as number);
}

/** As an accident does it: all records are gone, the topic is there. */
async function lose(topic: string): Promise<void> {
  const brokers = inject('brokers');
  await withAdmin(brokers, async (admin) => {
    await admin.deleteTopics({ topics: [topic] });
    await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic));
  });
  await createTopic(brokers, topic, partitions, compacted);
}

test('Kafka has lost the topic: no node destroys what it holds, and one of them brings it back', async () => {
  const settings = settingsFor(newName('lost'));
  const nodes = (await startNodes(2, settings)) as [NodeProcess, NodeProcess];
  const [one] = nodes;
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  await inParallel(keys, 8, (key) => put(one, key, `value of ${key}`));
  for (const key of keys.slice(0, 10)) expect((await remove(one, key)).status).toBe(200);
  const created = await v1Put(one, 'conditional', 'a', { 'if-none-match': '*', 'content-type': 'text/x' });
  const changed = await v1Put(one, 'conditional', 'b', { 'if-match': `"${versionIn(created)}"`, 'content-type': 'text/x' });
  expect(changed.status).toBe(200);
  const [token, version] = [tokenIn(changed), versionIn(changed)];
  await settled(inject('brokers'), settings.KAFKA_TOPIC, nodes);
  const oldGenesis = (await one.status()).genesis;
  await Promise.all(nodes.map((node) => node.end()));
  await lose(settings.KAFKA_TOPIC);

  const kept: string[] = [];
  let again = nodes.map((node) => startNode(node, settings)) as [NodeProcess, NodeProcess];
  for (const node of again) {
    const { place, msg } = await node.said('store.kept', 60_000);
    expect(msg).toContain(`bitacora republish --store ${place as string}`);
    kept.push(place as string);
    await node.ready(60_000);
    expect((await get(node, 'key-42')).status).toBe(404);
  }
  expect(kept.map((place) => place.endsWith('store.other-log-1'))).toEqual([true, true]);

  // It happens again, with little written meanwhile, and a disk has its day besides: the old data stay where they are.
  for (let round = 0; round < 3; round++) {
    expect((await put(again[0], 'little', String(round))).status).toBe(200);
    await settled(inject('brokers'), settings.KAFKA_TOPIC, again);
    await Promise.all(again.map((node) => node.end()));
    if (round === 1) await rm(join(dataOf(again[1]), 'store', 'CURRENT'));
    else await lose(settings.KAFKA_TOPIC);
    again = again.map((node) => startNode(node, settings)) as [NodeProcess, NodeProcess];
    await Promise.all(again.map((node) => node.said('node.ready', 60_000)));
    await Promise.all(again.map((node) => node.ready(60_000)));
  }
  await Promise.all(again.map((node) => knows(node, 1)));
  for (const node of again) expect(await namesIn(node)).toEqual(expect.arrayContaining(['store.other-log-1', 'store.other-log-1.json']));

  const [place] = kept as [string, string];
  const dry = await bitacora('republish', '--store', place, '-e', again[1].url, '--dry-run');
  expect([dry.code, dry.out]).toEqual([0, expect.stringContaining(`genesis   ${oldGenesis}`)]);
  const done = await bitacora('republish', '--store', place, '-e', again[1].url);
  expect([done.code, done.err]).toEqual([0, expect.stringMatching(/: 291 written, in .*\n {2}keys +291 with a value, 10 deleted/)]);
  await settled(inject('brokers'), settings.KAFKA_TOPIC, again);
  for (const node of again) {
    await inParallel(keys, 8, async (key) => {
      const index = Number(key.slice('key-'.length));
      expect(await valueAt(node, key)).toBe(index < 10 ? undefined : `value of ${key}`);
    });
    const conditional = await v1Get(node, 'conditional');
    expect([conditional.body, conditional.headers['content-type']]).toEqual(['b', 'text/x']);
    // What was seen of the old log says nothing of this one.
    const stale = await v1Get(node, 'conditional', '', { 'bitacora-min-position': token });
    expect([stale.status, JSON.parse(stale.body)]).toMatchObject([409, { code: 'position-foreign' }]);
    expect(versionIn(conditional)).not.toBe(version);
    expect((await v1Put(node, 'conditional', 'c', { 'if-match': `"${version}"` })).status).toBe(412);
    expect((await v1Put(node, 'conditional', 'c', { 'if-match': changed.headers.etag as string })).status).toBe(409);
  }
  const verified = await bitacora('verify', '-e', again[0].url);
  expect([verified.code, verified.out]).toEqual([0, expect.stringMatching(/all 2 agree/)]);
  // And not twice by mistake.
  expect((await bitacora('republish', '--store', place, '-e', again[1].url)).code).toBe(4);
}, 240_000);

test('the embedded log is lost: its node keeps the store, and a backup brings it back, too', async () => {
  const place = await newPlace();
  const node = startNode(place, {});
  await node.ready();
  await put(node, 'here', 'to stay');
  await put(node, 'gone', 'x');
  await remove(node, 'gone');
  await until('the log has its identity', async () => (await node.status()).genesis !== null);
  const file = join(place.directory, 'all');
  expect((await bitacora('backup', '-o', file, '-e', node.url)).code).toBe(0);
  await node.end();
  await rm(join(dataOf(place), 'log'), { recursive: true });
  const back = startNode(place, {});
  expect((await back.said('store.kept'))['place']).toBe(join(dataOf(place), 'store.other-log-1'));
  await back.ready();
  expect((await bitacora('republish', '--backup', file, '-e', back.url)).code).toBe(0);
  expect([await valueAt(back, 'here'), await valueAt(back, 'gone')]).toEqual(['to stay', undefined]);
  expect((await bitacora('republish', '--store', join(dataOf(place), 'store.other-log-1'), '-e', back.url)).code).toBe(4);
}, 60_000);
