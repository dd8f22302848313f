/**
 * Restore of 1,000,000 records from a real Kafka, against what bare kafkajs reads from the same topic; the memory after it; and a warm
 * restart after kill -9. `RECORDS=100000` for a quick look.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { partitionOf } from '../src/core/partitioner.ts';
import { putRecord } from '../src/core/record.ts';
import type { LogIdentity } from '../src/ports.ts';
import { openKafkaLog } from '../storage/log/kafka/kafka-log.ts';
import { silentLogger } from '../test/contract/silent-logger.ts';
import type { KafkaService } from '../test/services/kafka.ts';
import { startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';

export const records = Number(process.env['RECORDS'] ?? 1_000_000);
export const rounds = Number(process.env['ROUNDS'] ?? 3);

export async function benchRestore(kafka: KafkaService): Promise<void> {
  const topic = `bench-restore-${randomUUID().slice(0, 8)}`;
  await fill(kafka, topic);
  line(`${records} records in the topic`);
  const bare: number[] = [];
  const node: number[] = [];
  let resident = 0;
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  try {
    // In turn, so that a slow minute of the machine hits both.
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareRate(kafka, topic));
      rmSync(data, { recursive: true, force: true });
      const started = await startNodeProcess(settings(kafka, topic, data));
      // From where it begins to read: bare kafkajs makes no preflight either.
      const reading = await started.until('node.state');
      const ready = await started.until('node.ready');
      node.push(records / ((ready - reading) / 1_000));
      resident = started.residentMb();
      await started.end('SIGKILL');
    }
    line(`bare kafkajs eachBatch: ${bare.map(perSecond).join(', ')}`);
    line(`restore into memory and LevelDB: ${node.map(perSecond).join(', ')}; resident ${Math.round(resident)} MB (at most 450)`);
    ratio('restore / bare kafkajs', median(node) / median(bare), 0.45);
    await warm(kafka, topic, data);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

/** The store of the last round, killed with -9; a few records come while it is away. */
async function warm(kafka: KafkaService, topic: string, data: string): Promise<void> {
  const log = await openLog(kafka, topic);
  for (let i = 0; i < 100; i++) {
    const record = recordOf(i);
    await log.append(partitionOf(record.key, log.identity.partitions), record);
  }
  await log.close();
  const started = await startNodeProcess(settings(kafka, topic, data));
  const ready = await started.until('node.ready');
  const read = await started.metric('bitacora_log_records_applied_total');
  await started.end('SIGTERM');
  line(
    `warm restart after kill -9, process start to ready: ${Math.round(ready)} ms (at most 2000; group.initial.rebalance.delay.ms is 0 here)`,
  );
  line(`records it read: ${read} (100 were new)`);
}

export function settings(kafka: KafkaService, topic: string, data: string): Record<string, string> {
  return { BROKER_LIST: kafka.brokers.join(','), KAFKA_TOPIC: topic, BITACORA_DATA_DIR: data };
}

const openLog = (kafka: KafkaService, topic: string) =>
  openKafkaLog({
    topic,
    brokers: kafka.brokers,
    partitions: 8,
    replication: 1,
    compactionLagMs: 3_600_000,
    deleteRetentionMs: 7 * 86_400_000,
    recordBytes: 1_010_000,
    create: true,
    connection: { brokers: kafka.brokers, clientId: 'bench', tls: false, sasl: undefined },
    node: 'bench',
    logger: silentLogger,
  });

const value = Buffer.alloc(100, 'v');

export const keyOf = (i: number): string => `key-${String(i).padStart(12, '0')}`;

/** 16-byte keys, 100-byte values, and the headers that a node writes. */
function recordOf(i: number) {
  return putRecord(Buffer.from(keyOf(i)), value, { id: randomUUID(), by: `127.0.0.1:8082/8f14e45f/${i + 1}` });
}

/** Resolves with the identity of the log. */
export async function fill(kafka: KafkaService, topic: string): Promise<LogIdentity> {
  const log = await openLog(kafka, topic);
  for (let i = 0; i < records; i += 8_000) {
    const some = Array.from({ length: Math.min(8_000, records - i) }, (_, j) => recordOf(i + j));
    await Promise.all(some.map((record) => log.append(partitionOf(record.key, log.identity.partitions), record)));
  }
  await log.close();
  return log.identity;
}

async function bareRate(kafka: KafkaService, topic: string): Promise<number> {
  const client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING });
  const consumer = client.consumer({ groupId: randomUUID() });
  const began = performance.now();
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let seen = 0;
  await new Promise<void>((resolve) => {
    void consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 8,
      eachBatch: async ({ batch }) => {
        seen += batch.messages.length;
        if (seen >= records) resolve();
      },
    });
  });
  const rate = records / ((performance.now() - began) / 1_000);
  await consumer.disconnect();
  return rate;
}

export const perSecond = (rate: number): string => `${Math.round(rate / 1_000)} k/s`;
