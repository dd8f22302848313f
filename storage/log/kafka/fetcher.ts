/**
 * Fetches stretches of the topic by offset, straight from the partitions' leaders.
 *
 * kafkajs's consumers come only with a group, and a group's first member waits for others (3 s by default), shows up in operators' tools and
 * sends every partition through one loop. A stretch needs none of it: it is a handful of fetch requests, each for one partition and one
 * offset, over connections of the fetcher's own that are made when they are needed, used no more after a failure, and closed when nobody
 * has read for a while. The subscription's consumer never notices.
 *
 * Because a request is for one partition only, its answer is proof: the broker gives the whole record batch at the offset, however large. If
 * it can be read up to beyond the offset and yet no record came, what stands there is an empty record batch, of which kafkajs does not say
 * how far it goes: it is stepped over, one offset after the other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger, Offset, Partition, PartitionBounds } from '../../../src/ports.ts';
import type { Piece, StretchSource } from '../stretch-shared.ts';
import { atMost, type Broker, type Client, type Cluster, clusterOf, type FetchedPartition, messageOf, servedMessages } from './client.ts';
import { lastOffsetOf, toRecords } from './records.ts';

export interface FetchLimits {
  /** How long a stretch may go without anything, while requests are repeated. Longer than the failover of a partition usually takes. */
  readonly fetchPatienceMs: number;
  /** Connections are closed when nobody has read for so long. */
  readonly fetchIdleMs: number;
}

export const defaultFetchLimits: FetchLimits = { fetchPatienceMs: 10_000, fetchIdleMs: 60_000 };

export interface FetcherOptions {
  readonly topic: string;
  readonly limits: FetchLimits;
  readonly newClient: () => Client;
  /** The largest batch that a partition may hold, as far as is known. */
  readonly largestBatchBytes: number;
  readonly bounds: () => Promise<readonly PartitionBounds[]>;
  readonly logger: Logger;
}

/** The first fetch of a stretch is small, because a caller may soon have what he looks for; each one after it is twice as large. */
const firstFetchBytes = 64 * 1024;
const mostFetchBytes = 512 * 1024;
/** So many offsets without a record are told as a batch, so that a long row of them is no silence. */
const stepsAtOnce = 500;

/** Connections to all brokers, and what is known of who leads which partition. */
interface Connection {
  readonly client: Client;
  readonly cluster: Promise<Cluster>;
  /**
   * By broker, the last of the fetches under way and waiting, one at a time: a broker answers a connection's requests one after the other
   * anyway, and kafkajs would open a connection for each that begins before the first is open.
   */
  readonly turns: Map<number, Promise<unknown>>;
  /** Attempts under way. One that failed lets the others finish: theirs may be another broker. */
  users: number;
}

export class Fetcher {
  readonly #options: FetcherOptions;
  /** For those who come now; undefined: made when it is needed. */
  #connection: Connection | undefined;
  /** That and earlier ones which are still used. */
  readonly #connections = new Set<Connection>();
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /** For one stretch. */
  stretch(): StretchSource {
    let bytes = firstFetchBytes;
    return {
      bounds: this.#options.bounds,
      piece: async (partition, from, to, stop) => {
        const piece = await this.#piece(partition, from, to, bytes, stop);
        bytes = Math.min(2 * bytes, mostFetchBytes);
        return piece;
      },
    };
  }

  /** Nothing is fetched any more; connections are cut. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#idle);
    this.#connection = undefined;
    for (const { client } of this.#connections) client.cut();
  }

  /** Tries again until it succeeds, the caller has gone, or the patience is over. */
  async #piece(partition: Partition, from: Offset, to: Offset, bytes: number, stop: AbortSignal): Promise<Piece> {
    const { limits, logger, topic } = this.#options;
    const until = performance.now() + limits.fetchPatienceMs;
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, 1_000)) {
      let piece: Piece | undefined;
      let failure: unknown;
      const work = this.#attempt(partition, from, to, bytes, stop).then(
        (found) => {
          piece = found;
        },
        (error) => {
          failure = error;
        },
      );
      const connection = this.#connection;
      const inTime = await atMost(until - performance.now(), work);
      if (piece !== undefined) return piece;
      if (!inTime) this.#abandon(connection);
      if (this.#closed || stop.aborted) throw new BitacoraError('closed', 'the log was closed, or the reading ended');
      const why = inTime ? messageOf(failure ?? 'the broker told nothing') : 'no answer';
      logger.debug({ event: 'log.fetch', partition, from, error: why }, 'a stretch is asked for again');
      if (performance.now() + pauseMs > until) {
        throw new BitacoraError('log-unavailable', `nothing came of ${topic} from ${partition}:${from} on: ${why}`, { cause: failure });
      }
      await sleep(pauseMs, undefined, { signal: stop });
    }
  }

  /** Undefined: the broker cannot tell yet, because a new leader does not know how far the log goes, or because it asks for a pause. */
  async #attempt(partition: Partition, from: Offset, to: Offset, bytes: number, stop: AbortSignal): Promise<Piece | undefined> {
    const connection = this.#connect();
    connection.users++;
    try {
      const cluster = await connection.cluster;
      await cluster.refreshMetadataIfNecessary();
      const leader = cluster.findTopicPartitionMetadata(this.#options.topic).find(({ partitionId }) => partitionId === partition)?.leader;
      if (leader === undefined) throw new Error(`partition ${partition} has no leader`);
      return await inTurn(connection.turns, leader, async () => {
        if (stop.aborted) return undefined;
        if (this.#connection !== connection) throw new Error('the connection was given up');
        return this.#read(await cluster.findBroker({ nodeId: leader }), partition, from, to, bytes);
      });
    } catch (error) {
      // Whatever it was, another leader or a lost connection: new connections begin with new knowledge of who leads what.
      this.#abandon(connection);
      throw error;
    } finally {
      connection.users--;
      if (connection.users === 0) this.#unused(connection);
    }
  }

  async #read(broker: Broker, partition: Partition, from: Offset, to: Offset, bytes: number): Promise<Piece | undefined> {
    const { topic } = this.#options;
    const enough = Math.max(bytes, 2 * this.#options.largestBatchBytes);
    const limit = Math.min(to, from + stepsAtOnce);
    for (let at = from, ask = bytes; at < limit; ) {
      const topics = [{ topic, partitions: [{ partition, fetchOffset: String(at), maxBytes: ask }] }];
      const { responses } = await broker.fetch({ maxWaitTime: 0, minBytes: 0, maxBytes: ask, topics });
      const fetched = responses[0]?.partitions[0];
      if (fetched === undefined || Number(fetched.lastStableOffset) <= at) return undefined;
      if (fetched.messages.length > 0 && lastOffsetOf(fetched.messages) >= at) return pieceOf(topic, fetched, from, to);
      // More bytes may bring what stands behind the empty batch, and with it how far the emptiness goes.
      if (ask < enough) ask = enough;
      else at = (at + 1) as Offset;
    }
    return { records: [], next: limit as Offset, held: 0 };
  }

  #connect(): Connection {
    if (this.#closed) throw new BitacoraError('closed', 'the log is closed');
    clearTimeout(this.#idle);
    if (this.#connection === undefined) {
      const client = this.#options.newClient();
      this.#connection = { client, cluster: connected(clusterOf(client), this.#options.topic), turns: new Map(), users: 0 };
      this.#connections.add(this.#connection);
    }
    return this.#connection;
  }

  #abandon(connection: Connection | undefined): void {
    if (this.#connection === connection) this.#connection = undefined;
  }

  /** Nobody uses it now. After the close as well: an attempt may have connected once more before it noticed. */
  #unused(connection: Connection): void {
    if (this.#connection === connection) {
      this.#idle = setTimeout(() => {
        this.#abandon(connection);
        this.#unused(connection);
      }, this.#options.limits.fetchIdleMs).unref();
    } else {
      this.#connections.delete(connection);
      connection.client.cut();
    }
  }
}

function inTurn<T>(turns: Map<number, Promise<unknown>>, broker: number, work: () => Promise<T>): Promise<T> {
  const mine = (turns.get(broker) ?? Promise.resolve()).then(work, work);
  turns.set(broker, mine);
  return mine;
}

async function connected(cluster: Cluster, topic: string): Promise<Cluster> {
  await cluster.connect();
  await cluster.addTargetTopic(topic);
  return cluster;
}

/** Control records, and those of aborted transactions, are held offsets that are not shown. */
function pieceOf(topic: string, fetched: FetchedPartition, from: Offset, to: Offset): Piece {
  const next = Math.min(lastOffsetOf(fetched.messages) + 1, to) as Offset;
  const within = ({ offset }: { readonly offset: string }) => Number(offset) >= from && Number(offset) < next;
  const records = toRecords(servedMessages(topic, from, fetched).filter(within));
  return { records, next, held: fetched.messages.filter(within).length };
}
