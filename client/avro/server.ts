/**
 * One server of the list: its connection, and whether it should get calls.
 *
 * A connection that fails is opened again after a while, longer each time; one that ended in good order when there was nothing to do is
 * opened when somebody calls. A node that says that it is not ready, or going away, is `poor`: it gets calls only when there is no better
 * one, and is asked every now and then. Servers of the first generation know no positions, so they are poor too.
 */
import type { Chance, Clock, Logger } from '../../src/ports.ts';
import type { Node } from '../../wire/avro/messages.ts';
import { type Backoff, createBackoff } from '../../wire/backoff.ts';
import { ClientConnectionError, type ClientError } from '../errors.ts';
import type { Limits } from '../options.ts';
import { type Connection, type Exchange, request } from './connection.ts';
import { type Dialects, ourDialect } from './dialect.ts';
import { type Opening, openConnection } from './open-connection.ts';

/** What all servers of a client share. */
export interface World {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
  readonly logger: Logger;
  readonly dialects: Dialects;
}

export interface ServerEvents {
  /** A connection is there; it may outlive its server's place in the list. */
  opened(connection: Connection): void;
  closed(connection: Connection): void;
  /** `connection`, `standing` or `trouble` may be others. */
  changed(): void;
}

/** TCP and handshake together. */
const openTimeoutMs = 3_000;
const firstWaitMs = 100;
const longestWaitMs = 10_000;
/** A connection that ended in good order after less than this is no good connection. */
const shortLifeMs = 1_000;
/** Between two questions to a poor node: it costs little, and one that has become ready should not wait long for its share. */
const longestProbeWaitMs = 1_000;
/** How long a poor node may take to say how it is. */
const probeTimeoutMs = 2_000;

export class Server {
  readonly address: string;
  readonly #world: World;
  readonly #events: ServerEvents;
  readonly #backoff: Backoff;
  readonly #probeBackoff: Backoff;
  #state: 'idle' | 'opening' | 'open' | 'waiting' | 'gone' = 'idle';
  #connection: Connection | undefined;
  #standing: 'good' | 'poor' = 'poor';
  #trouble: string | undefined;
  #openedAt = 0;
  #dialect = ourDialect;
  #cancel = (): void => undefined;
  #cancelProbe = (): void => undefined;

  constructor(address: string, world: World, events: ServerEvents) {
    this.address = address;
    this.#world = world;
    this.#events = events;
    this.#backoff = createBackoff(firstWaitMs, longestWaitMs, world.chance);
    this.#probeBackoff = createBackoff(firstWaitMs, longestProbeWaitMs, world.chance);
  }

  /** Takes calls; undefined: none now. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  get standing(): 'good' | 'poor' {
    return this.#standing;
  }

  /** Nothing is wrong, and it waits for somebody to call. */
  get isIdle(): boolean {
    return this.#state === 'idle';
  }

  /** Why it has no connection, in words; undefined: it has one, or nothing is known yet. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Opens a connection unless there is one, or one is under way or waited for. */
  open(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'opening';
    const { limits, clock, dialects } = this.#world;
    let made: Connection | undefined;
    const events = {
      closed: (reason: ClientError | undefined) => made && this.#closed(made, reason),
      silent: () => made && this.#silent(made),
    };
    const timeoutMs = Math.min(openTimeoutMs, limits.connectTimeoutMs);
    const opening: Opening = openConnection({ address: this.address, guess: this.#dialect, dialects, timeoutMs, limits, clock, events });
    this.#cancel = () => opening.cancel();
    opening.done.then(
      (connection) => {
        made = connection;
        this.#opened(connection);
      },
      (error: ClientError) => this.#failed(error),
    );
  }

  /** It says that it is going away. */
  draining(connection: Connection): void {
    if (connection !== this.#connection || this.#standing === 'poor') return;
    this.#standing = 'poor';
    this.#events.changed();
    this.#probeLater(connection);
  }

  /** It has left the list: no new calls; those under way are waited for. */
  remove(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#cancel();
    this.#cancelProbe();
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.retire();
    this.#events.changed();
  }

  #opened(connection: Connection): void {
    this.#dialect = connection.dialect;
    if (!connection.isOpen) {
      this.#failed(undefined);
      return;
    }
    this.#events.opened(connection);
    if (this.#state === 'gone') {
      connection.retire();
      return;
    }
    this.#openedAt = this.#world.clock.monotonic();
    this.#state = 'open';
    this.#trouble = undefined;
    this.#connection = connection;
    this.#world.logger.info({ event: 'client.server.open', server: this.address, state: connection.node?.state }, 'connected to a server');
    this.#judge(connection);
  }

  #judge(connection: Connection): void {
    const { node, dialect } = connection;
    const isReady = dialect.current && node?.state === 'ready';
    this.#standing = isReady ? 'good' : 'poor';
    if (isReady) this.#probeBackoff.reset();
    else if (dialect.current) this.#probeLater(connection);
    this.#events.changed();
  }

  #closed(connection: Connection, reason: ClientError | undefined): void {
    this.#events.closed(connection);
    if (connection !== this.#connection) return;
    const lived = this.#disconnect();
    if (reason !== undefined || lived < shortLifeMs) {
      this.#failed(reason);
    } else {
      this.#state = 'idle';
      this.#events.changed();
    }
  }

  #silent(connection: Connection): void {
    if (connection !== this.#connection) return;
    this.#disconnect();
    this.#failed(undefined, 'no answer to anything');
  }

  /** How long the connection has lived, in ms. */
  #disconnect(): number {
    this.#cancelProbe();
    this.#connection = undefined;
    const lived = this.#world.clock.monotonic() - this.#openedAt;
    if (lived >= longestWaitMs) this.#backoff.reset();
    return lived;
  }

  #failed(error: ClientError | undefined, why = 'it closed the connection at once'): void {
    if (this.#state === 'gone') return;
    const { clock, logger } = this.#world;
    const reason = (error instanceof ClientConnectionError ? error.tried[0]?.reason : error?.message) ?? why;
    const waitMs = this.#backoff.next();
    if (this.#trouble !== reason) logger.warn({ event: 'client.server.lost', server: this.address, reason }, 'a server cannot be used');
    this.#trouble = reason;
    this.#state = 'waiting';
    this.#cancel = clock.after(waitMs, () => {
      this.#state = 'idle';
      this.open();
    });
    this.#events.changed();
  }

  /** Asks a poor node how it is, after a while. */
  #probeLater(connection: Connection): void {
    // An answer may come when the connection only waits for its last ones.
    if (connection !== this.#connection) return;
    const { clock } = this.#world;
    this.#cancelProbe();
    this.#cancelProbe = clock.after(this.#probeBackoff.next(), () => {
      if (connection !== this.#connection) return;
      const now = clock.monotonic();
      const { encode } = request('getNode', {});
      let serial = 0;
      const again = (): void => this.#probeLater(connection);
      const probe: Exchange = {
        message: 'getNode',
        write: false,
        lateAt: now + probeTimeoutMs,
        answered: (node) => {
          connection.node = node as Node;
          if (connection === this.#connection) this.#judge(connection);
        },
        refused: again,
        // The connection's owner hears of it anyway.
        lost: () => undefined,
        late: () => {
          connection.forget(serial);
          again();
        },
      };
      if (connection.hasRoom) serial = connection.send(probe, encode, now);
      else again();
    });
  }
}
