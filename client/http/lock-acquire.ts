/**
 * How a lock is acquired: by a conditional write that the log decides. Who finds it taken looks at its key, and tries when it was released or
 * its time is over. Nobody stands in a queue: whose write comes first has it.
 */
import { ClientError } from '../errors.ts';
import { closed } from './calls.ts';
import { VersionConflictError } from './failures.ts';
import { Lookout } from './lock-lookout.ts';
import { type Claim, type LockRequests, ownerOf } from './lock-requests.ts';
import { LockError } from './lock-terms.ts';
import type { Seen } from './seen.ts';
import type { Wait } from './wait.ts';

/** Many may wait for one release; who is late then sees that somebody was faster, and costs the log nothing. */
const scatterMs = 25;

/** Errors: `lock-taken`, `aborted`, `closed`, `timeout`, and those of conditional writes. */
export async function acquire(requests: LockRequests, seen: Seen, whole: Wait): Promise<Claim> {
  const { calls, terms } = requests;
  const { signal, waitMs } = terms;
  // One try there is always, however long it is to wait for others.
  const timeoutMs = Math.max(waitMs, calls.world.limits.timeoutMs);
  return calls.part(whole, { signal, timeoutMs }, async (wait) => {
    const letGo = calls.whenClosing(() => wait.end(closed()));
    try {
      return await new Acquiring(requests, whole, wait).run(seen);
    } finally {
      letGo();
      // What still looks at the key has no reason to.
      wait.end(new ClientError('aborted', 'the lock is not waited for any more'));
    }
  });
}

class Acquiring {
  readonly #requests: LockRequests;
  readonly #whole: Wait;
  readonly #wait: Wait;
  readonly #until: number;

  constructor(requests: LockRequests, whole: Wait, wait: Wait) {
    this.#requests = requests;
    this.#whole = whole;
    this.#wait = wait;
    this.#until = requests.now + requests.terms.waitMs;
  }

  async run(seen: Seen): Promise<Claim> {
    const { calls, terms } = this.#requests;
    // A write that is refused is a record in the log; a read is none.
    const taken = await this.#requests.read(this.#wait, 'session');
    const first = taken === undefined ? await this.#try() : undefined;
    if (first !== undefined) return first;
    const lookout = new Lookout(calls);
    void lookout.look(seen, terms.key, this.#wait);
    for (;;) {
      const leftMs = this.#until - this.#requests.now;
      if (this.#wait.over !== undefined) throw this.#wait.over;
      if (leftMs <= 0) throw new LockError('lock-taken', terms.key, `${JSON.stringify(terms.key)} is somebody else’s`);
      const dueMs = lookout.dueMs();
      if (dueMs > 0) await lookout.change(Math.min(dueMs, leftMs), this.#wait);
      else {
        const { news } = lookout;
        await lookout.change(scatterMs * calls.world.chance.random(), this.#wait);
        if (lookout.news !== news || this.#wait.over !== undefined) continue;
        const claim = await this.#try();
        if (claim !== undefined) return claim;
        lookout.refused();
      }
    }
  }

  /** Undefined: somebody else has it. */
  async #try(): Promise<Claim | undefined> {
    const claim = this.#claim();
    try {
      return await this.#wait.bound(claim);
    } catch (error) {
      // The write is under way, and nobody would hold what it brings.
      if (this.#wait.over !== undefined) void this.#requests.releaseLater(claim);
      throw error;
    }
  }

  /** Asks until it is known how it ended. */
  async #claim(): Promise<Claim | undefined> {
    const owner = crypto.randomUUID();
    const since = this.#requests.now;
    for (let tries = 1; ; tries++) {
      const version = await this.#written(owner);
      if (version === 'taken') return undefined;
      if (version !== undefined) {
        const claim = { owner, version, since };
        if (this.#requests.holds(claim)) return claim;
        // It took so long that its time is over.
        await this.#requests.releaseLater(Promise.resolve(claim));
        return undefined;
      }
      if (this.#wait.over !== undefined) throw this.#wait.over;
      await this.#wait.pause(this.#requests.calls.jitterMs(tries));
    }
  }

  /** Undefined: not known, or not yet; the same write is to be sent again. Errors: what sending again does not mend. */
  async #written(owner: string): Promise<string | undefined> {
    try {
      return await this.#requests.acquire(this.#whole, owner);
    } catch (error) {
      if (error instanceof VersionConflictError) return 'taken';
      if (!(error instanceof ClientError)) throw error;
      if (error.code === 'unknown-outcome') return this.#found(owner);
      if (!error.retryable || this.#wait.over !== undefined) throw error;
      return undefined;
    }
  }

  /** The log may have it though nobody could say so. */
  async #found(owner: string): Promise<string | undefined> {
    try {
      const record = await this.#requests.read(this.#whole, 'linearizable');
      return ownerOf(record) === owner ? record?.version : undefined;
    } catch (error) {
      if (error instanceof ClientError && error.retryable) return undefined;
      throw error;
    }
  }
}
