/** A key deleted while a node was away stays deleted on it after its return. */
import { afterEach, expect, inject, test } from 'vitest';
import { get, getOwn, put, remove } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, differences, settled, startNodes } from './cluster.ts';
import { inParallel } from './ledger.ts';
import { type NodeProcess, startNode } from './node-process.ts';

afterEach(cleanUp);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'a node away by %s while keys are deleted',
  async (signal) => {
    const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
    const nodes = await startNodes(3, settings);
    const [one, two, away] = nodes as [NodeProcess, NodeProcess, NodeProcess];
    const topic = settings.KAFKA_TOPIC;
    const keys = Array.from({ length: 60 }, (_, i) => `key-${i}`);
    await inParallel(keys, 16, (key) => put(one, key, 'value'));
    await settled(inject('brokers'), topic, nodes);
    expect((await getOwn(away, 'key-0')).status).toBe(200);
    await away.end(signal);

    const [deleted, kept] = [keys.slice(0, 40), keys.slice(40)];
    await inParallel(deleted, 16, async (key) => expect((await remove(two, key)).status).toBe(200));
    // Deleted and written again: this one is there.
    await put(one, 'key-0', 'anew');

    // Asked by itself alone: whatever it says is from its own state.
    const back = startNode(away, { ...settings, PEER_READS: 'never' });
    await back.ready();
    for (const key of deleted.slice(1)) expect((await get(back, key)).status, key).toBe(404);
    for (const key of kept) expect((await get(back, key)).status, key).toBe(200);
    await settled(inject('brokers'), topic, [one, two, back]);
    expect(await differences([one, two, back], keys)).toEqual([]);

    await back.end(signal);
    const again = startNode(away, settings);
    await again.ready();
    for (const key of deleted.slice(1)) expect((await get(again, key)).status, key).toBe(404);
    expect((await get(again, 'key-0')).status).toBe(200);
  },
  90_000,
);
