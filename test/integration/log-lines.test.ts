/** What a node says on a pipe: JSON lines, its progress while it restores, and never a key or a value. */
import { afterEach, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { call, get, put, remove } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { newName, produce } from './cluster.ts';
import { startFakePeer } from './fake-peer.ts';
import { startKafkaProxy } from './kafka-proxy.ts';
import { newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

const marker = 'shibboleth';

test('every line is JSON with its level, time and event; no key and no value is among them', async () => {
  const topic = newName('lines');
  const peer = await startFakePeer('hang');
  const node = startNode(await newPlace(), {
    BROKER_LIST: inject('brokers').join(','),
    KAFKA_TOPIC: topic,
    BITACORA_PARTITIONS: '2',
    BITACORA_MEMBERS: peer.address,
  });
  await node.ready();
  await put(node, `${marker}-key`, `${marker}-value`);
  await get(node, `${marker}-key`);
  // Often enough for the peer to be given up, which is logged.
  for (let i = 0; i < 6; i++) await get(node, `${marker}-missing-${i}`);
  await node.said('peers.paused');
  await remove(node, `${marker}-key`);
  await put(node, `${marker}-${'k'.repeat(1_024)}`, 'x');
  await put(node, `\0${marker}`, 'x');
  await call(node.url, 'POST', `/rpc?key=${marker}`);
  await call(node.url, 'POST', `/rpc?key=${marker}&value=%zz`);
  await call(node.url, 'GET', `/${marker}`);
  const key = `${marker}-raw`;
  const partition = partitionOf(bytesOf(key), 2);
  await produce(inject('brokers'), topic, [
    { partition, key, value: `${marker}-value`, headers: { op: marker } },
    { partition: 1 - partition, key, value: `${marker}-value` },
    { partition, key: Buffer.concat([Buffer.from(marker), Buffer.from([0xff])]), value: marker },
  ]);
  await until('they are skipped', async () => (await node.metric('bitacora_log_records_skipped_total')) === 3);
  expect((await node.end()).code).toBe(0);

  expect(node.output().endsWith('\n')).toBe(true);
  for (const line of node.lines) {
    expect(line.level).toMatch(/^(info|warn|error)$/);
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(line.event).toMatch(/^[a-z-]+(\.[a-z-]+)+$/);
    expect(line.msg).not.toBe('');
  }
  expect(node.lines.map(({ event }) => event)).toEqual(
    expect.arrayContaining(['node.listening', 'node.ready', 'node.draining', 'node.stopped']),
  );
  expect(node.output()).not.toContain(marker);
  expect(node.errors()).toBe('');
});

test('a line of progress while the node restores', async () => {
  const proxy = await startKafkaProxy(inject('brokers')[0] as string);
  proxy.hold();
  const node = startNode(await newPlace(), { BROKER_LIST: proxy.broker, KAFKA_TOPIC: newName('progress') });
  const line = await node.said('restore.progress');
  expect(line).toMatchObject({ level: 'info', percent: expect.any(Number), records: expect.any(Number) });
  expect(line['state']).toMatch(/^(starting|restoring)$/);
  proxy.release();
  await node.ready(60_000);
});
