/** All calls of a client: how many there are, and how they end when it is closed. */
import { Aborts } from '../avro/aborts.ts';
import { ClientError } from '../errors.ts';
import type { Ask } from './ask.ts';
import { Attempts, type AttemptsWorld } from './attempts.ts';
import type { Endpoint } from './endpoint.ts';
import { timeoutOf } from './options.ts';
import type { CallOptions } from './types.ts';
import { Wait } from './wait.ts';

export class Calls {
  readonly world: AttemptsWorld;
  readonly #aborts = new Aborts();
  readonly #waits = new Set<Wait>();
  #whenIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(world: AttemptsWorld) {
    this.world = world;
  }

  /** One call of a user, of one request or several. Errors: those of the work, `closed`, `aborted`, `overloaded`. */
  async within<T>({ signal, timeoutMs }: CallOptions, work: (wait: Wait) => Promise<T>): Promise<T> {
    const { clock, limits } = this.world;
    if (this.#closing !== undefined) throw closed();
    if (this.#waits.size >= limits.maxCalls)
      throw new ClientError('overloaded', `${limits.maxCalls} calls are under way; this one was not begun`);
    const wait = new Wait(clock, this.#aborts, { signal, timeoutMs: timeoutOf(timeoutMs, limits.timeoutMs) });
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

function closed(): ClientError {
  return new ClientError('closed', 'the client is closed', { retryable: false });
}
