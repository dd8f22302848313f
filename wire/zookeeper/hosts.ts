/**
 * `ZOOKEEPER_HOSTS`: `host:port[,host:port…][/path]`, as every ZooKeeper client takes it.
 *
 * Names are resolved here and not by the native client, which would stop the whole process while it waits for a name server. The path
 * is put before our own instead of being given to the client, which cannot create it.
 */
import { lookup } from 'node:dns/promises';
import { BitacoraError } from '../../src/core/errors.ts';
import { type Address, parseAddress } from '../address.ts';

export interface ZooKeeperHosts {
  readonly servers: readonly Address[];
  /** Empty, or a path without a slash at its end. */
  readonly path: string;
}

const defaultPort = 2181;

/** Errors: `option-invalid`. */
export function parseZooKeeperHosts(text: string): ZooKeeperHosts {
  const slash = text.indexOf('/');
  const list = slash < 0 ? text : text.slice(0, slash);
  const servers = list.split(',').map((part) => {
    const host = part.trim();
    const address = parseAddress(host) ?? parseAddress(`${host}:${defaultPort}`);
    if (address === undefined) throw new BitacoraError('option-invalid', `"${host}" in the list of ZooKeeper servers is not host:port`);
    return address;
  });
  return { servers, path: slash < 0 ? '' : text.slice(slash).trim().replace(/\/+$/, '') };
}

/** `ip:port` of all servers whose names can be resolved now, as the native client wants them. Rejects when none can. */
export async function resolveServers(servers: readonly Address[]): Promise<string> {
  const found = await Promise.allSettled(
    servers.map(async ({ host, port }) => (await lookup(host, { all: true })).map(({ address }) => `${address}:${port}`)),
  );
  const addresses = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  if (addresses.length > 0) return [...new Set(addresses)].join(',');
  throw new Error('no name of a ZooKeeper server can be resolved', { cause: found });
}
