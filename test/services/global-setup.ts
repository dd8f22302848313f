/**
 * What vitest does once before all tests: build, and start the services that tests share.
 *
 * Tests get the addresses with `inject('brokers')` and `inject('zookeeperHosts')`, use topics and paths of their own
 * there, and never hurt these services: fault tests start theirs with `startKafka` and `startZooKeeper`.
 */
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { buildProject } from './build.ts';
import { sharedKafka, sharedZooKeeper } from './shared.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Bootstrap brokers of the shared Kafka, `host:port`. */
    brokers: string[];
    /** The shared ZooKeeper's `host:port,...`. */
    zookeeperHosts: string;
  }
}

/** Resolves with the teardown. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const kafka = sharedKafka();
  const zooKeeper = sharedZooKeeper();
  const teardown = async (): Promise<void> => {
    const started = await Promise.allSettled([kafka, zooKeeper]);
    await Promise.all(started.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)));
  };
  try {
    const [{ address: brokers }, { address: hosts }] = await Promise.all([kafka, zooKeeper, buildProject()]);
    project.provide('brokers', brokers);
    project.provide('zookeeperHosts', hosts);
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}
