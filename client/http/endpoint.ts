/** One address of the cluster: its connections, and what is remembered of its health. */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Chance, Clock } from '../../src/ports.ts';
import type { HttpLimits, TlsOptions } from './options.ts';

export interface EndpointWorld {
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions | undefined;
}

const firstRestMs = 100;
const longestRestMs = 10_000;

export class Endpoint {
  /** As the caller wrote it. */
  readonly name: string;
  /** Requests that were begun and are not settled. */
  inFlight = 0;
  /** Streams that are open, or being opened. */
  streams = 0;
  readonly #url: URL;
  readonly #world: EndpointWorld;
  readonly #agent: HttpAgent;
  /** Failures since it answered last. */
  #failures = 0;
  #restUntil = Number.NEGATIVE_INFINITY;

  constructor(name: string, url: URL, world: EndpointWorld) {
    this.name = name;
    this.#url = url;
    this.#world = world;
    const { maxSockets, idleMs } = world.limits;
    // The timeout ends idle connections only: nobody listens for that of a request.
    const options = { keepAlive: true, maxSockets, timeout: idleMs, scheduling: 'lifo' } as const;
    this.#agent = url.protocol === 'https:' ? new HttpsAgent({ ...options, ...world.tls }) : new HttpAgent(options);
  }

  /** A request that is not ended yet. `path` begins with a slash. */
  open(method: string, path: string, headers: Readonly<Record<string, string>>): ClientRequest {
    return this.#request({ method, path, headers, agent: this.#agent });
  }

  /** As `open`, a GET on a connection of its own: who reads for hours takes none of those that requests share. */
  openStream(path: string, headers: Readonly<Record<string, string>>): ClientRequest {
    return this.#request({ method: 'GET', path, headers, agent: false, ...this.#world.tls });
  }

  #request({ path, headers, ...more }: RequestOptions & { path: string; headers: Readonly<Record<string, string>> }): ClientRequest {
    const { protocol, hostname, port, pathname } = this.#url;
    const options: RequestOptions = {
      ...more,
      protocol,
      // Brackets belong to the URL, not to the address.
      hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      path: `${pathname.replace(/\/$/, '')}${path}`,
      headers: { ...this.#world.headers, ...headers },
    };
    return protocol === 'https:' ? httpsRequest(options) : httpRequest(options);
  }

  /** It is asked only when there is no other. */
  isResting(now: number): boolean {
    return now < this.#restUntil;
  }

  /** It answered, whatever it said. */
  answered(): void {
    this.#failures = 0;
    this.#restUntil = Number.NEGATIVE_INFINITY;
  }

  /** It cannot be reached, was lost, or is slow: others are asked for a while, longer each time. */
  failed(): void {
    const longMs = Math.min(longestRestMs, firstRestMs * 2 ** this.#failures++);
    this.#rest(longMs * (0.5 + this.#world.chance.random() / 2));
  }

  /** It asks to be left alone for so long. */
  asksForRest(restMs: number): void {
    this.#rest(Math.min(longestRestMs, restMs));
  }

  #rest(restMs: number): void {
    this.#restUntil = this.#world.clock.monotonic() + restMs;
  }

  close(): void {
    this.#agent.destroy();
  }
}
