/** All calls of a client: how many there are, and how they end when it is closed. */
import { Aborts } from '../avro/aborts.ts';
import { ClientError } from '../errors.ts';
import type { Ask } from './ask.ts';
import { Attempts, type AttemptsWorld } from './attempts.ts';
import type { Endpoint } from './endpoint.ts';
import { timeoutOf } from './options.ts';
import type { CallOptions } from './types.ts';
import { type Patience, Wait } from './wait.ts';

export class Calls {
  readonly world: AttemptsWorld;
  readonly #aborts = new Aborts();
  readonly #waits = new Set<Wait>();
  /** Have no end of their own. */
  readonly #streams = new Set<Wait>();
  readonly #whenClosing = new Set<() => void>();
  #whenIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(world: AttemptsWorld) {
    this.world = world;
  }

  /** One call of a user, of one request or several. Errors: those of the work, `closed`, `aborted`, `overloaded`. */
  async within<T>({ signal, timeoutMs }: CallOptions, work: (wait: Wait) => Promise<T>): Promise<T> {
    return this.#counted({ signal, timeoutMs: timeoutOf(timeoutMs, this.world.limits.timeoutMs) }, work);
  }

  /** A call that takes as long as it takes; `close` ends it as it ends others. Errors: as `within`. */
  async lasting<T>(work: (wait: Wait) => Promise<T>): Promise<T> {
    return this.#counted({ signal: undefined, timeoutMs: Number.POSITIVE_INFINITY }, work);
  }

  /** A part of a call, with a time and a signal of its own; it ends with the whole. */
  async part<T>(whole: Wait, patience: Patience, work: (wait: Wait) => Promise<T>): Promise<T> {
    const wait = new Wait(this.world.clock, this.#aborts, patience);
    const unfollow = whole.follow(() => wait.end(whole.over as ClientError));
    try {
      const over = whole.over ?? wait.over;
      if (over !== undefined) throw over;
      return await work(wait);
    } finally {
      unfollow();
      wait.settled();
    }
  }

  /** For what nobody waits for to end: ended at once when the client is closed; to be let go of. Errors: `closed`, `overloaded`. */
  stream(signal: AbortSignal | undefined): Wait {
    this.#admit();
    const wait = new Wait(this.world.clock, this.#aborts, { signal, timeoutMs: Number.POSITIVE_INFINITY });
    this.#streams.add(wait);
    // Its reader may never come back.
    wait.follow(() => this.#streams.delete(wait));
    return wait;
  }

  letGo(wait: Wait): void {
    wait.settled();
    this.#streams.delete(wait);
  }

  /** Runs `then` when the client begins to close. What is returned lets go. */
  whenClosing(then: () => void): () => void {
    this.#whenClosing.add(then);
    return () => void this.#whenClosing.delete(then);
  }

  /** Runs `then` when the signal is aborted, at once if it is. What is returned lets go. */
  whenAborted(signal: AbortSignal, then: () => void): () => void {
    if (!signal.aborted) return this.#aborts.follow(signal, then);
    then();
    return () => undefined;
  }

  async #counted<T>(patience: Patience, work: (wait: Wait) => Promise<T>): Promise<T> {
    this.#admit();
    const wait = new Wait(this.world.clock, this.#aborts, patience);
    this.#waits.add(wait);
    try {
      if (wait.over !== undefined) throw wait.over;
      return await work(wait);
    } finally {
      wait.settled();
      this.#waits.delete(wait);
      if (this.#waits.size === 0) this.#whenIdle?.();
    }
  }

  #admit(): void {
    const { maxCalls } = this.world.limits;
    if (this.#closing !== undefined) throw closed();
    if (this.#waits.size + this.#streams.size < maxCalls) return;
    throw new ClientError('overloaded', `${maxCalls} calls are under way; this one was not begun`);
  }

  /** One request. Errors: those of `Attempts`. */
  run<R>(ask: Ask<R>, wait: Wait, only?: Endpoint): Promise<R> {
    return new Attempts(ask, wait, this.world, only).run();
  }

  /** A call of one request. */
  call<R>(options: CallOptions, ask: () => Ask<R>, only?: Endpoint): Promise<R> {
    return this.within(options, async (wait) => this.run(ask(), wait, only));
  }

  /** Before the try after so many, in ms: at random from nothing on, for those who want the same key must not meet again. */
  jitterMs(tries: number): number {
    return Math.min(500, 10 * 2 ** tries) * this.world.chance.random();
  }

  /** Lets calls finish, bounded, then ends them. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { clock, limits, endpoints } = this.world;
    for (const wait of [...this.#streams]) wait.end(closed());
    for (const then of [...this.#whenClosing]) then();
    if (this.#waits.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(limits.closeTimeoutMs, resolve);
        this.#whenIdle = () => {
          cancel();
          resolve();
        };
      });
    }
    for (const wait of [...this.#waits]) wait.end(closed());
    endpoints.close();
  }
}

export function closed(): ClientError {
  return new ClientError('closed', 'the client is closed', { retryable: false });
}
