/**
 * The requests of a lock. Each write of it is conditional and has an idempotency key of its own: sent again, with the same key, it is the
 * same write, whichever of them comes first in the log, and gets the same answer. So an unknown outcome is never guessed at.
 */
import type { KeyRecord } from '../client.ts';
import { ClientError } from '../errors.ts';
import type { Ask } from './ask.ts';
import type { Calls } from './calls.ts';
import { VersionConflictError } from './failures.ts';
import { del, getRecord, put } from './keys.ts';
import { listPage } from './lists.ts';
import type { Terms } from './lock-terms.ts';
import type { Seen } from './seen.ts';
import type { Wait } from './wait.ts';

/** A lock that was somebody’s when it was written. */
export interface Claim {
  readonly owner: string;
  /** Of the newest write. */
  readonly version: string;
  /** Before it was sent, by the monotonic clock: its time to live has not begun earlier. */
  readonly since: number;
}

export class LockRequests {
  readonly calls: Calls;
  readonly terms: Terms;
  readonly #seen: Seen;

  constructor(calls: Calls, seen: Seen, terms: Terms) {
    this.calls = calls;
    this.#seen = seen;
    this.terms = terms;
  }

  get now(): number {
    return this.calls.world.clock.monotonic();
  }

  /** True: by this machine’s clock the claim holds for certain. */
  holds({ since }: Claim): boolean {
    return this.now < since + this.terms.ttlMs - this.terms.marginMs;
  }

  /** Errors: `version-conflict`, `unknown-outcome`, and those of any write. */
  async acquire(whole: Wait, owner: string): Promise<string> {
    const options = { ...this.#writing, ifAbsent: true, idempotencyKey: owner };
    return (await this.#run(whole, put(this.#seen, this.terms.key, this.terms.value(owner), options))).version;
  }

  /** Errors: as `acquire`. */
  async renew(whole: Wait, { owner, version }: Claim, idempotencyKey: string): Promise<string> {
    const options = { ...this.#writing, ifVersion: version, idempotencyKey };
    return (await this.#run(whole, put(this.#seen, this.terms.key, this.terms.value(owner), options), this.terms.ttlMs / 3)).version;
  }

  /** The lock as it is now; undefined: nobody’s. */
  async read(whole: Wait, consistency: 'session' | 'linearizable'): Promise<KeyRecord | undefined> {
    return this.#run(whole, getRecord(this.#seen, this.terms.key, { consistency }));
  }

  /** False: it was not ours any more. Errors: those of any write. */
  async release(whole: Wait, version: string): Promise<boolean> {
    try {
      await this.#run(whole, del(this.#seen, this.terms.key, { ifVersion: version }));
      return true;
    } catch (error) {
      if (error instanceof VersionConflictError) return false;
      throw error;
    }
  }

  /** From now on the session reads nothing older than the end of the log, in all partitions. */
  async catchUp(whole: Wait): Promise<void> {
    const options = { prefix: this.terms.key, limit: 1, keysOnly: true, consistency: 'latest' } as const;
    await this.#run(whole, listPage(this.#seen, options));
  }

  /** For whom nobody waits any more: what fails then is mended by the time to live. */
  async releaseLater(claim: Promise<Claim | undefined>): Promise<void> {
    try {
      const { version } = (await claim) ?? {};
      if (version !== undefined) await this.calls.lasting((whole) => this.release(whole, version));
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
    }
  }

  get #writing() {
    return { ttlMs: this.terms.ttlMs, contentType: 'application/json' };
  }

  #run<R>(whole: Wait, ask: Ask<R>, mostMs = Number.POSITIVE_INFINITY): Promise<R> {
    const timeoutMs = Math.min(this.calls.world.limits.timeoutMs, mostMs);
    return this.calls.part(whole, { signal: undefined, timeoutMs }, (wait) => this.calls.run(ask, wait));
  }
}

export function ownerOf(record: KeyRecord | undefined): string | undefined {
  if (record === undefined) return undefined;
  try {
    const { owner } = JSON.parse(record.text()) as { owner?: unknown };
    return typeof owner === 'string' ? owner : undefined;
  } catch {
    // Somebody else's value, and so somebody else's lock.
    return undefined;
  }
}
