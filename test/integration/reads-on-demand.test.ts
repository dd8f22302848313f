/** Reads that ask for more than a node has: sessions over three nodes, the log's end, and barriers. */
import { afterEach, expect, inject, test } from 'vitest';
import { cleanUp } from './clean-up.ts';
import { clusterSettings, startNodes } from './cluster.ts';
import { inParallel } from './ledger.ts';
import type { NodeProcess } from './node-process.ts';
import { tokenIn, v1Get, v1Put } from './v1-calls.ts';

afterEach(cleanUp);

const pairs = 10_000;
const lanes = 16;

test('ten thousand writes are seen by the read that follows on another node, by token, by the log’s end, and behind a barrier', async () => {
  const settings = clusterSettings(inject('brokers'), inject('zookeeperHosts'));
  const nodes = (await startNodes(3, settings)) as [NodeProcess, NodeProcess, NodeProcess];
  let stale = 0;
  const ways = { session: 0, latest: 0, linearizable: 0 };
  await inParallel(
    Array.from({ length: lanes }, (_, lane) => lane),
    lanes,
    async (lane) => {
      for (let i = 0; i < pairs / lanes; i++) {
        const [writer, reader] = [nodes[(lane + i) % 3] as NodeProcess, nodes[(lane + i + 1) % 3] as NodeProcess];
        const [key, value] = [`key-${lane}-${i % 50}`, `${i}`];
        const written = await v1Put(writer, key, value);
        expect(written.status, written.body).toBe(200);
        // Most by token; the others ask the log.
        const way = i % 20 === 0 ? 'linearizable' : i % 10 === 5 ? 'latest' : 'session';
        const headers = way === 'session' ? { 'bitacora-min-position': tokenIn(written) } : {};
        const read = await v1Get(reader, key, `?consistency=${way}`, headers as Record<string, string>);
        expect(read.status, read.body).toBe(200);
        if (read.body !== value) stale++;
        ways[way]++;
      }
    },
  );
  expect(stale).toBe(0);
  expect(ways.session + ways.latest + ways.linearizable).toBe(pairs);
  expect(Math.min(ways.latest, ways.linearizable)).toBeGreaterThan(400);
}, 300_000);
