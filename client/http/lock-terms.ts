/** What a lock is asked for with, what its holder is given, and how it fails. */
import { ClientError, type ClientErrorOptions } from '../errors.ts';
import { refused } from '../options.ts';
import { checkedKey } from './checks.ts';

export interface LockOptions {
  /** For how long a holder of whom nothing is heard keeps the lock, in ms, 100 or more. Default 10,000. It is renewed at a third. */
  readonly ttlMs?: number | undefined;
  /**
   * So long before the end of its time a lock that could not be renewed counts as lost, in ms. Default: a tenth of `ttlMs`. The clocks of
   * nodes and brokers must not differ by more.
   */
  readonly marginMs?: number | undefined;
  /** How long to wait while somebody else has it, in ms; 0: not at all; `Infinity`. Default 30,000. */
  readonly waitMs?: number | undefined;
  /** Ends the wait for the lock; while it is held, aborts the `signal` that the work was given. */
  readonly signal?: AbortSignal | undefined;
  /** What the name stands behind in the lock’s key. Default `lock/`. */
  readonly prefix?: string | undefined;
  /** Kept in the lock’s value for people who look at it; goes through JSON. */
  readonly info?: unknown;
}

/** What the work under a lock has of it. */
export interface Held {
  /**
   * Aborted as soon as the lock may be lost, with a `LockError` (`lock-lost`) as its reason; by the caller’s own signal; and when the client
   * closes. The work ends then, and writes nothing more.
   */
  readonly signal: AbortSignal;
  /**
   * The fencing token: the place of the acquiring write in the lock’s partition. Each holder’s is larger than that of all before him, so a
   * resource that refuses a smaller one than it has seen is safe from those who do not know yet that they have lost the lock.
   */
  readonly fence: number;
  /** Where the lock stands. */
  readonly key: string;
}

/** `lock-taken`: not acquired within `waitMs`, and the work was not begun. `lock-lost`: the work may not have been alone. */
export class LockError extends ClientError {
  override readonly code: 'lock-taken' | 'lock-lost';
  readonly key: string;

  constructor(code: LockError['code'], key: string, message: string, options: Pick<ClientErrorOptions, 'cause'> = {}) {
    super(code, message, options);
    this.name = 'LockError';
    this.code = code;
    this.key = key;
  }
}

/** All that is asked, decided. */
export interface Terms {
  readonly key: string;
  readonly ttlMs: number;
  readonly marginMs: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** The value of an owner. */
  readonly value: (owner: string) => string;
}

const usualTtlMs = 10_000;
const usualWaitMs = 30_000;
const shortestTtlMs = 100;
/** Node's timers know no more. */
const largest = 2 ** 31 - 1;

/** Errors: `bad-request`, `key-invalid`. */
export function termsOf(name: string, options: LockOptions): Terms {
  const { ttlMs = usualTtlMs, waitMs = usualWaitMs, prefix = 'lock/', signal, info } = options;
  const { marginMs = Math.ceil(ttlMs / 10) } = options;
  if (typeof name !== 'string' || name === '') throw refused('a lock has a name');
  const key = checkedKey(`${prefix}${name}`);
  if (!(Number.isSafeInteger(ttlMs) && ttlMs >= shortestTtlMs && ttlMs <= largest)) {
    throw refused(`ttlMs must be a whole number from ${shortestTtlMs} on`);
  }
  if (!(marginMs >= 0 && marginMs <= ttlMs / 2)) throw refused('marginMs must be from 0 to half of ttlMs');
  if (!((waitMs >= 0 && waitMs <= largest) || waitMs === Number.POSITIVE_INFINITY)) throw refused('waitMs must be 0 or more');
  // Now, for what cannot be told in JSON.
  const told = JSON.stringify(info);
  const value = (owner: string) => JSON.stringify({ owner, info: told === undefined ? undefined : JSON.parse(told) });
  return { key, ttlMs, marginMs, waitMs, signal, value };
}
