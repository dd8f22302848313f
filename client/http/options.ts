/** What `new Bitacora` takes: where the nodes are, and the bounds of everything. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { AgentOptions } from 'node:https';
import { refused } from '../options.ts';

export interface HttpBounds {
  /** For each call with all its attempts, in ms. Default 5,000. A read moves to another node after a third of it. */
  readonly timeoutMs?: number;
  /** How long `close` lets calls finish, in ms. Default 1,000. */
  readonly closeTimeoutMs?: number;
  /** How often one request may be sent, at most. Default 10. */
  readonly attempts?: number;
  /** Connections to one node, each with one request at a time; more requests wait. Default 128. */
  readonly maxSockets?: number;
  /** Calls under way; over this, `overloaded`. Default 10,000. */
  readonly maxCalls?: number;
  /** The largest answer, in bytes. Default 128 MiB. */
  readonly maxAnswerBytes?: number;
  /**
   * How long an idle connection is kept, in ms. Default 4,000: less than servers and proxies keep it as a rule, since a write that meets
   * the end of its connection has an unknown outcome.
   */
  readonly idleMs?: number;
}

/** For `https:`, as `node:tls` takes it. */
export type TlsOptions = Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized'>;

export interface BitacoraOptions extends HttpBounds {
  /** The nodes, or balancers before them: `http://n1:8082`, `https://…`, also with a path; `n1:8082` is `http`. */
  readonly endpoints: readonly string[];
  /** What another session has seen (its `position`): nothing older is read. */
  readonly position?: string | undefined;
  /** Sent with every request, for a proxy that asks for them. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tls?: TlsOptions | undefined;
}

/** All bounds, decided. */
export type HttpLimits = Required<HttpBounds>;

const defaults: HttpLimits = {
  timeoutMs: 5_000,
  closeTimeoutMs: 1_000,
  attempts: 10,
  maxSockets: 128,
  maxCalls: 10_000,
  maxAnswerBytes: 128 * 1024 * 1024,
  idleMs: 4_000,
};

/** Node's timers know no more. */
const largest = 2 ** 31 - 1;

/** Errors: `bad-request`, naming the option. */
export function httpLimitsOf(options: HttpBounds): HttpLimits {
  const limits: Record<string, number> = { ...defaults };
  for (const name of Object.keys(defaults) as (keyof HttpLimits)[]) {
    const value = options[name];
    if (value === undefined) continue;
    const least = name === 'closeTimeoutMs' ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least || value > largest) throw refused(`${name} must be a whole number from ${least} on`);
    limits[name] = value;
  }
  return limits as unknown as HttpLimits;
}

/** The endpoints as URLs, each once. Errors: `bad-request`. */
export function endpointsOf(endpoints: readonly string[]): ReadonlyMap<string, URL> {
  if (!Array.isArray(endpoints) || endpoints.length === 0) throw refused('endpoints must be a list of at least one address');
  return new Map(endpoints.map((endpoint): [string, URL] => [endpoint, urlOf(endpoint)]));
}

function urlOf(endpoint: string): URL {
  const text = String(endpoint);
  const address = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  // A password would stand in messages and logs.
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw refused('an endpoint is an address like http://n1:8082, without user, query and fragment');
  }
  return url;
}

/** Errors: `bad-request`. */
export function checkHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (cause) {
      throw refused(`the header ${JSON.stringify(name)} cannot be sent: ${(cause as Error).message}`);
    }
  }
}

/** How long a call may take. Errors: `bad-request`. */
export function timeoutOf(timeoutMs: number | undefined, otherwise: number): number {
  if (timeoutMs === undefined) return otherwise;
  if (Number.isFinite(timeoutMs) && timeoutMs > 0 && timeoutMs <= largest) return timeoutMs;
  throw refused('timeoutMs must be more than 0, and less than 25 days');
}
