/**
 * The client library of Bitácora: `import { connect } from 'bitacora/client'`.
 *
 * ```ts
 * const client = await connect({ zookeeper: 'zk-1:2181,zk-2:2181' });
 * await client.set('greeting', 'hello');
 * await client.get('greeting'); // 'hello', whichever server answers
 * await client.close();
 * ```
 */

import { BitacoraError } from '../src/core/errors.ts';
import type { Chance, Clock, Logger } from '../src/ports.ts';
import type { OpenSession } from '../wire/zookeeper/session.ts';
import { connectAvro } from './avro/connect.ts';
import type { Client } from './client.ts';
import { clientChance, clientClock, quietClock } from './clock.ts';
import type { Discovery, OnServers } from './discovery/discovery.ts';
import { openList } from './discovery/list.ts';
import { ClientError } from './errors.ts';
import { type ConnectOptions, limitsOf, refused, serversOf } from './options.ts';
import { Session } from './session.ts';

export type { CallOptions, Client, Entry, GetResult, KeyRecord, SetOptions, SetResult, Value, ValueOptions, Written } from './client.ts';
export { ClientConnectionError, ClientError, type ClientErrorCode, type Tried } from './errors.ts';
export type { Bounds, ByList, ByZooKeeper, ConnectOptions } from './options.ts';

/** What a client has of the world around it; given in tests. */
export interface Surroundings {
  readonly clock?: Clock;
  readonly chance?: Pick<Chance, 'random'>;
  readonly openSession?: OpenSession;
}

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Resolves with a client as soon as one server is reachable.
 *
 * Errors, as `ClientError`: `connection` (a `ClientConnectionError` that says what was tried) when none is within `connectTimeoutMs`;
 * `bad-request` or `option-invalid` for options that cannot be meant; `dependency-missing` without the package `zookeeper`; `aborted`.
 */
export async function connect(options: ConnectOptions, surroundings: Surroundings = {}): Promise<Client> {
  const limits = limitsOf(options);
  const { clock = clientClock, chance = clientChance } = surroundings;
  const logger = options.logger ?? silent;
  const session = new Session();
  session.observe(options.position ?? '');
  const discover = discoveryOf(options, surroundings, logger);
  return connectAvro({ limits, session, clock, chance, logger, signal: options.signal, discover });
}

function discoveryOf(options: ConnectOptions, surroundings: Surroundings, logger: Logger): (onServers: OnServers) => Promise<Discovery> {
  if (options.servers !== undefined) {
    if (options.zookeeper !== undefined) throw refused('give either servers or zookeeper');
    const servers = serversOf(options.servers);
    return async (onServers) => openList(servers, onServers);
  }
  if (options.zookeeper === undefined) throw refused('give servers, or zookeeper to find them in');
  const { zookeeper: hosts, root } = options;
  const { clock = quietClock, chance = clientChance, openSession } = surroundings;
  return async (onServers) => {
    // Who lists the servers needs nothing of this.
    const { openZooKeeperDiscovery } = await import('./discovery/zookeeper.ts');
    const load = openSession === undefined ? undefined : async () => openSession;
    try {
      return await openZooKeeperDiscovery({ hosts, root, clock, chance, logger }, onServers, load);
    } catch (error) {
      if (!(error instanceof BitacoraError)) throw error;
      throw new ClientError(error.code, error.message, { retryable: false, cause: error });
    }
  };
}
