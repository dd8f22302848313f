/**
 * Connections to the brokers that lead a topic's partitions, made once: with the knowledge of who leads what of that moment, and used no more
 * after a failure, whatever it was. New connections begin with new knowledge. Nothing is connected again in silence: a topic may have been
 * deleted and made again meanwhile.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Partition } from '../../../src/ports.ts';
import { atMost, type Client, type Cluster, clusterOf, type FetchRequest, fetchOver, fetchWire, messageOf, type Wire } from './client.ts';
import type { FetchedPartition } from './fetched.ts';

export class TopicConnection {
  /** For requests of other kinds than fetches. */
  readonly cluster: Cluster;
  readonly #topic: string;
  readonly #client: Client;
  /** By partition; -1: nobody, or nobody is known. */
  readonly #leaders: readonly number[];
  readonly #wires = new Map<number, Promise<Wire>>();

  private constructor(client: Client, cluster: Cluster, topic: string, leaders: readonly number[]) {
    this.#client = client;
    this.cluster = cluster;
    this.#topic = topic;
    this.#leaders = leaders;
  }

  /** Connects to one of the brokers and asks who leads what. Errors: as kafkajs throws them; `log-unavailable` (not in time). */
  static async open(client: Client, topic: string, limitMs: number): Promise<TopicConnection> {
    const cluster = clusterOf(client);
    let failure: unknown;
    let known = false;
    const work = cluster
      .connect()
      .then(() => cluster.addTargetTopic(topic))
      .then(() => {
        known = true;
      })
      .catch((error) => {
        failure = error;
      });
    await atMost(limitMs, work);
    if (!known) {
      client.cut(true);
      throw failure ?? new BitacoraError('log-unavailable', 'the brokers do not say in time who leads what');
    }
    const leaders: number[] = [];
    for (const { partitionId, leader } of cluster.findTopicPartitionMetadata(topic)) leaders[partitionId] = leader;
    return new TopicConnection(client, cluster, topic, leaders);
  }

  /** Its number; undefined: the partition has no leader. */
  leaderOf(partition: Partition): number | undefined {
    const leader = this.#leaders[partition];
    return leader === undefined || leader < 0 ? undefined : leader;
  }

  /** Errors: as kafkajs throws them. Partitions of which the broker tells nothing are missing. */
  async fetch(leader: number, request: FetchRequest): Promise<readonly FetchedPartition[]> {
    return fetchOver(await this.#wire(leader), this.#topic, request);
  }

  /** Cuts everything; whoever waits for an answer gets an error. */
  cut(): void {
    this.#client.cut(true);
  }

  #wire(leader: number): Promise<Wire> {
    let wire = this.#wires.get(leader);
    if (wire === undefined) {
      wire = this.#connected(leader);
      this.#wires.set(leader, wire);
    }
    return wire;
  }

  async #connected(leader: number): Promise<Wire> {
    try {
      return await fetchWire(await this.cluster.findBroker({ nodeId: leader }));
    } catch (error) {
      throw new Error(`broker ${leader}: ${messageOf(error)}`, { cause: error });
    }
  }
}
