/** `POST /rpc` at 64 connections against real Kafka, against the rate of one connection: what group commit is worth. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KafkaService } from '../test/services/kafka.ts';
import { load } from './load.ts';
import { startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';

const rounds = Number(process.env['ROUNDS'] ?? 3);

export async function benchPost(kafka: KafkaService): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  const topic = `bench-post-${randomUUID().slice(0, 8)}`;
  const node = await startNodeProcess({ BROKER_LIST: kafka.brokers.join(','), KAFKA_TOPIC: topic, BITACORA_DATA_DIR: data });
  const one: number[] = [];
  const many: number[] = [];
  let p99 = 0;
  try {
    await node.until('node.ready');
    const url = `${node.url}/rpc?key=hello&value=${'v'.repeat(100)}`;
    for (let round = 0; round < rounds; round++) {
      one.push((await load({ url, connections: 1, seconds: 4, method: 'POST' })).perSecond);
      const result = await load({ url, connections: 64, seconds: 4, method: 'POST' });
      many.push(result.perSecond);
      p99 = result.p99Ms;
    }
  } finally {
    await node.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  }
  line(`POST /rpc at 1 connection: ${one.map(Math.round).join(', ')}/s; at 64: ${many.map(Math.round).join(', ')}/s, p99 ${p99} ms`);
  ratio('POST /rpc, 64 connections / 1', median(many) / median(one), 8);
}
