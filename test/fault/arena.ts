/**
 * Three nodes on a Kafka and a ZooKeeper, every line between them through a proxy, so that a test can hurt any process and any line.
 * Callers reach the nodes directly: what is between them and a node is not what is tested.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTopic, newName } from '../integration/cluster.ts';
import { startKafkaProxies } from '../integration/kafka-proxy.ts';
import { type Environment, type NodeProcess, newPlace, type Place, startNode } from '../integration/node-process.ts';
import { startTcpProxy, type TcpProxy } from '../integration/tcp-proxy.ts';
import type { KafkaService } from '../services/kafka.ts';
import type { ZooKeeperService } from '../services/zookeeper.ts';
import { startClock, type WrongClock } from './clock.ts';
import { mountSmallDisk } from './small-disk.ts';

export type Line = 'kafka' | 'peers' | 'zookeeper';

export const partitions = 4;
const nodeCount = 3;

export interface Services {
  readonly kafka: KafkaService;
  readonly zooKeeper: ZooKeeperService;
}

/** A node that may be down, and comes back in its place. */
export class ArenaNode {
  readonly name: string;
  readonly place: Place;
  readonly clock: WrongClock;
  /** `kafka` has a proxy for each broker. */
  readonly lines: Readonly<Record<Line, readonly TcpProxy[]>>;
  readonly #settings: Environment;
  #process: NodeProcess;
  #running = true;
  /** Ends that nobody ordered, each with the node's last words. */
  readonly unexpected: string[] = [];

  constructor(name: string, place: Place, clock: WrongClock, lines: ArenaNode['lines'], settings: Environment) {
    this.name = name;
    this.place = place;
    this.clock = clock;
    this.lines = lines;
    this.#settings = settings;
    this.#process = this.#begin();
  }

  get process(): NodeProcess {
    return this.#process;
  }

  get dataDirectory(): string {
    return join(this.place.directory, 'data');
  }

  #begin(): NodeProcess {
    this.#running = true;
    const started = startNode(this.place, this.#settings);
    void started.exit.then(({ code, signal }) => {
      if (!this.#running || started !== this.#process) return;
      this.#running = false;
      const words = started.lines.slice(-5).map((line) => JSON.stringify(line));
      this.unexpected.push(`${this.name} ended by itself with ${code ?? signal}: ${started.errors().slice(-2_000)}${words.join('\n')}`);
    });
    return started;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#running = false;
    await this.#process.end(signal);
  }

  /** Starts it again; if it still runs nothing happens. */
  start(): void {
    if (!this.#running) this.#process = this.#begin();
  }
}

export interface Arena extends Services {
  readonly topic: string;
  readonly nodes: readonly ArenaNode[];
}

export interface ArenaOptions {
  /** The nodes' data on file systems of a few megabytes. */
  readonly smallDisks?: boolean;
  /** The topic's settings; otherwise the first node makes it as nodes do. */
  readonly topicConfig?: Readonly<Record<string, string>>;
}

export async function openArena({ kafka, zooKeeper }: Services, { smallDisks, topicConfig }: ArenaOptions = {}): Promise<Arena> {
  const topic = newName('fault');
  if (topicConfig !== undefined) await createTopic(kafka.brokers, topic, partitions, topicConfig);
  const nodes: ArenaNode[] = [];
  for (let i = 0; i < nodeCount; i++) {
    const place = await newPlace();
    const [peers, zoo] = await Promise.all([startTcpProxy({ server: place.address }), startTcpProxy({ server: zooKeeper.hosts })]);
    const brokers = await startKafkaProxies(kafka.brokers);
    const clock = startClock(place.directory);
    if (smallDisks) mountSmallDisk(join(place.directory, 'data'));
    const settings = {
      BROKER_LIST: brokers.map(({ address }) => address).join(','),
      ZOOKEEPER_HOSTS: zoo.address,
      KAFKA_TOPIC: topic,
      BITACORA_ZOOKEEPER_ROOT: `/${topic}`,
      BITACORA_PARTITIONS: String(partitions),
      // The others reach it only by its proxy.
      NODE_ADDRESS: peers.address,
      // A caller that waits for the longest outage asks little.
      BITACORA_WRITE_TIMEOUT: '2000',
      ...clock.environment,
    };
    nodes.push(
      new ArenaNode(`n${i}`, { ...place, address: peers.address }, clock, { kafka: brokers, peers: [peers], zookeeper: [zoo] }, settings),
    );
    // The first one makes the topic.
    if (i === 0) await nodes[0]?.process.ready(60_000);
  }
  await Promise.all(nodes.map(({ process }) => process.ready(60_000)));
  return { kafka, zooKeeper, topic, nodes };
}

/** The node's disk is empty. */
export async function wipe(node: ArenaNode): Promise<void> {
  const names = await readdir(node.dataDirectory).catch(() => []);
  await Promise.all(names.map((name) => rm(join(node.dataDirectory, name), { recursive: true, force: true })));
}
