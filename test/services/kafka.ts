/** A real Kafka for tests, of this test's own, that may be paused, killed and started again. */
import { Kafka, logLevel } from 'kafkajs';
import { chooseWay, type Way } from './choose.ts';
import { dockerCluster, javaCluster, type KafkaCluster, type KafkaNode } from './kafka-nodes.ts';
import { type Server, untilReady } from './server.ts';

export interface KafkaOptions {
  /** Broker settings over those of `kafka-settings.ts`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Brokers, each a controller too. Default 1. */
  readonly nodes?: 1 | 3;
  /** Default: TEST_KAFKA_VERSION, else 3.9.1. */
  readonly version?: string;
}

/** Orders go to one node, counted from 0 in the order of `brokers`, or to all. */
export interface KafkaService {
  /** `host:port` of every node. */
  readonly brokers: string[];
  readonly version: string;
  readonly way: Way;
  /** Freezes nodes (SIGSTOP): connections stay open, nothing is answered. */
  pause(node?: number): Promise<void>;
  /** Ends a freeze. */
  resume(node?: number): Promise<void>;
  /** Ends nodes as a power cut of the process would (SIGKILL), also while paused. */
  kill(node?: number): Promise<void>;
  /** Starts nodes again on the same ports and data, ending them in order if they run; resolves when they serve. */
  restart(node?: number): Promise<void>;
  /** Ends every node and deletes the data. Idempotent. */
  stop(): Promise<void>;
}

/** The Kafka version that tests run against. */
export function testKafkaVersion(): string {
  return process.env['TEST_KAFKA_VERSION'] || '3.9.1';
}

/**
 * Starts brokers and waits until they serve.
 *
 * @throws Error naming what to install when there is neither Docker nor Java, or with the server's log when it does not start.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaService> {
  const version = options.version ?? testKafkaVersion();
  const image = `apache/kafka:${version}`;
  const way = await chooseWay({ title: `Kafka ${version}`, image, jars: `kafka-${version}` });
  const clusterOptions = { version, size: options.nodes ?? 1, config: options.config ?? {} };
  const cluster = await (way === 'docker' ? dockerCluster(image, clusterOptions) : javaCluster(clusterOptions));
  const service = kafkaService(cluster, version, way);
  try {
    await service.restart();
    return service;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

function kafkaService(cluster: KafkaCluster, version: string, way: Way): KafkaService {
  const serving = new Set<KafkaNode>();
  const picked = (node: number | undefined): readonly KafkaNode[] => {
    if (node === undefined) return cluster.nodes;
    const one = cluster.nodes[node];
    if (one === undefined) throw new RangeError(`there is no node ${node}, only 0 to ${cluster.nodes.length - 1}`);
    return [one];
  };
  const order = async (node: number | undefined, does: (server: Server) => Promise<void>, serves: boolean): Promise<void> => {
    for (const one of picked(node)) {
      if (serves) serving.add(one);
      else serving.delete(one);
    }
    await Promise.all(picked(node).map(({ server }) => does(server)));
  };
  let stopping: Promise<void> | undefined;

  return {
    brokers: cluster.nodes.map(({ broker }) => broker),
    version,
    way,
    pause: (node) => order(node, (server) => server.pause(), false),
    resume: (node) => order(node, (server) => server.resume(), true),
    kill: (node) => order(node, (server) => server.kill(), false),
    async restart(node) {
      const running = picked(node).filter((one) => serving.has(one));
      await Promise.all(running.map(({ server }) => server.terminate()));
      await order(node, (server) => server.start(), true);
      const expected = serving.size;
      await Promise.all(picked(node).map(({ server, broker }) => untilReady(server, () => serves(broker, expected))));
    },
    stop() {
      stopping ??= Promise.all(cluster.nodes.map(({ server }) => server.dispose())).then(() => cluster.remove());
      return stopping;
    },
  };
}

/** Fails unless the broker answers and knows `expected` brokers, itself among them. */
async function serves(broker: string, expected: number): Promise<void> {
  const client = new Kafka({
    clientId: 'bitacora-test-services',
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 2000,
    retry: { retries: 0 },
  });
  const admin = client.admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    if (brokers.length < expected) throw new Error(`${broker} knows ${brokers.length} of ${expected} brokers`);
  } finally {
    await admin.disconnect();
  }
}
