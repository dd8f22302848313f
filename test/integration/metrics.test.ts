/** What a node tells Prometheus: well-formed and well-named by the judgement of Prometheus's own tool. */
import { spawnSync } from 'node:child_process';
import { afterEach, expect, inject, test } from 'vitest';
import { call, get, put, remove } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { newName, produce } from './cluster.ts';
import { startFakePeer } from './fake-peer.ts';
import { newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

afterEach(cleanUp);

test('promtool finds nothing to complain of', async () => {
  const peer = await startFakePeer({ applied: '0:0' });
  const topic = newName('metrics');
  const node = startNode(await newPlace(), {
    BROKER_LIST: inject('brokers').join(','),
    KAFKA_TOPIC: topic,
    BITACORA_MEMBERS: peer.address,
  });
  await node.ready();
  // Something of everything, so that no metric is judged empty.
  await put(node, 'k', 'v');
  await get(node, 'k');
  await get(node, 'missing');
  await remove(node, 'k');
  await call(node.url, 'PUT', '/rpc');
  await call(node.url, 'GET', '/nowhere');
  await produce(inject('brokers'), topic, [{ partition: 0, key: Buffer.from([0xff]), value: 'x' }]);
  await until('a record is skipped', async () => (await node.metric('bitacora_log_records_skipped_total')) === 1);

  const { headers, body } = await call(node.url, 'GET', '/metrics');
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
  if (checked.error !== undefined)
    throw new Error("promtool is missing: install Debian's package prometheus, without starting its service");
  expect(`${checked.stdout}${checked.stderr}`).toBe('');
  expect(checked.status).toBe(0);
  for (const name of [
    'bitacora_build_info',
    'bitacora_ready',
    'bitacora_keys',
    'bitacora_members',
    'bitacora_log_lag_records',
    'bitacora_log_records_applied_total',
    'bitacora_log_append_duration_seconds_count',
    'bitacora_http_request_duration_seconds_count',
    'bitacora_peer_requests_total',
    'bitacora_reads_total',
    'bitacora_seed_asked_total',
    'bitacora_seed_given_total',
  ]) {
    expect(body, name).toMatch(new RegExp(`^${name}[{ ]`, 'm'));
  }
});
