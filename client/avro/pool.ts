/**
 * All servers, and which of them gets the next call: the less busy of two taken at random.
 *
 * Two are enough to keep away from servers that are slow or full, and they need no view of the whole that could be out of date. Only
 * servers with a greeted connection are asked, so no call waits for one that does not answer its door.
 */
import type { Tried } from '../errors.ts';
import type { Connection } from './connection.ts';
import { Server, type World } from './server.ts';

/** Of connections that a call must not go to again. */
export type Avoid = readonly Connection[];

export class Pool {
  readonly #world: World;
  readonly #servers = new Map<string, Server>();
  /** All connections, those included that only wait for their last answers. */
  readonly #connections = new Set<Connection>();
  readonly #owners = new WeakMap<Connection, Server>();
  /** Ready nodes of this generation. */
  #good: readonly Connection[] = [];
  #poor: readonly Connection[] = [];
  /** A server is not connected because nobody called for a while. */
  #idle = false;
  #closed = false;
  /** Runs whenever a server may take calls that could not before. */
  readonly #onReady: () => void;

  constructor(world: World, onReady: () => void) {
    this.#world = world;
    this.#onReady = onReady;
  }

  /** The list as it is now. An empty one is taken for a trouble of whoever tells it: the servers last known stay. */
  update(addresses: readonly string[]): void {
    if (this.#closed || addresses.length === 0) return;
    const listed = new Set(addresses);
    for (const [address, server] of this.#servers) {
      if (listed.has(address)) continue;
      this.#servers.delete(address);
      this.#world.logger.info({ event: 'client.server.left', server: address }, 'a server has left the list');
      server.remove();
    }
    for (const address of listed) {
      if (this.#servers.has(address)) continue;
      this.#add(address);
    }
  }

  /** A server with room; undefined: none that is not to be avoided. */
  pick(avoid: Avoid): Connection | undefined {
    if (this.#idle) this.rouse();
    if (avoid.length === 0) return this.#lighter(this.#good.length > 0 ? this.#good : this.#poor);
    const good = without(this.#good, avoid);
    return this.#lighter(good.length > 0 ? good : without(this.#poor, avoid));
  }

  /** There is a server that is not to be avoided, with or without room. */
  has(avoid: Avoid): boolean {
    return without(this.#good, avoid).length > 0 || without(this.#poor, avoid).length > 0;
  }

  /** There is a server. */
  get isOpen(): boolean {
    return this.#good.length > 0 || this.#poor.length > 0;
  }

  get connections(): Iterable<Connection> {
    return this.#connections;
  }

  /** Addresses of the servers that take calls now. */
  get names(): readonly string[] {
    return [...this.#good, ...this.#poor].map(({ address }) => address);
  }

  /** The smallest frame that a server takes, in bytes; undefined: none says. */
  get frameBytes(): number | undefined {
    const known = [...this.#good, ...this.#poor].map(({ node }) => node?.maxFrameBytes ?? 0).filter((bytes) => bytes > 0);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  /** Servers without a connection, and why. */
  get tried(): readonly Tried[] {
    const lost = [...this.#servers.values()].filter(({ connection }) => connection === undefined);
    return lost.map(({ address, trouble }) => ({ server: address, reason: trouble ?? 'no answer yet' }));
  }

  /** The server says that it is going away. */
  draining(connection: Connection): void {
    this.#owners.get(connection)?.draining(connection);
  }

  /** Opens what was left alone. */
  rouse(): void {
    this.#idle = false;
    for (const server of this.#servers.values()) server.open();
  }

  /** Lets all servers go; connections with calls under way stay until those are done. */
  close(): void {
    this.#closed = true;
    for (const server of this.#servers.values()) server.remove();
    this.#servers.clear();
  }

  #lighter(connections: readonly Connection[]): Connection | undefined {
    const count = connections.length;
    if (count === 0) return undefined;
    const first = connections[this.#below(count)] as Connection;
    if (count === 1) return first.hasRoom ? first : undefined;
    let other = this.#below(count - 1);
    if (connections[other] === first) other = count - 1;
    const second = connections[other] as Connection;
    const best = second.load < first.load ? second : first;
    if (best.hasRoom) return best;
    // Rare: somebody is full. Then all are looked at.
    const open = connections.filter((connection) => connection.hasRoom);
    return open.length === 0 ? undefined : open.reduce((least, connection) => (connection.load < least.load ? connection : least));
  }

  #below(count: number): number {
    return Math.floor(this.#world.chance.random() * count);
  }

  #add(address: string): void {
    const server: Server = new Server(address, this.#world, {
      opened: (connection) => {
        this.#connections.add(connection);
        this.#owners.set(connection, server);
      },
      closed: (connection) => this.#connections.delete(connection),
      changed: () => this.#changed(),
    });
    this.#servers.set(address, server);
    server.open();
  }

  #changed(): void {
    const good: Connection[] = [];
    const poor: Connection[] = [];
    this.#idle = false;
    for (const { connection, standing, isIdle } of this.#servers.values()) {
      if (isIdle) this.#idle = true;
      if (connection !== undefined) (standing === 'good' ? good : poor).push(connection);
    }
    this.#good = good;
    this.#poor = poor;
    if (this.isOpen) this.#onReady();
  }
}

function without(connections: readonly Connection[], avoid: Avoid): readonly Connection[] {
  return avoid.length === 0 ? connections : connections.filter((connection) => !avoid.includes(connection));
}
