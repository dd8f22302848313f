/** The client of all nodes together, over HTTP. */
import type { Chance, Clock } from '../../src/ports.ts';
import { clientChance, clientClock } from '../clock.ts';
import { BitacoraSession } from './bitacora-session.ts';
import { Calls } from './calls.ts';
import { Endpoint } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { type BitacoraOptions, checkHeaders, endpointsOf, httpLimitsOf } from './options.ts';

/** What a client has of the world around it; given in tests. */
export interface HttpSurroundings {
  readonly clock?: Clock;
  readonly chance?: Pick<Chance, 'random'>;
}

/**
 * A client, and its first session. Making one asks nobody: the first call finds out who is there. It holds the process only while a call
 * is under way.
 */
export class Bitacora extends BitacoraSession {
  readonly #calls: Calls;
  /** As they were given. */
  readonly endpoints: readonly string[];

  /** Errors: `bad-request` for options that cannot be meant. */
  constructor(options: BitacoraOptions, { clock = clientClock, chance = clientChance }: HttpSurroundings = {}) {
    const { endpoints, position, headers = {}, tls } = options;
    const limits = httpLimitsOf(options);
    checkHeaders(headers);
    const world = { limits, clock, chance, headers, tls };
    const all = [...endpointsOf(endpoints)].map(([name, url]) => new Endpoint(name, url, world));
    const calls = new Calls({ endpoints: new Endpoints(all, clock, chance), limits, clock, chance });
    super(calls, position);
    this.#calls = calls;
    this.endpoints = all.map(({ name }) => name);
  }

  /** Another session over the same connections, for one user among many: it has seen nothing but what the position says. */
  session(position?: string): BitacoraSession {
    return new BitacoraSession(this.#calls, position);
  }

  /**
   * Lets calls under way finish for at most `closeTimeoutMs`, then ends them (`closed`; writes that were sent: `unknown-outcome`), those of
   * all its sessions. Idempotent, never rejects; afterwards nothing is left of it.
   */
  close(): Promise<void> {
    return this.#calls.close();
  }
}
