/** The Kafka and ZooKeeper that a whole test run shares: those named in the environment, else one of our own each. */
import { announce } from './choose.ts';
import { startKafka } from './kafka.ts';
import { startZooKeeper } from './zookeeper.ts';

export interface Shared<T> {
  readonly address: T;
  stop(): Promise<void>;
}

/** Brokers of TEST_BROKER_LIST (`host:port,...`), else a broker of our own. */
export async function sharedKafka(): Promise<Shared<string[]>> {
  const given = fromEnvironment('TEST_BROKER_LIST', 'Kafka');
  if (given !== undefined) return { address: given.split(','), stop: async () => undefined };
  const { brokers, stop } = await startKafka();
  return { address: brokers, stop };
}

/** Servers of TEST_ZOOKEEPER_HOSTS (`host:port,...`), else a server of our own. */
export async function sharedZooKeeper(): Promise<Shared<string>> {
  const given = fromEnvironment('TEST_ZOOKEEPER_HOSTS', 'ZooKeeper');
  if (given !== undefined) return { address: given, stop: async () => undefined };
  const { hosts, stop } = await startZooKeeper();
  return { address: hosts, stop };
}

function fromEnvironment(variable: string, title: string): string | undefined {
  const forced = process.env['TEST_SERVICES'];
  if (forced === 'docker' || forced === 'java') return undefined;
  const value = process.env[variable];
  if (!value) {
    if (forced === 'env') throw new Error(`TEST_SERVICES=env, and ${variable} is not set`);
    return undefined;
  }
  announce(`${title}: ${value} (${variable})`);
  return value;
}
