/** Nodes on a topic in memory, with a clock that the test turns: everything is real but the network, the disk and time. */
import { onTestFinished } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { codeOf } from '../../src/core/errors.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import type { Chance, Log, Partition, ReadAnswer, Seeding } from '../../src/ports.ts';
import type { PeerReads } from '../../src/replica/reads.ts';
import { openReplica, type Replica } from '../../src/replica/replica.ts';
import type { StalePlace } from '../../src/replica/stale-store.ts';
import { type MemoryLog, type MemoryTopic, type MemoryTopicOptions, openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { withHashmap } from '../../storage/store/hashmap.ts';
import { MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { type FakePeers, fakePeers } from './fake-peers.ts';
import { type Faults, FaultyStore } from './faulty-store.ts';
import { settle, TestClock } from './test-clock.ts';

let drawn = 0;
/** Uuids that never repeat, and begin differently. */
export const chance: Chance = { uuid: () => `${(++drawn).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`, random: () => 0.5 };

export interface World {
  readonly clock: TestClock;
  readonly topic: MemoryTopic;
}

export function openWorld(options: Partial<MemoryTopicOptions> = {}): World {
  const clock = new TestClock();
  return { clock, topic: openMemoryTopic({ clock, chance, partitions: 2, ...options }) };
}

export interface NodeOptions {
  readonly name?: string;
  readonly disk?: MemoryDisk;
  readonly peers?: FakePeers;
  readonly peerReads?: PeerReads;
  readonly cacheBytes?: number;
  /** In the place of a log on the world's topic. */
  readonly openLog?: () => Promise<Log>;
  /** Gives a state; `lay` puts a disk in the place of the node's own. */
  readonly seed?: (lay: (disk: MemoryDisk) => void) => Seeding;
  /** Keeps the disk that `take` gives, and puts a fresh one in the place of. */
  readonly stale?: (take: () => MemoryDisk) => StalePlace;
  /** Laid over every log that is opened. */
  readonly changed?: (log: MemoryLog) => Log;
}

/** A node with what a test looks at. */
export interface TestNode {
  readonly replica: Replica;
  readonly faults: Faults;
  /** The disk of now: another one after the store was set aside. */
  readonly disk: () => MemoryDisk;
  /** Why stores were set aside. */
  readonly aside: string[];
  /** Of each of them: whether it may be the last copy of something. */
  readonly lastCopies: boolean[];
  /** Logs opened, the newest last. */
  readonly logs: MemoryLog[];
  readonly fatal: Error[];
  readonly peers: FakePeers;
  /** Reasons of skipped records, as metered. */
  readonly metered: string[];
}

/** Starts a node; it is closed when the test ends. */
export async function startNode({ clock, topic }: World, options: NodeOptions = {}): Promise<TestNode> {
  let disk = options.disk ?? new MemoryDisk();
  const faults: Faults = {};
  const aside: string[] = [];
  const lastCopies: boolean[] = [];
  const logs: MemoryLog[] = [];
  const fatal: Error[] = [];
  const metered: string[] = [];
  const peers = options.peers ?? fakePeers(clock);
  const nothing = () => undefined;
  const replica = await openReplica({
    node: options.name ?? 'n1:8082',
    openLog:
      options.openLog ??
      (async () => {
        const log = openMemoryLog(topic);
        logs.push(log);
        return options.changed?.(log) ?? log;
      }),
    openStore: async () => withHashmap(new FaultyStore(await openMemoryStore(disk), faults), options.cacheBytes ?? 1_000_000),
    setStoreAside: async (reason, lastCopy) => {
      // A disk takes its time, and others look at the node meanwhile.
      await settle();
      aside.push(reason);
      lastCopies.push(lastCopy);
      disk = new MemoryDisk();
    },
    seed: options.seed?.((laid) => {
      disk = laid;
    }),
    stale: options.stale?.(() => {
      const taken = disk;
      disk = new MemoryDisk();
      return taken;
    }),
    peers,
    peerReads: options.peerReads ?? 'always',
    peerTimeoutMs: 60,
    limits: { maxKeyBytes: 1_024, maxValueBytes: 1_000 },
    writeTimeoutMs: 5_000,
    partitions: 2,
    clock,
    chance,
    logger: silentLogger,
    meter: {
      ...{ applied: nothing, appended: nothing, applyDelay: nothing, read: nothing, rebuilt: nothing },
      skipped: (reason) => metered.push(reason),
    },
    onFatal: (error) => fatal.push(error),
  });
  onTestFinished(() => clock.outcome(replica.close()));
  return { replica, faults, disk: () => disk, aside, lastCopies, logs, fatal, peers, metered };
}

/** Starts a node and lets time pass until it is ready. */
export async function readyNode(world: World, options: NodeOptions = {}): Promise<TestNode> {
  const node = await startNode(world, options);
  await untilReady(world, node);
  return node;
}

/** Ready, and the topic has its identity, settled. */
export function untilReady({ clock }: World, ...nodes: TestNode[]): Promise<void> {
  return clock.until('all are ready', () => nodes.every(({ replica }) => replica.status.ready && replica.status.genesis !== undefined));
}

/** Lets time pass until a node has applied everything that is in the topic now. */
export async function untilApplied({ clock, topic }: World, ...nodes: TestNode[]): Promise<void> {
  const ends = topic.bounds.map(({ next }) => next);
  await clock.until('all is applied', () =>
    nodes.every(({ replica }) => ends.every((end, partition) => (replica.status.applied[partition] ?? 0) >= end)),
  );
}

export const partitionIn = ({ topic }: World, key: string): Partition => partitionOf(bytesOf(key), topic.identity.partitions);
export const textOfAnswer = (answer: ReadAnswer): string | undefined =>
  answer.found === undefined ? undefined : Buffer.from(answer.found.value).toString();

/** What a node answers, peers included. */
export async function reads({ clock }: World, node: TestNode, key: string): Promise<string | undefined> {
  return textOfAnswer(await clock.outcome(node.replica.read(key)));
}

/** What a node holds itself. */
export const holds = async (node: TestNode, key: string): Promise<string | undefined> => textOfAnswer(await node.replica.readLocal(key));
export const write = ({ clock }: World, node: TestNode, key: string, value: string) => clock.outcome(node.replica.put(key, bytesOf(value)));
export const remove = ({ clock }: World, node: TestNode, key: string) => clock.outcome(node.replica.delete(key));

/** The code with which a promise is rejected; `none` when it is not. */
export async function codeFrom({ clock }: World, work: Promise<unknown>): Promise<string> {
  return clock.outcome(work).then(() => 'none', codeOf);
}
