/** A request as the attempts see it, whichever node answers: what to send, and what its answer means. */
import type { Outgoing, Reply } from './exchange.ts';
import { Malformed } from './fields.ts';
import type { Seen } from './seen.ts';

export interface Ask<R> extends Omit<Outgoing, 'headers'> {
  readonly headers?: Readonly<Record<string, string>>;
  readonly write: boolean;
  /** A write that carries idempotency keys: the log keeps a second one from having an effect. */
  readonly idempotent?: boolean;
  /** Whose positions go along and come back; undefined: it is not about keys. */
  readonly seen?: Seen | undefined;
  /** What was seen does not go along: an older answer will do. */
  readonly unseen?: boolean;
  /** Errors: `Malformed`. */
  take(reply: Reply, server: string): R;
  /** What it means that there is nothing under the key; undefined: a failure. */
  readonly absent?: (() => R) | undefined;
}

/** An answer as text for a header of its own. Errors: `Malformed`. */
export function headerOf(reply: Reply, name: string): string {
  const value = reply.headers[name];
  if (typeof value !== 'string') throw new Malformed(`there is no ${name}`);
  return value;
}

/** A query of what is given, with its question mark; empty: nothing is. */
export function queryOf(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(parameters).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  const query = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return query === '' ? '' : `?${query}`;
}
