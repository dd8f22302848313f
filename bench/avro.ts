/**
 * The Avro face against the HTTP face of the same node: `getValue` with 32 calls in flight on one connection against `GET /rpc` at 32
 * connections, `setValue` with 64 against `POST /rpc` at 64. And, for what it is worth, the client library's `get` with 32 in flight.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../client/index.ts';
import type { KafkaService } from '../test/services/kafka.ts';
import { avroLoad } from './avro-load.ts';
import { type Load, load } from './load.ts';
import { startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';

const rounds = Number(process.env['ROUNDS'] ?? 3);
const seconds = 4;
const value = 'v'.repeat(100);

export async function benchAvro(kafka: KafkaService): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  const topic = `bench-avro-${randomUUID().slice(0, 8)}`;
  const node = await startNodeProcess({ BROKER_LIST: kafka.brokers.join(','), KAFKA_TOPIC: topic, BITACORA_DATA_DIR: data });
  const loads = { get: [] as Load[], getValue: [] as Load[], library: [] as Load[], post: [] as Load[], setValue: [] as Load[] };
  try {
    await node.until('node.ready');
    const url = `${node.url}/rpc?key=hello`;
    await fetch(`${url}&value=${value}`, { method: 'POST' });
    const avro = { port: node.avroPort, seconds };
    for (let round = 0; round < rounds; round++) {
      loads.get.push(await load({ url, connections: 32, seconds }));
      loads.getValue.push(await avroLoad({ ...avro, inFlight: 32, message: 'getValue', request: { key: 'hello' } }));
      loads.library.push(await libraryLoad(node.avroPort, 32));
      loads.post.push(await load({ url: `${url}&value=${value}`, connections: 64, seconds, method: 'POST' }));
      loads.setValue.push(await avroLoad({ ...avro, inFlight: 64, message: 'setValue', request: { key: 'hello', value } }));
    }
  } finally {
    await node.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  }
  line(`GET /rpc at 32 connections: ${told(loads.get)}`);
  line(`getValue with 32 in flight: ${told(loads.getValue)}`);
  line(`get of the client library with 32 in flight: ${told(loads.library)}`);
  ratio('getValue / GET /rpc', rate(loads.getValue) / rate(loads.get), 1.5);
  line(`POST /rpc at 64 connections: ${told(loads.post)}`);
  line(`setValue with 64 in flight: ${told(loads.setValue)}`);
  ratio('setValue / POST /rpc', rate(loads.setValue) / rate(loads.post), 1);
}

async function libraryLoad(port: number, inFlight: number): Promise<Load> {
  const client = await connect({ servers: [`127.0.0.1:${port}`] });
  const latencies: number[] = [];
  const lane = async (until: number, note: boolean): Promise<void> => {
    for (let now = performance.now(); now < until; ) {
      if ((await client.get('hello')) !== value) throw new Error('the client read something else');
      const then = performance.now();
      if (note) latencies.push(then - now);
      now = then;
    }
  };
  const lanes = (ms: number, note: boolean) => {
    const until = performance.now() + ms;
    return Promise.all(Array.from({ length: inFlight }, () => lane(until, note)));
  };
  try {
    await lanes(1_000, false);
    const began = performance.now();
    await lanes(seconds * 1_000, true);
    const perSecond = latencies.length / ((performance.now() - began) / 1_000);
    latencies.sort((a, b) => a - b);
    return { perSecond, p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN };
  } finally {
    await client.close();
  }
}

const rate = (loads: readonly Load[]): number => median(loads.map(({ perSecond }) => perSecond));
const told = (loads: readonly Load[]): string =>
  `${loads.map(({ perSecond }) => Math.round(perSecond)).join(', ')}/s, p99 ${median(loads.map(({ p99Ms }) => p99Ms)).toFixed(2)} ms`;
