/** What `connect` takes: where the servers are, and the bounds of everything. */
import type { Logger } from '../src/ports.ts';
import { parseAddress } from '../wire/address.ts';
import { ClientError } from './errors.ts';

/** Servers found in ZooKeeper, and followed as they come and go. Needs the package `zookeeper`. */
export interface ByZooKeeper {
  /** `host:port[,host:port…][/path]`. */
  readonly zookeeper: string;
  /** Where the nodes register, behind the path of `zookeeper`. Default `/bitacora`. */
  readonly root?: string;
  readonly servers?: undefined;
}

/** Servers by name: `host:port` of their Avro faces. */
export interface ByList {
  readonly servers: readonly string[];
  readonly zookeeper?: undefined;
}

export interface Bounds {
  /** For each call with all its attempts, in ms. Default 5,000. A read moves to another server after a third of it. */
  readonly timeoutMs?: number;
  /** Until `connect` gives up, in ms. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** How long `close` lets calls finish, in ms. Default 1,000. */
  readonly closeTimeoutMs?: number;
  /** How often one call may be sent, at most. Default 10. */
  readonly attempts?: number;
  /** Calls in flight on one connection; there is one for each server. Default 256. */
  readonly maxInFlight?: number;
  /** Bytes waiting to leave on one connection before it takes no more calls. Default 16 MiB. */
  readonly maxBufferedBytes?: number;
  /** Calls that may wait for a server; over this, `overloaded`. Default 10,000. */
  readonly maxQueued?: number;
  /** The largest answer, in bytes; a server that sends more is cut off. Default 128 MiB. */
  readonly maxFrameBytes?: number;
}

export type ConnectOptions = (ByZooKeeper | ByList) &
  Bounds & {
    /** What another client has seen (its `position`): this one reads nothing older. */
    readonly position?: string | undefined;
    /** Ends the attempt to connect; nothing afterwards. */
    readonly signal?: AbortSignal | undefined;
    /** Told of servers found and lost; never of keys or values. Default: silent. A pino logger fits. */
    readonly logger?: Logger | undefined;
  };

/** All bounds, decided. */
export type Limits = Required<Bounds>;

const defaults: Limits = {
  timeoutMs: 5_000,
  connectTimeoutMs: 10_000,
  closeTimeoutMs: 1_000,
  attempts: 10,
  maxInFlight: 256,
  maxBufferedBytes: 16 * 1024 * 1024,
  maxQueued: 10_000,
  maxFrameBytes: 128 * 1024 * 1024,
};

/** Node's timers, and Avro's frames, know no more. */
const largest = 2 ** 31 - 1;

/** Errors: `bad-request`, naming the option. */
export function limitsOf(options: Bounds): Limits {
  const limits: Record<string, number> = { ...defaults };
  for (const name of Object.keys(defaults) as (keyof Limits)[]) {
    const value = options[name];
    if (value === undefined) continue;
    const least = name === 'maxQueued' || name === 'closeTimeoutMs' ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least || value > largest) throw refused(`${name} must be a whole number from ${least} on`);
    limits[name] = value;
  }
  return limits as unknown as Limits;
}

/** The list, each server once. Errors: `bad-request`. */
export function serversOf(servers: readonly string[]): readonly string[] {
  if (!Array.isArray(servers)) throw refused('servers must be a list');
  const wrong = servers.find((server) => parseAddress(server) === undefined);
  if (wrong !== undefined) throw refused(`"${wrong}" in the list of servers is not host:port`);
  if (servers.length === 0) throw refused('the list of servers is empty');
  return [...new Set(servers)];
}

export function refused(message: string): ClientError {
  return new ClientError('bad-request', message, { retryable: false });
}
