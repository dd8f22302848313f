/** Golden topics in a real Kafka, and golden data under a real process. */
import { join } from 'node:path';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { isSystemKey } from '../../src/core/keys.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { openKafkaLog } from '../../storage/log/kafka/kafka-log.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { cleanUp, newDirectory } from '../integration/clean-up.ts';
import { createTopic, kafkaClient, newName } from '../integration/cluster.ts';
import { newPlace, startNode } from '../integration/node-process.ts';
import { v1Get, versionIn } from '../integration/v1-calls.ts';
import { GoldenClock } from './golden-clock.ts';
import { follow, unpack, withStore } from './golden-node.ts';
import { type StateLine, stateOf } from './golden-state.ts';
import { type GoldenTopic, goldens, linesIn, recordOf, type TopicLine, topicOf } from './golden-topic.ts';

afterEach(cleanUp);

/** Writes the part of a topic that has no holes, with the times it has. */
async function produceEarly(brokers: readonly string[], name: string, { head, lines }: GoldenTopic): Promise<void> {
  const config = {
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'CreateTime',
    'min.compaction.lag.ms': String(head.compaction_lag_ms),
  };
  await createTopic(brokers, name, head.partitions, config);
  const producer = kafkaClient(brokers).producer();
  await producer.connect();
  try {
    const messageOf = (line: TopicLine) => {
      const { key, value, headers } = recordOf(line);
      const texts = Object.fromEntries(Object.entries(headers).map(([header, bytes]) => [header, Buffer.from(bytes)]));
      const bytes = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) };
      return { ...bytes, headers: texts, partition: line.partition, timestamp: String(line.time) };
    };
    await producer.send({ topic: name, acks: -1, messages: lines.filter(({ late }) => late !== true).map(messageOf) });
  } finally {
    await producer.disconnect();
  }
}

describe.each(goldens)('golden %s', (golden) => {
  const topic = topicOf(golden);
  const { head, lines } = topic;
  const state = (linesIn(golden, 'state.jsonl') as StateLine[]).filter((line) => line.state !== 'step');

  test('its topic in Kafka comes to its state', async () => {
    const brokers = inject('brokers');
    const name = newName('golden');
    await produceEarly(brokers, name, topic);
    const directory = join(await newDirectory(), 'store');
    const openLog = () =>
      openKafkaLog({
        ...{ topic: name, brokers, partitions: head.partitions, replication: 1, recordBytes: 100_000, create: false, node: 'golden' },
        ...{ compactionLagMs: head.compaction_lag_ms, deleteRetentionMs: head.delete_retention_ms, logger: silentLogger },
        connection: { brokers, clientId: 'golden', tls: false, sasl: undefined },
      });
    const { skipped } = await follow(openLog, () => openLevelStore({ directory }), new GoldenClock(head.now));
    const held = await withStore(directory, (store) => stateOf(store, skipped));
    // No holes can be asked of a broker here, and so nothing is left to be said of partitions that have some.
    const early = new Set(lines.filter(({ late }) => late !== true).map(({ partition }) => partition));
    const partitionIn = (line: StateLine) => Number(line['partition'] ?? partitionOf(bytesOf(String(line['key'])), head.partitions));
    const whole = (all: readonly StateLine[]) => all.filter((line) => early.has(partitionIn(line)));
    expect(whole(held)).toEqual(whole(state));
    expect(whole(held).length).toBeGreaterThan(state.length / 2);
  }, 90_000);

  test('a node on its data is ready without reading anything again, and answers from them', async () => {
    const place = await newPlace();
    unpack(golden, join(place.directory, 'data'));
    const node = startNode(place, {
      BITACORA_PARTITIONS: String(head.partitions),
      KAFKA_TOPIC: head.topic,
      BITACORA_SWEEP_RATE: '0',
    });
    const ready = await node.said('node.ready');
    expect(ready).toMatchObject({ records: 0 });
    expect(await node.metric('bitacora_store_rebuilds_total')).toBe(0);
    expect(node.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    for (const line of state) {
      const { key, value, version, deleted, expires, doubtful, contentType } = line as unknown as EntryLine;
      // What is in doubt stays so: nobody else is there to say.
      if (line.state !== 'entry' || isSystemKey(key) || doubtful) continue;
      const answer = await v1Get(node, key);
      if (deleted || (expires !== 0 && expires < Date.now())) {
        expect([key, answer.status]).toEqual([key, 404]);
        continue;
      }
      const partition = partitionOf(bytesOf(key), head.partitions);
      expect([key, answer.status, versionIn(answer)]).toEqual([key, 200, `${partition}:${version}`]);
      expect([key, answer.headers['content-type']]).toEqual([key, contentType || 'application/octet-stream']);
      expect([key, answer.body]).toEqual([key, Buffer.from(value, 'base64').toString()]);
    }
    expect((await node.end()).code).toBe(0);
  });
});

interface EntryLine {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly expires: number;
  readonly doubtful: boolean;
  readonly contentType: string;
}
