/** The settings as a node uses them: typed, consistent with one another, frozen. */
import { networkInterfaces } from 'node:os';
import { BitacoraError } from '../../core/errors.ts';
import type { PeerReads } from '../../replica/reads.ts';
import type { Settings } from './load.ts';

export type LogKind = 'embedded' | 'kafka' | 'memory';

export interface Config {
  readonly log: LogKind;
  readonly brokers: readonly string[];
  /** Undefined: membership is static. */
  readonly zookeeperHosts: string | undefined;
  readonly zookeeperRoot: string;
  readonly members: readonly string[];
  readonly httpHost: string;
  readonly httpPort: number;
  /** Undefined: the Avro face is off. 0: any free port. */
  readonly avroPort: number | undefined;
  /** `host`, `host:port`, `ecs`, or empty. */
  readonly nodeAddress: string;
  readonly topic: string;
  readonly topicCreate: boolean;
  readonly partitions: number;
  readonly replication: number | undefined;
  readonly compactionLagMs: number;
  readonly deleteRetentionMs: number;
  readonly sweepGraceMs: number;
  /** Tombstones a second; 0: this node does not sweep. */
  readonly sweepRate: number;
  readonly kafkaTls: boolean;
  readonly kafkaSasl:
    | { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string }
    | undefined;
  readonly dataDirectory: string;
  readonly cacheBytes: number;
  readonly peerTimeoutMs: number;
  readonly staleReads: boolean;
  readonly peerReads: PeerReads;
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  readonly writeTimeoutMs: number;
  readonly maxBodiesBytes: number;
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly avroMaxFrameBytes: number;
  readonly avroMaxCalls: number;
  readonly avroIdleTimeoutMs: number;
  /** At which the store is given to other nodes; 0: it is not. */
  readonly seedBytesPerSecond: number;
  readonly drainDelayMs: number;
  readonly drainTimeoutMs: number;
  readonly logLevel: string;
  readonly logFormat: 'auto' | 'json' | 'pretty';
}

/** Errors: `option-invalid` for settings that do not go together. */
export function configOf(settings: Settings): Config {
  const log = (settings.text('LOG') ||
    (settings.given('BROKER_LIST') || settings.given('ZOOKEEPER_HOSTS') ? 'kafka' : 'embedded')) as LogKind;
  const alone = log === 'kafka' && settings.given('BROKER_LIST') && !settings.given('ZOOKEEPER_HOSTS');
  const zookeeper = settings.given('ZOOKEEPER_HOSTS') || (log === 'kafka' && !alone);
  const listed = settings.given('MEMBERS');
  if (listed && settings.given('ZOOKEEPER_HOSTS'))
    throw new BitacoraError('option-invalid', 'MEMBERS and ZOOKEEPER_HOSTS exclude each other');
  const mechanism = settings.text('KAFKA_SASL_MECHANISM');
  if (mechanism !== '' && settings.text('KAFKA_SASL_USERNAME') === '') {
    throw new BitacoraError('option-invalid', 'KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD');
  }
  return Object.freeze({
    log,
    brokers: settings.list('BROKER_LIST'),
    zookeeperHosts: zookeeper && !listed ? settings.text('ZOOKEEPER_HOSTS') : undefined,
    zookeeperRoot: settings.text('ZOOKEEPER_ROOT'),
    members: settings.list('MEMBERS'),
    httpHost: settings.text('HTTP_HOST') || (log === 'kafka' ? '0.0.0.0' : '127.0.0.1'),
    httpPort: settings.integer('API_PORT'),
    avroPort: avroPortOf(settings),
    nodeAddress: settings.text('NODE_ADDRESS'),
    topic: settings.text('KAFKA_TOPIC'),
    topicCreate: settings.flag('KAFKA_TOPIC_CREATE'),
    partitions: settings.integer('PARTITIONS'),
    replication: settings.integer('REPLICATION') || undefined,
    compactionLagMs: settings.integer('COMPACTION_LAG'),
    deleteRetentionMs: settings.integer('DELETE_RETENTION'),
    sweepGraceMs: settings.integer('SWEEP_GRACE'),
    sweepRate: settings.integer('SWEEP_RATE'),
    kafkaTls: settings.flag('KAFKA_TLS'),
    kafkaSasl:
      mechanism === ''
        ? undefined
        : {
            mechanism: mechanism as 'plain',
            username: settings.text('KAFKA_SASL_USERNAME'),
            password: settings.text('KAFKA_SASL_PASSWORD'),
          },
    dataDirectory: settings.text('DATA_DIR'),
    cacheBytes: settings.integer('CACHE_BYTES'),
    peerTimeoutMs: settings.integer('EXTERNAL_REQUEST_TIMEOUT'),
    staleReads: settings.flag('STALE_READS'),
    peerReads: settings.text('PEER_READS') as PeerReads,
    maxKeyBytes: settings.integer('MAX_KEY_BYTES'),
    maxValueBytes: settings.integer('MAX_VALUE_BYTES'),
    writeTimeoutMs: settings.integer('WRITE_TIMEOUT'),
    maxBodiesBytes: settings.integer('MAX_BODIES_BYTES'),
    maxConnections: settings.integer('MAX_CONNECTIONS'),
    maxHeaderBytes: settings.integer('MAX_HEADER_BYTES'),
    // The headers are a part of the request: Node refuses a longer time for them.
    headersTimeoutMs: Math.min(settings.integer('HEADERS_TIMEOUT'), settings.integer('REQUEST_TIMEOUT')),
    requestTimeoutMs: settings.integer('REQUEST_TIMEOUT'),
    keepAliveTimeoutMs: settings.integer('KEEP_ALIVE_TIMEOUT'),
    avroMaxFrameBytes: settings.given('AVRO_MAX_FRAME_BYTES') ? settings.integer('AVRO_MAX_FRAME_BYTES') : avroFrameBytesFor(settings),
    avroMaxCalls: settings.integer('AVRO_MAX_CALLS'),
    avroIdleTimeoutMs: settings.integer('AVRO_IDLE_TIMEOUT'),
    seedBytesPerSecond: settings.integer('SEED_RATE') * 1_000_000,
    drainDelayMs: settings.integer('DRAIN_DELAY'),
    drainTimeoutMs: settings.integer('DRAIN_TIMEOUT'),
    logLevel: settings.text('LOG_LEVEL'),
    logFormat: settings.text('LOG_FORMAT') as 'auto',
  });
}

function avroPortOf(settings: Settings): number | undefined {
  if (settings.given('AVRO_PORT')) return settings.integer('AVRO_PORT') || undefined;
  const http = settings.integer('API_PORT');
  if (http === 65_535) throw new BitacoraError('option-invalid', 'API_PORT is 65535, and AVRO_PORT, API_PORT + 1, must be set then');
  return http === 0 ? 0 : http + 1;
}

const mib = 1024 * 1024;

function avroFrameBytesFor(settings: Settings): number {
  return Math.max(16 * mib, 2 * (settings.integer('MAX_VALUE_BYTES') + settings.integer('MAX_KEY_BYTES')) + mib);
}

/** The address by which others reach this node, when none is set: the first of this machine that is not its own loopback. */
export function ownAddress(httpHost: string): string {
  if (httpHost !== '0.0.0.0' && httpHost !== '::') return httpHost;
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) if (address.family === 'IPv4' && !address.internal) return address.address;
  }
  return '127.0.0.1';
}
