/** Clients of the Avro face as tests use them: found through ZooKeeper, closed at the clean-up. */
import { type Client, type ConnectOptions, connect } from '../../client/index.ts';
import { atCleanUp } from './clean-up.ts';
import type { ClusterSettings } from './cluster.ts';
import type { NodeProcess } from './node-process.ts';
import { until } from './until.ts';

/** A client that finds the nodes of a cluster by itself. */
export async function clientOf(settings: ClusterSettings, options: Partial<ConnectOptions> = {}): Promise<Client> {
  const place = { zookeeper: settings['ZOOKEEPER_HOSTS'] as string, root: settings.BITACORA_ZOOKEEPER_ROOT };
  const client = await connect({ ...place, ...(options as object) });
  atCleanUp(() => client.close());
  return client;
}

/** The client takes its calls to exactly these nodes. */
export async function uses(client: Client, nodes: readonly NodeProcess[], limitMs?: number): Promise<void> {
  const wanted = nodes.map(({ socket }) => socket).sort();
  await until(
    `the client uses ${wanted.join(', ')}`,
    async () => JSON.stringify([...client.servers].sort()) === JSON.stringify(wanted),
    limitMs,
  );
}

/** Calls of a message that a node has answered well. */
export const callsOf = (node: NodeProcess, message: string): Promise<number> =>
  node.metric('bitacora_avro_request_duration_seconds_count', `message="${message}",outcome="ok"`);
