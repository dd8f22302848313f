/**
 * A lock that is held. It is renewed at a third of its time, and counts as lost when a renewal is refused, or when none was confirmed in time:
 * its time is reckoned by this machine's monotonic clock from before the write was sent, less a margin, and so ends before the log's does.
 */
import { ClientError } from '../errors.ts';
import { VersionConflictError } from './failures.ts';
import { type Claim, type LockRequests, ownerOf } from './lock-requests.ts';
import { LockError } from './lock-terms.ts';
import type { Wait } from './wait.ts';

export class Lease {
  readonly #requests: LockRequests;
  readonly #whole: Wait;
  readonly #controller = new AbortController();
  readonly #renewals: Promise<void>;
  readonly #unfollow: () => void;
  #claim: Claim;
  #lost: LockError | undefined;
  #ending = false;
  /** A renewal was sent of which nobody knows what it came to. */
  #unsure = false;
  #cancelDeadline: () => void = () => undefined;
  #wake: () => void = () => undefined;

  /** To be ended. */
  constructor(requests: LockRequests, claim: Claim, whole: Wait) {
    this.#requests = requests;
    this.#claim = claim;
    this.#whole = whole;
    this.#unfollow = whole.follow(() => this.#lose('nobody holds it any more', whole.over));
    this.#arm();
    this.#renewals = this.#keep();
  }

  /** Aborted when the lock may be lost, or by `stop`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Asks the work to end; the lock is held until then. */
  stop(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** The work has ended: lets go of the lock. What it fails with is mended by the time to live. Undefined: it was ours until now. */
  async end(): Promise<LockError | undefined> {
    this.#ending = true;
    this.#cancelDeadline();
    this.#wake();
    if (this.#lost === undefined) {
      await this.#renewals;
      await this.#release();
    }
    this.#unfollow();
    return this.#lost;
  }

  async #release(): Promise<void> {
    if (this.#lost !== undefined) return;
    try {
      const version = this.#unsure ? await this.#ownVersion() : this.#claim.version;
      const ours = version !== undefined && (await this.#requests.release(this.#whole, version));
      if (!ours) this.#lose('it was not ours any more when it was released');
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
    }
  }

  async #ownVersion(): Promise<string | undefined> {
    const record = await this.#requests.read(this.#whole, 'linearizable');
    return ownerOf(record) === this.#claim.owner ? record?.version : undefined;
  }

  async #keep(): Promise<void> {
    const { ttlMs } = this.#requests.terms;
    while (!this.#over) {
      await this.#pause(this.#claim.since + ttlMs / 3 - this.#requests.now);
      if (!this.#over) await this.#renew();
    }
  }

  /** One renewal, sent until its outcome is known. */
  async #renew(): Promise<void> {
    const since = this.#requests.now;
    const idempotencyKey = crypto.randomUUID();
    for (let tries = 1; !this.#over; tries++) {
      try {
        const version = await this.#requests.renew(this.#whole, this.#claim, idempotencyKey);
        this.#claim = { ...this.#claim, version, since };
        this.#unsure = false;
        if (!this.#over) this.#arm();
        return;
      } catch (error) {
        if (error instanceof VersionConflictError) {
          this.#unsure = false;
          return this.#lose('its renewal was refused', error);
        }
        const again = error instanceof ClientError && (error.retryable || error.code === 'unknown-outcome');
        if (!again) return this.#lose('it could not be renewed', error);
        this.#unsure ||= error.code === 'unknown-outcome';
      }
      await this.#pause(this.#requests.calls.jitterMs(tries));
    }
  }

  #arm(): void {
    const { marginMs, ttlMs } = this.#requests.terms;
    this.#cancelDeadline();
    const leftMs = this.#claim.since + ttlMs - marginMs - this.#requests.now;
    this.#cancelDeadline = this.#requests.calls.world.clock.after(leftMs, () => this.#lose('no renewal was confirmed in time'));
  }

  get #over(): boolean {
    return this.#ending || this.#lost !== undefined;
  }

  #lose(message: string, cause?: unknown): void {
    if (this.#lost !== undefined) return;
    const { key } = this.#requests.terms;
    this.#lost = new LockError('lock-lost', key, `${JSON.stringify(key)}: ${message}`, { cause });
    this.#cancelDeadline();
    this.#controller.abort(this.#lost);
    this.#wake();
  }

  #pause(pauseMs: number): Promise<void> {
    if (this.#over || pauseMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#requests.calls.world.clock.after(pauseMs, () => this.#wake());
      this.#wake = () => {
        this.#wake = () => undefined;
        cancel();
        resolve();
      };
    });
  }
}
