/** Kafka brokers as containers or as Java processes; `kafka.ts` makes a service of them. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { containerServer, createNetwork, dockerHost } from './container.ts';
import { freePorts } from './free-ports.ts';
import { kafkaClassPath } from './java-libraries.ts';
import { javaCommand, jvmServer, newDataDirectory, quickJvm } from './jvm.ts';
import { kafkaSettings, maxHeap, type NodeAddress } from './kafka-settings.ts';
import type { Server } from './server.ts';

export interface KafkaNode {
  readonly broker: string;
  readonly server: Server;
}

export interface KafkaCluster {
  readonly nodes: readonly KafkaNode[];
  /** Removes what the nodes shared, after they are disposed of. */
  remove(): Promise<void>;
}

export interface ClusterOptions {
  readonly version: string;
  readonly size: number;
  readonly config: Readonly<Record<string, string>>;
}

const formatLimitMs = 60_000;

/** Sixteen random bytes in the base64 of Kafka's ids, which may not begin with a dash. */
function newClusterId(): string {
  return `B${randomBytes(16).toString('base64url').slice(1)}`;
}

/** Processes on the loopback interface, with formatted data directories, not started. */
export async function javaCluster({ version, size, config }: ClusterOptions): Promise<KafkaCluster> {
  const classPath = await kafkaClassPath(version);
  const ports = await freePorts(3 * size);
  const clusterId = newClusterId();
  const addresses = Array.from({ length: size }, (_, index): NodeAddress => {
    const [client, internal, controller] = ports.slice(3 * index, 3 * index + 3).map((port) => `127.0.0.1:${port}`) as [
      string,
      string,
      string,
    ];
    return {
      id: index + 1,
      listen: client,
      advertised: client,
      internalListen: internal,
      internalAdvertised: internal,
      controllerListen: controller,
      controllerAdvertised: controller,
    };
  });
  const nodes = await Promise.all(
    addresses.map(async (address): Promise<KafkaNode> => {
      const directory = await newDataDirectory(`kafka-${address.id}`);
      const properties = join(directory, 'server.properties');
      const server = jvmServer(`Kafka ${version}, node ${address.id}`, directory, [maxHeap, '-cp', classPath, 'kafka.Kafka', properties]);
      const settings = kafkaSettings(address, addresses, join(directory, 'data'), config);
      try {
        await writeFile(properties, lines(settings));
        await format(classPath, clusterId, properties);
      } catch (error) {
        await server.dispose();
        throw error;
      }
      return { broker: address.advertised, server };
    }),
  );
  return { nodes, remove: async () => undefined };
}

/** Writes the identity of cluster and node into the data directory, without which a KRaft broker does not start. */
async function format(classPath: string, clusterId: string, properties: string): Promise<void> {
  const args = [...quickJvm, '-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties];
  await promisify(execFile)(javaCommand(), args, { timeout: formatLimitMs });
}

/** Containers of the official image, not started, with the clients' ports fixed, since a broker tells them to its clients. */
export async function dockerCluster(image: string, { version, size, config }: ClusterOptions): Promise<KafkaCluster> {
  const host = await dockerHost();
  const ports = await freePorts(size);
  const clusterId = newClusterId();
  // One node alone needs no network of its own to find itself.
  const network = size > 1 ? await createNetwork() : undefined;
  const addresses = ports.map((port, index): NodeAddress => {
    const alias = network === undefined ? 'localhost' : `kafka-${index + 1}`;
    return {
      id: index + 1,
      listen: ':9092',
      advertised: `${host}:${port}`,
      internalListen: ':9094',
      internalAdvertised: `${alias}:9094`,
      controllerListen: ':9093',
      controllerAdvertised: `${alias}:9093`,
    };
  });
  const nodes = addresses.map((address, index): KafkaNode => {
    const settings = kafkaSettings(address, addresses, '/tmp/kafka-data', config);
    return {
      broker: address.advertised,
      server: containerServer({
        name: `Kafka ${version}, node ${address.id}`,
        image,
        environment: { ...environment(settings), CLUSTER_ID: clusterId, KAFKA_HEAP_OPTS: maxHeap },
        port: { container: 9092, host: ports[index] as number },
        ...(network === undefined ? {} : { network: { name: network.name, alias: `kafka-${address.id}` } }),
      }),
    };
  });
  return { nodes, remove: async () => network?.remove() };
}

function lines(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** As the image reads them: `log.dirs` is KAFKA_LOG_DIRS, with a dash written as two underscores and an underscore as three. */
function environment(settings: Record<string, string>): Record<string, string> {
  const variable = (name: string): string => name.replaceAll('_', '___').replaceAll('-', '__').replaceAll('.', '_').toUpperCase();
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [`KAFKA_${variable(name)}`, value]));
}
