/**
 * A call as its caller sees it: it is waited for until it is settled, its time is over, its caller leaves, or the client is closed.
 * Whatever the call does meanwhile follows this one object, which holds its one timer and its one place at the caller's signal.
 */
import type { Clock } from '../../src/ports.ts';
import type { Aborts } from '../avro/aborts.ts';
import { ClientError } from '../errors.ts';

export interface Patience {
  readonly signal: AbortSignal | undefined;
  /** Infinite: without an end of its own. */
  readonly timeoutMs: number;
}

export class Wait {
  /** How long there was to wait in all. */
  readonly timeoutMs: number;
  readonly #clock: Clock;
  readonly #deadline: number;
  readonly #followers = new Set<() => void>();
  readonly #cancelTimer: () => void;
  readonly #unfollow: (() => void) | undefined;
  #over: ClientError | undefined;

  constructor(clock: Clock, aborts: Aborts, { signal, timeoutMs }: Patience) {
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#deadline = clock.monotonic() + timeoutMs;
    const late = (): void => this.end(new ClientError('timeout', `no answer within ${timeoutMs} ms`));
    this.#cancelTimer = timeoutMs === Number.POSITIVE_INFINITY ? () => undefined : clock.after(timeoutMs, late);
    if (signal?.aborted) this.end(aborted(signal));
    else if (signal !== undefined) this.#unfollow = aborts.follow(signal, () => this.end(aborted(signal)));
  }

  /** Why nobody waits any more: `timeout`, `aborted` or `closed`; undefined: somebody does. */
  get over(): ClientError | undefined {
    return this.#over;
  }

  get leftMs(): number {
    return Math.max(0, this.#deadline - this.#clock.monotonic());
  }

  /** Runs `end` when nobody waits any more. What is returned lets go. */
  follow(end: () => void): () => void {
    this.#followers.add(end);
    return () => void this.#followers.delete(end);
  }

  /** Only the first reason counts. */
  end(error: ClientError): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.settled();
    for (const end of [...this.#followers]) end();
  }

  /** Lets go of timer and signal. */
  settled(): void {
    this.#cancelTimer();
    this.#unfollow?.();
  }

  /** Resolves after so long, or when nobody waits any more. */
  pause(waitMs: number): Promise<void> {
    if (this.#over !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        unfollow();
        resolve();
      };
      const cancel = this.#clock.after(waitMs, end);
      const unfollow = this.follow(end);
    });
  }

  /** Rejects when nobody waits any more, whatever the work does. */
  bound<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => reject(this.#over);
      const unfollow = this.follow(end);
      work.then(resolve, reject).finally(unfollow);
      if (this.#over !== undefined) end();
    });
  }
}

function aborted(signal: AbortSignal): ClientError {
  return new ClientError('aborted', 'the caller has stopped waiting', { cause: signal.reason });
}
