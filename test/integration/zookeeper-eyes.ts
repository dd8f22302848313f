/** A ZooKeeper session to look with, independent of the nodes looked at. */
import { once } from 'node:events';
import { systemClock } from '../../src/app/system.ts';
import { loadZooKeeper, type ZooKeeperSession } from '../../wire/zookeeper/session.ts';
import { atCleanUp } from './clean-up.ts';
import { until } from './until.ts';

export async function openEyes(hosts: string): Promise<ZooKeeperSession> {
  const open = await loadZooKeeper();
  const session = open({
    servers: hosts,
    sessionTimeoutMs: 30_000,
    operationTimeoutMs: 5_000,
    clock: systemClock,
    onState: () => undefined,
  });
  atCleanUp(() => session.close());
  await until('a session to look with', () => session.state === 'connected');
  return session;
}

interface NativeClient extends NodeJS.EventEmitter {
  init(options: object): void;
  close(): void;
  get(path: string, watch: boolean): Promise<[object, Buffer]>;
}

/** What stands in a node. */
export async function dataOf(hosts: string, path: string): Promise<string> {
  const { default: Client } = (await import('zookeeper' as string)) as { default: new (options: object) => NativeClient };
  const client = new Client({});
  client.init({ connect: hosts, timeout: 10_000, debug_level: 0 });
  await once(client, 'connect');
  const [, data] = await client.get(path, false);
  // It must not be closed from within its own callback.
  await new Promise((resolve) => setImmediate(resolve));
  client.close();
  return data.toString();
}
