/** The one place that knows every room: builds a node from its settings, and takes it apart in order. */
import { join } from 'node:path';
import { openStaticMembership } from '../../cluster/membership/static.ts';
import { openZooKeeperMembership } from '../../cluster/membership/zookeeper.ts';
import { openHttpPeers } from '../../cluster/peers.ts';
import { seedingFromPeers } from '../../cluster/seed-from-peers.ts';
import type { AvroServer } from '../../rpc/avro/server.ts';
import type { HttpServer } from '../../rpc/http/server.ts';
import { openDataDirectory } from '../../storage/data-directory.ts';
import { openEmbeddedLog } from '../../storage/log/embedded/embedded-log.ts';
import { openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { withHashmap } from '../../storage/store/hashmap.ts';
import { openMemoryStore } from '../../storage/store/memory-store.ts';
import { openSeedPlace } from '../../storage/store/snapshot-place.ts';
import type { Log, Logger, Membership, Seeding, SnapshotSource, Store } from '../ports.ts';
import { openReplica, type Replica, type ReplicaOptions } from '../replica/replica.ts';
import { type Config, ownAddress } from './config/config.ts';
import { findHostAddress } from './ecs-address.ts';
import { serveAvro, serveHttp } from './faces.ts';
import { localStore } from './local-store.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { systemChance as chance, systemClock as clock } from './system.ts';
import { version } from './version.ts';

/** A running node. */
export interface Node {
  /** `host:port` by which others reach it: its name. */
  readonly address: string;
  /** Where its HTTP face listens. */
  readonly listening: { readonly host: string; readonly port: number };
  /** Where its Avro face listens; undefined: it is off. */
  readonly avro: { readonly host: string; readonly port: number } | undefined;
  readonly replica: Replica;
  readonly membership: Membership;
  /** Not ready, out of the membership, door closed, what is in flight finished, log and store closed. Idempotent, bounded. */
  stop(): Promise<void>;
}

/** What the metrics look at, which is opened after them. */
interface Holder {
  store?: Store;
  /** The same, if it is one that can be given to other nodes. */
  source?: SnapshotSource;
  avro?: AvroServer | undefined;
}

/** How long a node that wants the state of another waits to know the others, and how often it looks. */
const longestJoinMs = 3_000;
const joinLookMs = 50;
/** Bytes a record may take beside its value: the key, and headers with room to spare. */
const recordOverheadBytes = 8 * 1024;

/** Starts a node. Resolves when its HTTP face listens; it may still have to catch up. Errors are those of the rooms, by code. */
export async function startNode(config: Config, logger: Logger, onFatal: (error: Error) => void): Promise<Node> {
  const undo: (() => Promise<void>)[] = [];
  try {
    const host = await nodeHost(config);
    const membership = await openMembership(config, logger);
    if (config.log !== 'memory') {
      const directory = await openDataDirectory(config.dataDirectory);
      undo.push(() => directory.close());
    }
    let replica: Replica | undefined;
    const holder: Holder = {};
    const metrics = createMetrics({
      version,
      status: () => (replica as Replica).status,
      membership: () => membership,
      storeBytes: () => holder.store?.sizeBytes ?? 0,
      avroConnections: () => holder.avro?.connections ?? 0,
    });
    const name = host.includes(':') ? host : `${host}:${config.httpPort}`;
    const peers = openHttpPeers({
      members: () => membership.others,
      clock,
      logger,
      observe: (outcome) => metrics.observePeer(outcome),
    });
    replica = await openReplica({
      node: name,
      ...(await logAndStore(config, name, logger, holder, membership, metrics)),
      peers,
      peerReads: config.peerReads,
      peerTimeoutMs: config.peerTimeoutMs,
      limits: { maxKeyBytes: config.maxKeyBytes, maxValueBytes: config.maxValueBytes },
      writeTimeoutMs: config.writeTimeoutMs,
      partitions: config.partitions,
      clock,
      chance,
      logger,
      meter: metrics.meter,
      sweeping:
        config.sweepRate === 0
          ? undefined
          : { graceMs: config.sweepGraceMs, recordsPerSecond: config.sweepRate, meter: metrics.sweepMeter },
      onFatal,
    });
    const node = replica;
    undo.push(() => node.close());
    const http = await serveHttp(config, name, node, membership, metrics, logger, () => holder.source);
    undo.push(() => http.close());
    const avro = await serveAvro(config, name, node, metrics, logger);
    undo.push(async () => avro?.close());
    holder.avro = avro;
    const address = host.includes(':') ? host : `${host}:${http.address.port}`;
    const socket = avro === undefined ? '' : `${address.slice(0, address.lastIndexOf(':'))}:${avro.address.port}`;
    membership.join({ address, socket });
    const faces = avro === undefined ? [http] : [http, avro];
    return {
      address,
      listening: http.address,
      avro: avro?.address,
      replica: node,
      membership,
      stop: stopping(config, logger, node, membership, faces, undo),
    };
  } catch (error) {
    for (const step of undo.reverse()) await step();
    throw error;
  }
}

async function nodeHost(config: Config): Promise<string> {
  if (config.nodeAddress === 'ecs') return findHostAddress({ env: process.env, containerPort: config.httpPort });
  return config.nodeAddress === '' ? ownAddress(config.httpHost) : config.nodeAddress;
}

async function openMembership(config: Config, logger: Logger): Promise<Membership> {
  if (config.zookeeperHosts === undefined) return openStaticMembership({ members: config.members });
  return openZooKeeperMembership({ hosts: config.zookeeperHosts, root: config.zookeeperRoot, clock, chance, logger });
}

/** A node that has just been started may not know the others yet: they are waited for, but not for long. */
function seedingWhenJoined(membership: Membership, seed: Seeding): Seeding {
  return async (wanted) => {
    const until = clock.monotonic() + longestJoinMs;
    while (membership.state === 'joining' && clock.monotonic() < until && !wanted.signal.aborted) {
      await new Promise<void>((resolve) => clock.after(joinLookMs, resolve));
    }
    return seed(wanted);
  };
}

type LogAndStore = Pick<ReplicaOptions, 'openLog' | 'openStore' | 'setStoreAside' | 'stale' | 'seed'>;

async function logAndStore(
  config: Config,
  node: string,
  logger: Logger,
  holder: Holder,
  membership: Membership,
  metrics: Metrics,
): Promise<LogAndStore> {
  const { topic, partitions, compactionLagMs, deleteRetentionMs } = config;
  const keep = async (store: Store): Promise<Store> => {
    holder.store = withHashmap(store, config.cacheBytes);
    return holder.store;
  };
  if (config.log === 'memory') {
    const memory = openMemoryTopic({ clock, chance, topic, partitions, compactionLagMs, deleteRetentionMs });
    return {
      openLog: async () => openMemoryLog(memory),
      openStore: async () => keep(await openMemoryStore()),
      setStoreAside: async () => undefined,
    };
  }
  const directory = join(config.dataDirectory, 'store');
  const { stale, ...store } = await localStore(directory, logger, (level) => {
    holder.source = level;
    return keep(level);
  });
  const place = await openSeedPlace(directory);
  const kept = config.staleReads ? { stale } : {};
  const maxRecordBytes = config.maxValueBytes + config.maxKeyBytes + recordOverheadBytes;
  if (config.log === 'embedded') {
    const logDirectory = join(config.dataDirectory, 'log');
    const limits = { maxRecordBytes, maxCommitBytes: Math.max(4 * 1024 * 1024, 2 * maxRecordBytes) };
    const open = (): Promise<Log> =>
      openEmbeddedLog({ directory: logDirectory, topic, partitions, compactionLagMs, deleteRetentionMs, clock, chance, logger, limits });
    return { ...store, ...kept, openLog: open };
  }
  return {
    ...store,
    ...kept,
    seed: seedingWhenJoined(
      membership,
      seedingFromPeers({ members: () => membership.others, place, clock, chance, logger, meter: metrics.seedMeter }),
    ),
    openLog: async () => {
      // Loaded only when used: a node on the embedded log starts without it.
      const { openKafkaLog } = await import('../../storage/log/kafka/kafka-log.ts');
      const connection = { brokers: config.brokers, clientId: `bitacora-${node}`, tls: config.kafkaTls, sasl: config.kafkaSasl };
      return openKafkaLog({
        topic,
        brokers: config.brokers,
        partitions,
        replication: config.replication,
        compactionLagMs,
        deleteRetentionMs,
        recordBytes: maxRecordBytes,
        create: config.topicCreate,
        connection,
        node,
        logger,
      });
    },
  };
}

function stopping(
  config: Config,
  logger: Logger,
  replica: Replica,
  membership: Membership,
  faces: readonly Pick<HttpServer, 'drain'>[],
  undo: (() => Promise<void>)[],
): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const began = clock.monotonic();
    replica.announceLeaving();
    await membership.leave();
    if (config.drainDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, config.drainDelayMs));
    await Promise.all(faces.map((face) => face.drain()));
    await replica.drain();
    for (const step of undo.reverse()) await step();
    const seconds = Math.round(clock.monotonic() - began) / 1_000;
    logger.info({ event: 'node.stopped', seconds }, 'left the cluster, log and store are closed');
  };
  return () => {
    stopped ??= stop();
    return stopped;
  };
}
