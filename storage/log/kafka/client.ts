/**
 * The one file that names `kafkajs`: a client with its lines in our log, its sockets watched, and its errors sorted.
 *
 * kafkajs changes its retry defaults when NODE_ENV is `test`, so every retry setting is given explicitly, everywhere.
 */
import { createRequire } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';
import { type Admin, Kafka, logLevel, type Producer, type SASLOptions } from 'kafkajs';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/ports.ts';
import { decodeFetchAnswer, type FetchAnswer, type FetchedPartition } from './fetched.ts';

export type { Admin, Producer };

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
  /**
   * Cuts every connection of this client, so that the next attempt makes new ones: kafkajs keeps a dead one for 15 minutes. `forGood`: those
   * that kafkajs makes later, because it tries again what nobody waits for any more, are cut at once.
   */
  cut(forGood?: boolean): void;
}

/** A kafkajs client. `retries` counts kafkajs's own attempts after the first. */
export function kafkaClient(connection: KafkaConnection, logger: Logger, retries: number, watch?: SocketWatch): Client {
  const sockets = new Set<net.Socket>();
  let over = false;
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
      if (over) socket.destroy(cutError());
      return socket;
    },
    ...(connection.tls ? { ssl: true } : {}),
    ...(connection.sasl === undefined ? {} : { sasl: connection.sasl as SASLOptions }),
  });
  return {
    kafka,
    cut: (forGood = false) => {
      over ||= forGood;
      for (const socket of sockets) socket.destroy(cutError());
    },
  };
}

const cutError = () => new Error('the connection was cut, because it was of no use any more');

/**
 * What kafkajs's consumers fetch with, which its types leave out: the brokers' connections without a group around them. kafkajs itself makes
 * it for whoever asks as its own consumers do; it is the version named in package.json, and the contract suite reads through it.
 */
export interface Cluster {
  connect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(node: { readonly nodeId: number }): Promise<Broker>;
  findGroupCoordinator(group: { readonly groupId: string }): Promise<Broker>;
}

export interface Broker {
  /** By API key what it understands. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>> | null;
  readonly connectionPool: { getConnection(index: number): Promise<Wire> };
  /** For a group without members the generation is -1 and the member nobody. */
  offsetCommit(request: {
    readonly groupId: string;
    readonly groupGenerationId: number;
    readonly memberId: string;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string; readonly metadata: string }[];
    }[];
  }): Promise<unknown>;
}

/** One connection to a broker. Once it is lost, whatever is sent fails. */
export interface Wire {
  send(protocol: { readonly request: unknown; readonly response: object; readonly requestTimeout: number }): Promise<unknown>;
}

export interface FetchRequest {
  /** How long the broker may wait for a record to come. */
  readonly maxWaitMs: number;
  /** When an answer has so many bytes, partitions further on get nothing; the first that has something gets a whole batch, however large. */
  readonly maxBytes: number;
  /** In the order in which the broker looks at them. */
  readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
}

const fetchApiKey = 1;
/** Kafka 2.3 and later. */
const fetchVersion = 11;
/** kafkajs keeps two connections to a broker, the second of them for fetches. */
const fetchConnection = 1;

const kafkajsRequire = createRequire(import.meta.url);
const fetchRequest = kafkajsRequire('kafkajs/src/protocol/requests/fetch/v11/request') as (request: object) => unknown;
const protocolErrors = kafkajsRequire('kafkajs/src/protocol/error') as { createErrorFromCode(code: number): Error };

/** kafkajs holds its requests back for as long as the broker asks. */
const fetchResponse = {
  decode: async (bytes: Buffer) => {
    const answer = decodeFetchAnswer(bytes);
    return { answer, clientSideThrottleTime: answer.throttleMs };
  },
  parse: async ({ answer }: { answer: FetchAnswer }) => {
    if (answer.errorCode !== 0) throw brokerError(answer.errorCode);
    return answer.partitions;
  },
};

/** The connection over which a broker is asked for records. Errors: as kafkajs throws them. */
export async function fetchWire(broker: Broker): Promise<Wire> {
  const newest = broker.versions?.[fetchApiKey]?.maxVersion ?? 0;
  if (newest < fetchVersion) throw new BitacoraError('log-unavailable', 'the broker is older than Kafka 2.3');
  return broker.connectionPool.getConnection(fetchConnection);
}

/** Up to what is committed: of transactions that are not decided nothing. Partitions that the broker does not tell of are missing. */
export async function fetchOver(wire: Wire, topic: string, request: FetchRequest): Promise<readonly FetchedPartition[]> {
  const { maxWaitMs, maxBytes, partitions } = request;
  const asked = { replicaId: -1, maxWaitTime: maxWaitMs, minBytes: 1, maxBytes, topics: [{ topic, partitions }] };
  const sent = { request: fetchRequest(asked), response: fetchResponse, requestTimeout: maxWaitMs + requestTimeoutMs };
  return (await wire.send(sent)) as readonly FetchedPartition[];
}

/** The error that a broker means by a code; `protocolError` says its name. */
export function brokerError(code: number): Error {
  return protocolErrors.createErrorFromCode(code);
}

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
