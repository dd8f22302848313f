/**
 * `/v1` against real Kafka: what a condition costs a write, what sharing is worth to reads that ask the log, and how long one write takes to
 * a thousand watchers.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KafkaService } from '../test/services/kafka.ts';
import { load } from './load.ts';
import { startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';

const rounds = Number(process.env['ROUNDS'] ?? 3);
const watchers = 1_000;
const writesToWatch = 50;

export async function benchV1(kafka: KafkaService): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  const topic = `bench-v1-${randomUUID().slice(0, 8)}`;
  const node = await startNodeProcess({ BROKER_LIST: kafka.brokers.join(','), KAFKA_TOPIC: topic, BITACORA_DATA_DIR: data });
  try {
    await node.until('node.ready');
    await benchConditions(node.url);
    await benchReads(node.url);
    await benchWatchers(node.url);
  } finally {
    await node.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

interface Told {
  readonly status: number;
  readonly etag: string | undefined;
}

function put(url: string, key: string, value: string, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/v1/kv/${key}`, { method: 'PUT', agent, headers });
    outgoing.on('error', reject).on('response', (incoming: IncomingMessage) => {
      incoming.resume().on('end', () => resolve({ status: incoming.statusCode ?? 0, etag: incoming.headers.etag }));
    });
    outgoing.end(value);
  });
}

/** One writer after another, so that nothing stands in the way of a condition. */
async function benchConditions(url: string): Promise<void> {
  const plain: number[] = [];
  const conditional: number[] = [];
  const value = 'v'.repeat(100);
  for (let round = 0; round <= rounds; round++) {
    let { etag } = await put(url, 'conditional', value);
    const latencies: { readonly plain: number[]; readonly conditional: number[] } = { plain: [], conditional: [] };
    for (let i = 0; i < 300; i++) {
      const began = performance.now();
      await put(url, 'plain', value);
      const between = performance.now();
      const told = await put(url, 'conditional', value, { 'if-match': etag as string });
      if (told.status !== 200) throw new Error(`an uncontended conditional write was answered ${told.status}`);
      etag = told.etag;
      latencies.plain.push(between - began);
      latencies.conditional.push(performance.now() - between);
    }
    // The first round warms up.
    if (round === 0) continue;
    plain.push(median(latencies.plain));
    conditional.push(median(latencies.conditional));
  }
  line(`PUT: ${plain.map(inMs).join(', ')}; PUT with If-Match: ${conditional.map(inMs).join(', ')} (medians, one after another)`);
  ratio('PUT / PUT with If-Match, latency', median(plain) / median(conditional), 1 / 2.5);
}

async function benchReads(url: string): Promise<void> {
  await put(url, 'read', 'v'.repeat(100));
  for (const consistency of ['latest', 'linearizable']) {
    const target = `${url}/v1/kv/read?consistency=${consistency}`;
    const one: number[] = [];
    const many: number[] = [];
    for (let round = 0; round < rounds; round++) {
      one.push((await load({ url: target, connections: 1, seconds: 3 })).perSecond);
      many.push((await load({ url: target, connections: 64, seconds: 3 })).perSecond);
    }
    line(`GET ${consistency} at 1 connection: ${one.map(Math.round).join(', ')}/s; at 64: ${many.map(Math.round).join(', ')}/s`);
    ratio(`GET ${consistency}, 64 connections / 1`, median(many) / median(one), 10);
  }
}

async function benchWatchers(url: string): Promise<void> {
  const opened = await Promise.all(Array.from({ length: watchers }, () => openWatch(url)));
  const latencies: number[] = [];
  let slowestRead = 0;
  for (let i = 0; i < writesToWatch; i++) {
    const began = performance.now();
    const seen = Promise.all(opened.map((watch) => watch.next().then(() => latencies.push(performance.now() - began))));
    await put(url, 'watched', `${i}`);
    const read = performance.now();
    await put(url, 'other', 'x');
    slowestRead = Math.max(slowestRead, performance.now() - read);
    await seen;
  }
  for (const watch of opened) watch.close();
  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] as number;
  line(
    `one write to ${watchers} watchers: p99 ${inMs(p99)}, last ${inMs(latencies.at(-1) as number)}; slowest write beside it ${inMs(slowestRead)}`,
  );
  ratio(`100 ms / p99 of a write to ${watchers} watchers`, 100 / p99, 1);
}

interface Watch {
  /** Resolves with the next change. */
  next(): Promise<void>;
  close(): void;
}

/** Resolves when the watch has begun. */
function openWatch(url: string): Promise<Watch> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/v1/watch?key=watched`, { agent: false, headers: { accept: 'text/event-stream' } });
    outgoing.on('error', reject).on('response', (incoming: IncomingMessage) => {
      let wake = (): void => undefined;
      let begun = false;
      incoming.setEncoding('utf8').on('data', (text: string) => {
        if (!begun && text.includes('event: sync')) {
          begun = true;
          resolve({ next: () => new Promise((next) => (wake = next)), close: () => outgoing.destroy() });
        } else if (text.includes('event: put')) wake();
      });
      incoming.on('error', () => undefined);
    });
    outgoing.end();
  });
}

const inMs = (ms: number): string => `${ms.toFixed(1)} ms`;
