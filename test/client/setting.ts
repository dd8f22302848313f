/** Servers and clients of one test file, ended after each test. */
import { afterEach } from 'vitest';
import type { Client } from '../../client/client.ts';
import { type Bounds, type ConnectOptions, connect } from '../../client/index.ts';
import { FakeLog, Replica } from './fake-log.ts';
import { FakeServer, type FakeServerOptions } from './fake-server.ts';

export { until } from '../integration/until.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

export async function startServer(options?: FakeServerOptions): Promise<FakeServer> {
  const server = await new FakeServer(options).start();
  ends.push(() => server.kill());
  return server;
}

/** Servers that follow one log at once. */
export function startServers(count: number, log = new FakeLog()): Promise<FakeServer[]> {
  return Promise.all(Array.from({ length: count }, () => startServer({ replica: new Replica(log) })));
}

/** A client of these servers; it waits until all of them take calls. */
export async function clientOf(servers: readonly FakeServer[], options: Bounds & Pick<ConnectOptions, 'position'> = {}): Promise<Client> {
  const client = await connected({ servers: servers.map(({ address }) => address), ...options });
  await untilServing(client, servers.length);
  return client;
}

export async function connected(...given: Parameters<typeof connect>): Promise<Client> {
  const client = await connect(...given);
  ends.push(() => client.close());
  return client;
}

export async function untilServing(client: Client, count: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (client.servers.length !== count) {
    if (performance.now() > deadline) throw new Error(`serving: ${client.servers.join()}, not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Something to wait for, and to be let go. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
