/** A node makes its state anew while somebody takes an export of it, or deletes all there is: neither is told that a part is all. */
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExportReader } from '../../wire/export-reader.ts';
import { call } from './calls.ts';
import { cleanUp } from './clean-up.ts';
import { inParallel } from './ledger.ts';
import { fill } from './moving.ts';
import { type NodeProcess, newPlace, startNode } from './node-process.ts';
import { until } from './until.ts';

/** Restored first, as they stand first in the log. */
const small = 60_000;
/** Told first, by their names: a page of them, 8 MiB, is more than lies in the buffers between a node and its client. */
const large = 2_000;

let node: NodeProcess;
beforeAll(async () => {
  node = startNode(await newPlace(), {});
  await node.ready();
  await fill(node, small);
  const value = 'x'.repeat(16_000);
  const starts = Array.from({ length: large / 50 }, (_, i) => i * 50);
  await inParallel(starts, 4, async (start) => {
    const operations = Array.from({ length: 50 }, (_, i) => ({ op: 'put', key: `big/${start + i}`, value }));
    const headers = { 'content-type': 'application/json' };
    expect((await call(node.url, 'POST', '/v1/batch', { headers, body: JSON.stringify({ operations }) })).status).toBe(200);
  });
}, 180_000);
afterAll(cleanUp);

/** Resolves when some of the log is in the node's new state, and seldom all of it. */
async function resync(): Promise<void> {
  expect((await call(node.url, 'POST', '/v1/node/resync')).status).toBe(202);
  await until('a part of its state is there', async () => {
    const { state, entries } = await node.status();
    return state !== 'restoring' || (entries > 0 && entries < small / 2);
  });
}

/** An answer of which only the beginning is taken; `take` reads on to the end. */
async function begun(path: string): Promise<{ take(): Promise<string[]> }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${node.url}${path}`, { agent: false }, resolve).on('error', reject).end();
  });
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    response.pause();
  });
  await until('some of it has come', () => text.length > 0);
  response.removeAllListeners('data');
  return {
    take: () =>
      new Promise((resolve, reject) => {
        response.on('error', reject).on('end', () => resolve(text.trim().split('\n')));
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.resume();
      }),
  };
}

test('an export goes on from its cursor, and is whole in the end', async () => {
  const exported = await begun('/v1/export?consistency=latest');
  await resync();
  const lines = await exported.take();
  await node.ready();

  const reader = new ExportReader();
  let [items, position, cursor] = [0, '', ''];
  for (let part = lines; ; ) {
    for (const line of part) {
      const told = reader.take(Buffer.from(line));
      if (told.kind === 'item') items++;
      if (told.kind === 'header') position = told.position;
      if (told.kind === 'cursor') cursor = told.cursor;
    }
    if (reader.whole) break;
    const headers = { 'bitacora-min-position': position };
    const more = await call(node.url, 'GET', `/v1/export?cursor=${cursor}`, { headers });
    expect(more.status).toBe(200);
    part = more.body.trim().split('\n');
  }
  expect(items).toBe(small + large);
}, 120_000);

test('a prefix is deleted, or not all of it, and never seems to be', async () => {
  await resync();
  // 11,111 keys, more than one request deletes.
  const prefix = 'filled/1';
  const told = await call(node.url, 'DELETE', `/v1/kv?prefix=${prefix}&confirm=${prefix}`, { limitMs: 60_000 });
  const body = JSON.parse(told.body) as { deleted: number };
  expect([told.status, body]).toMatchObject(told.status === 200 ? [200, { more: true }] : [503, { deleted: 0 }]);
  await node.ready();
  const left = await call(node.url, 'GET', `/v1/kv?prefix=${prefix}&count=1&consistency=latest`);
  expect(JSON.parse(left.body)).toEqual({ count: 11_111 - body.deleted, more: false });
}, 120_000);
