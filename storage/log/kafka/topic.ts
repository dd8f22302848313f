/**
 * The topic before it is used: made if it is missing, looked at if it is there, refused if it would lose data, with the command that mends
 * it. Each verdict names the setting, its value and what it should be, because a warning here is data lost in two months.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger, LogIdentity } from '../../../src/ports.ts';
import { defaultMaxMessageBytes, togetherBytes } from './batch-size.ts';
import { type Admin, protocolError } from './client.ts';
import { isSealed } from './seal.ts';

export interface TopicOptions {
  readonly topic: string;
  /** Bootstrap servers, for the mending command. */
  readonly brokers: readonly string[];
  /** Used when the topic is made; a topic that exists keeps its own count. */
  readonly partitions: number;
  /** Undefined: min(brokers, 3). */
  readonly replication: number | undefined;
  readonly compactionLagMs: number;
  readonly deleteRetentionMs: number;
  /** Bytes a record of ours may take; the topic must allow them. */
  readonly recordBytes: number;
  readonly create: boolean;
}

/** Conditional writes are settled in seconds; the lag must be far above that. */
const smallestLagMs = 60_000;

/** What Kafka says of the topic, ready to be compared with the store's identity. Errors: `topic-unusable`, `log-unavailable` (as thrown). */
export async function prepareTopic(admin: Admin, options: TopicOptions, logger: Logger): Promise<LogIdentity> {
  const cluster = await admin.describeCluster();
  let partitions = await partitionsOf(admin, options.topic);
  if (partitions === undefined) {
    if (!options.create)
      throw unusable(`the topic ${options.topic} does not exist and KAFKA_TOPIC_CREATE is off`, `make it: ${createCommand(options)}`);
    await createTopic(admin, options, cluster.brokers.length, logger);
  }
  // Also when it was there: another node may have made it a moment ago.
  partitions = await servedPartitions(admin, options.topic);
  if (partitions === undefined)
    throw new BitacoraError('log-unavailable', `not all partitions of the topic ${options.topic} have a leader`);
  const configs = await configsOf(admin, options.topic);
  judge(configs, options, logger);
  return {
    kind: 'kafka',
    clusterId: cluster.clusterId,
    topic: options.topic,
    partitions,
    compactionLagMs: Number(configs.get('min.compaction.lag.ms') ?? 0),
    deleteRetentionMs: Number(configs.get('delete.retention.ms') ?? 86_400_000),
    logAppendTime: configs.get('message.timestamp.type') === 'LogAppendTime',
    togetherBytes: togetherBytes(maxMessageBytes(configs), options.recordBytes),
  };
}

/** Of a sealed topic (seal.ts), on which nothing fits, what it may be before and after: it is read, and may be opened again. */
function maxMessageBytes(configs: ReadonlyMap<string, string>): number {
  const largest = Number(configs.get('max.message.bytes') ?? defaultMaxMessageBytes);
  return isSealed(largest) ? Number.POSITIVE_INFINITY : largest;
}

async function partitionsOf(admin: Admin, topic: string): Promise<number | undefined> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics.find((each) => each.name === topic)?.partitions.length;
  } catch (error) {
    if (protocolError(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined;
    throw error;
  }
}

/** A topic that was just made is there before its leaders are. */
async function servedPartitions(admin: Admin, topic: string): Promise<number | undefined> {
  for (let left = 40; left > 0; left--) {
    try {
      return (await admin.fetchTopicOffsets(topic)).length;
    } catch (error) {
      if (protocolError(error) === undefined) throw error;
      await sleep(100);
    }
  }
  return undefined;
}

async function createTopic(admin: Admin, options: TopicOptions, brokers: number, logger: Logger): Promise<void> {
  const replication = options.replication ?? Math.min(brokers, 3);
  try {
    const made = await admin.createTopics({
      // kafkajs would wait for leaders by a question that fails as long as the broker has not heard of the topic it has just made.
      waitForLeaders: false,
      timeout: 10_000,
      topics: [
        {
          topic: options.topic,
          numPartitions: options.partitions,
          replicationFactor: replication,
          configEntries: Object.entries(topicConfig(options, replication)).map(([name, value]) => ({ name, value })),
        },
      ],
    });
    if (!made) return;
    logger.info({ event: 'topic.created', topic: options.topic, partitions: options.partitions, replication }, 'the topic was made');
  } catch (error) {
    // Two nodes that start together both find it missing; the second is as happy with the first one's.
    if (topicErrors(error).includes('TOPIC_ALREADY_EXISTS')) return;
    const refused = topicErrors(error)[0];
    if (refused !== undefined && !passing.has(refused))
      throw unusable(`the topic ${options.topic} cannot be made: ${refused}`, `make it yourself: ${createCommand(options)}`, error);
    throw error;
  }
}

/** Answers that say nothing about the topic: what was not made now can be made at the next try, or was made after all. */
const passing = new Set(['REQUEST_TIMED_OUT', 'NOT_CONTROLLER', 'BROKER_NOT_AVAILABLE', 'NETWORK_EXCEPTION']);

function topicErrors(error: unknown): string[] {
  const own = protocolError(error);
  const inner = (error as { errors?: unknown[] }).errors ?? [];
  return [...inner.map(protocolError), own].filter((each) => each !== undefined);
}

/** Settings of a topic that we make. Uncompressed, because only gzip is read and other producers may send anything. */
function topicConfig(options: TopicOptions, replication: number): Record<string, string> {
  return {
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'LogAppendTime',
    'unclean.leader.election.enable': 'false',
    'min.insync.replicas': String(Math.max(1, replication - 1)),
    'min.compaction.lag.ms': String(options.compactionLagMs),
    'delete.retention.ms': String(options.deleteRetentionMs),
    'max.message.bytes': String(Math.max(defaultMaxMessageBytes, options.recordBytes + 4_096)),
    'compression.type': 'uncompressed',
  };
}

async function configsOf(admin: Admin, topic: string): Promise<ReadonlyMap<string, string>> {
  const answer = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: topicResource, name: topic }] });
  const entries = answer.resources[0]?.configEntries ?? [];
  return new Map(entries.map((entry) => [entry.configName, entry.configValue]));
}

/** `ConfigResourceTypes.TOPIC` of the protocol. */
const topicResource = 2;

/** Refuses what loses data; warns of what is only unwise. */
function judge(configs: ReadonlyMap<string, string>, options: TopicOptions, logger: Logger): void {
  const policy = (configs.get('cleanup.policy') ?? '').split(',').map((each) => each.trim());
  const wrong: Record<string, string> = {};
  const why: string[] = [];
  if (!policy.includes('compact') || policy.includes('delete')) {
    why.push(`cleanup.policy is "${policy.join(',')}", so Kafka would throw old values away`);
    wrong['cleanup.policy'] = 'compact';
  }
  if (configs.get('unclean.leader.election.enable') === 'true') {
    why.push('unclean.leader.election.enable is true, so acknowledged writes can be lost');
    wrong['unclean.leader.election.enable'] = 'false';
  }
  const largest = maxMessageBytes(configs);
  if (largest < options.recordBytes) {
    why.push(`max.message.bytes is ${largest}, less than a record may take (${options.recordBytes})`);
    wrong['max.message.bytes'] = String(options.recordBytes + 4_096);
  }
  if (why.length > 0)
    throw unusable(`the topic ${options.topic} cannot be used: ${why.join('; ')}`, `mend it: ${alterCommand(options, wrong)}`);
  const unwise: Record<string, string> = {};
  if (configs.get('message.timestamp.type') !== 'LogAppendTime') unwise['message.timestamp.type'] = 'LogAppendTime';
  if (Number(configs.get('min.compaction.lag.ms') ?? 0) < smallestLagMs) unwise['min.compaction.lag.ms'] = String(options.compactionLagMs);
  if (Object.keys(unwise).length === 0) return;
  logger.warn(
    { event: 'topic.unwise', topic: options.topic, settings: Object.keys(unwise), mend: alterCommand(options, unwise) },
    'the topic is served, but conditional writes are refused on it until these settings are mended',
  );
}

function unusable(what: string, mend: string, cause?: unknown): BitacoraError {
  return new BitacoraError('topic-unusable', `${what}. To ${mend}`, { cause });
}

function alterCommand(options: TopicOptions, settings: Record<string, string>): string {
  const pairs = Object.entries(settings).map(([name, value]) => (value.includes(',') ? `${name}=[${value}]` : `${name}=${value}`));
  return `kafka-configs.sh --bootstrap-server ${options.brokers.join(',')} --alter --topic ${options.topic} --add-config ${pairs.join(',')}`;
}

function createCommand(options: TopicOptions): string {
  const replication = options.replication ?? 3;
  const configs = Object.entries(topicConfig(options, replication)).map(([name, value]) => `--config ${name}=${value}`);
  const what = `--topic ${options.topic} --partitions ${options.partitions} --replication-factor ${replication}`;
  return `kafka-topics.sh --bootstrap-server ${options.brokers.join(',')} --create ${what} ${configs.join(' ')}`;
}
