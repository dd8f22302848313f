/** Real nodes over one topic in memory, each with its HTTP face, by the real clock. */
import { onTestFinished } from 'vitest';
import { openHttpServer } from '../../rpc/http/server.ts';
import { askMember } from '../../rpc/http/v1/ask-member.ts';
import { systemChance, systemClock } from '../../src/app/system.ts';
import { openReplica, type Replica } from '../../src/replica/replica.ts';
import { type MemoryTopic, openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { withHashmap } from '../../storage/store/hashmap.ts';
import { MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { fakePeers } from '../replica/fake-peers.ts';
import { testLimits } from '../rpc/http/start-server.ts';
import { later } from './setting.ts';

export interface ClusterNode {
  readonly port: number;
  readonly replica: Replica;
  /** Goes away in order: its streams are ended, and it takes nothing any more. Idempotent. */
  leave(): Promise<void>;
}

export interface Cluster {
  readonly topic: MemoryTopic;
  readonly nodes: readonly ClusterNode[];
  readonly ports: readonly number[];
}

const nothing = () => undefined;

/** All are ready; they end with the test. */
export async function cluster(count: number, partitions = 4): Promise<Cluster> {
  const topic = openMemoryTopic({ clock: systemClock, chance: systemChance, partitions });
  const nodes = await Promise.all(Array.from({ length: count }, (_, index) => startNode(topic, `n${index + 1}:8082`)));
  for (const { replica } of nodes) while (!replica.status.ready || replica.status.genesis === undefined) await later(5);
  return { topic, nodes, ports: nodes.map(({ port }) => port) };
}

async function startNode(topic: MemoryTopic, name: string): Promise<ClusterNode> {
  const replica = await openReplica({
    node: name,
    openLog: async () => openMemoryLog(topic),
    openStore: async () => withHashmap(await openMemoryStore(new MemoryDisk()), 1_000_000),
    setStoreAside: async () => undefined,
    peers: fakePeers(systemClock),
    peerReads: 'never',
    peerTimeoutMs: 60,
    limits: { maxKeyBytes: 1_024, maxValueBytes: testLimits.maxValueBytes },
    writeTimeoutMs: 5_000,
    partitions: topic.identity.partitions,
    clock: systemClock,
    chance: systemChance,
    logger: silentLogger,
    meter: { applied: nothing, appended: nothing, applyDelay: nothing, read: nothing, skipped: nothing, rebuilt: nothing },
    onFatal: nothing,
  });
  const server = await openHttpServer({
    keyValue: replica,
    node: name,
    version: '1.2.3',
    members: () => [],
    askMember,
    host: '127.0.0.1',
    port: 0,
    limits: { ...testLimits, writeTimeoutMs: 5_000, maxConnections: 1_000 },
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'bitacora_ready 1\n' }),
    observe: nothing,
    observeWatch: nothing,
    logger: silentLogger,
    drainMs: 1_000,
  });
  let left: Promise<void> | undefined;
  const leave = (): Promise<void> => {
    left ??= server
      .drain()
      .then(() => server.close())
      .then(() => replica.close());
    return left;
  };
  onTestFinished(leave);
  return { port: server.address.port, replica, leave };
}
