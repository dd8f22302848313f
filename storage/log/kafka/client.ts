/**
 * The one file that names `kafkajs`: a client with its lines in our log, its sockets watched, and its errors sorted.
 *
 * kafkajs changes its retry defaults when NODE_ENV is `test`, so every retry setting is given explicitly, everywhere.
 */
import { createRequire } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';
import { type Admin, type Consumer, type IHeaders, Kafka, logLevel, type Producer, type SASLOptions } from 'kafkajs';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/ports.ts';
import type { RawMessage } from './records.ts';

export type { Admin, Consumer, IHeaders, Producer };

/** How to reach the brokers. */
export interface KafkaConnection {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: boolean;
  readonly sasl:
    | { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string }
    | undefined;
}

/** Sees what a client does on its sockets: the only certain knowledge of whether a produce request has left. */
export interface SocketWatch {
  /** A produce request has been handed to the socket. */
  produced(): void;
}

/** Requests that a broker does not answer in this time fail; must be longer than a broker's ordinary pauses. */
export const requestTimeoutMs = 5_000;
const connectionTimeoutMs = 1_500;
const produceApiKey = 0;

export interface Client {
  readonly kafka: Kafka;
  /** Cuts every connection of this client, so that the next attempt makes new ones: kafkajs keeps a dead one for 15 minutes. */
  cut(): void;
}

/** A kafkajs client. `retries` counts kafkajs's own attempts after the first. */
export function kafkaClient(connection: KafkaConnection, logger: Logger, retries: number, watch?: SocketWatch): Client {
  const sockets = new Set<net.Socket>();
  const kafka = new Kafka({
    clientId: connection.clientId,
    brokers: [...connection.brokers],
    requestTimeout: requestTimeoutMs,
    connectionTimeout: connectionTimeoutMs,
    retry: { retries, initialRetryTime: 100, maxRetryTime: 1_000, factor: 0.2, multiplier: 2, restartOnFailure: async () => false },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => {
      const fields = { event: 'kafka.client', from: entry.namespace, error: entry.log['error'] };
      // kafkajs logs as errors what it goes on to retry; what matters reaches our log through the errors it throws.
      logger.debug(fields, entry.log.message);
    },
    socketFactory: ({ host, port, ssl, onConnect }) => {
      const socket = ssl
        ? tls.connect({ host, port, servername: net.isIP(host) ? '' : host, ...ssl }, onConnect)
        : net.connect({ host, port }, onConnect);
      socket.setKeepAlive(true, 10_000);
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      if (watch !== undefined) watchWrites(socket, watch);
      return socket;
    },
    ...(connection.tls ? { ssl: true } : {}),
    ...(connection.sasl === undefined ? {} : { sasl: connection.sasl as SASLOptions }),
  });
  return {
    kafka,
    cut: () => {
      for (const socket of sockets) socket.destroy(new Error('the connection was cut after a request timeout'));
    },
  };
}

/**
 * What kafkajs's consumers fetch with, which its types leave out: the brokers' connections without a group around them. kafkajs itself makes
 * it for whoever asks as its own consumers do; it is the version named in package.json, and the contract suite reads through it.
 */
export interface Cluster {
  connect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(node: { readonly nodeId: number }): Promise<Broker>;
}

export interface Broker {
  fetch(request: FetchRequest): Promise<{ readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[] }>;
}

interface FetchRequest {
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
  }[];
}

/** One partition's part of an answer. Up to `lastStableOffset` it can be read: behind it are transactions that are not decided. */
export interface FetchedPartition {
  readonly partition: number;
  readonly lastStableOffset: string;
  readonly messages: readonly RawMessage[];
}

/** The messages of an answer that a consumer would be given: from the offset on, no control records, nothing of aborted transactions. */
export function servedMessages(topic: string, offset: number, fetched: FetchedPartition): readonly RawMessage[] {
  return new ConsumerBatch(topic, String(offset), fetched).messages;
}

const ConsumerBatch = createRequire(import.meta.url)('kafkajs/src/consumer/batch') as new (
  topic: string,
  fetchedOffset: string,
  partition: FetchedPartition,
) => { readonly messages: readonly RawMessage[] };

/** A cluster of its own on a client's settings and sockets, not yet connected. */
export function clusterOf({ kafka }: Client): Cluster {
  const name = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === 'private:Kafka:createCluster');
  if (name === undefined) throw new BitacoraError('internal', 'this is not the kafkajs that was built for');
  const create = (kafka as unknown as Record<symbol, (options: object) => Cluster>)[name] as (options: object) => Cluster;
  return create({ metadataMaxAge: 60_000, allowAutoTopicCreation: false });
}

/** A request is one write: a length (int32), then the API key (int16). kafkajs writes `binary` strings or buffers. */
function watchWrites(socket: net.Socket, watch: SocketWatch): void {
  const write = socket.write.bind(socket);
  socket.write = ((data: Uint8Array | string, ...rest: never[]) => {
    if (typeof data !== 'string' && data.length >= 6 && data[4] === 0 && data[5] === produceApiKey) watch.produced();
    return write(data, ...rest);
  }) as typeof socket.write;
}

/** The broker's own word for an error (`MESSAGE_TOO_LARGE`), looked for along the causes; undefined when it is not the broker's. */
export function protocolError(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const type = (at as { type?: unknown }).type;
    if (typeof type === 'string') return type;
    const original = (at as { originalError?: unknown }).originalError;
    if (original instanceof Error && typeof (original as { type?: unknown }).type === 'string')
      return (original as unknown as { type: string }).type;
  }
  return undefined;
}

export function isRequestTimeout(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (at.name === 'KafkaJSRequestTimeoutError') return true;
  }
  return false;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Waits for `work` at most `limitMs`; afterwards goes on without it. For closes that kafkajs never ends. False: it did not end in time. */
export async function atMost(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => true,
      ),
      limit,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
