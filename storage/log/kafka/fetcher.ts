/**
 * Fetches stretches of the topic by offset, straight from the partitions' leaders.
 *
 * A stretch is a handful of fetch requests, each for one partition and one offset, over connections of the fetcher's own that are made when
 * they are needed, used no more after a failure, and closed when nobody has read for a while. The subscription never notices.
 *
 * Because a request is for one partition only, its answer is proof: the broker gives the whole record batch at the offset, however large. If
 * none came, though the log was known to go on, nothing is left from there up to the end that was known, and it is stepped over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger, Offset, Partition, PartitionBounds } from '../../../src/ports.ts';
import type { Piece, StretchSource } from '../stretch-shared.ts';
import { atMost, brokerError, type Client, messageOf } from './client.ts';
import { recordsOf } from './fetched.ts';
import { TopicConnection } from './topic-connection.ts';

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
  readonly bounds: () => Promise<readonly PartitionBounds[]>;
  readonly logger: Logger;
}

/** The first fetch of a stretch is small, because a caller may soon have what he looks for; each one after it is twice as large. */
const firstFetchBytes = 64 * 1024;
const mostFetchBytes = 512 * 1024;
const connectMs = 10_000;

/** Connections to all brokers, and what is known of who leads which partition. */
interface Connection {
  readonly client: Client;
  readonly opened: Promise<TopicConnection>;
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
    for (const { client } of this.#connections) client.cut(true);
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
      const opened = await connection.opened;
      const leader = opened.leaderOf(partition);
      if (leader === undefined) throw new Error(`partition ${partition} has no leader`);
      return await inTurn(connection.turns, leader, async () => {
        if (stop.aborted) return undefined;
        if (this.#connection !== connection) throw new Error('the connection was given up');
        return this.#read(opened, leader, partition, from, to, bytes);
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

  async #read(
    connection: TopicConnection,
    leader: number,
    partition: Partition,
    from: Offset,
    to: Offset,
    bytes: number,
  ): Promise<Piece | undefined> {
    const partitions = [{ partition, fetchOffset: String(from), maxBytes: bytes }];
    const [fetched] = await connection.fetch(leader, { maxWaitMs: 0, maxBytes: bytes, partitions });
    if (fetched === undefined) return undefined;
    if (fetched.errorCode !== 0) throw brokerError(fetched.errorCode);
    if (fetched.lastStableOffset <= from || fetched.preferredReplica >= 0) return undefined;
    const found = recordsOf(fetched, from, to);
    if (found.next > from) return found;
    // The log was known to reach `to` before the broker was asked.
    return { records: [], next: Math.min(fetched.lastStableOffset, to) as Offset, held: 0 };
  }

  #connect(): Connection {
    if (this.#closed) throw new BitacoraError('closed', 'the log is closed');
    clearTimeout(this.#idle);
    if (this.#connection === undefined) {
      const client = this.#options.newClient();
      const opened = TopicConnection.open(client, this.#options.topic, connectMs);
      // Told to whoever waits for it.
      opened.catch(() => undefined);
      this.#connection = { client, opened, turns: new Map(), users: 0 };
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
      connection.client.cut(true);
    }
  }
}

function inTurn<T>(turns: Map<number, Promise<unknown>>, broker: number, work: () => Promise<T>): Promise<T> {
  const mine = (turns.get(broker) ?? Promise.resolve()).then(work, work);
  turns.set(broker, mine);
  return mine;
}
