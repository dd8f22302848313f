/** How long one caller waits, for all that he waits for: until a time has passed, or his signal ends it. */
import { BitacoraError } from '../core/errors.ts';
import type { Clock } from '../ports.ts';

const notReached = (): BitacoraError => new BitacoraError('position-not-reached', 'what was waited for has not come in time');

export class Patience {
  readonly #listeners = new Set<() => void>();
  readonly #signal: AbortSignal | undefined;
  readonly #cancel: () => void;
  #over = false;

  constructor(clock: Clock, ms: number, signal?: AbortSignal) {
    this.#signal = signal;
    this.#cancel = clock.after(ms, this.#ended);
    signal?.addEventListener('abort', this.#ended, { once: true });
    if (signal?.aborted) this.#over = true;
  }

  /** Calls `giveUp` when it ends, soon if it has; returns the end of that. */
  onEnd(giveUp: () => void): () => void {
    if (this.#over) queueMicrotask(giveUp);
    this.#listeners.add(giveUp);
    return () => this.#listeners.delete(giveUp);
  }

  /** The outcome of something that may take longer. Errors: its own, and `late`, by default `position-not-reached`. */
  of<T>(work: Promise<T>, late: () => BitacoraError = notReached): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.onEnd(() => reject(late()));
      work.then(resolve, reject).finally(stop);
    });
  }

  /** Lets some time pass; false: it has ended. */
  pause(clock: Clock, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, () => {
        stop();
        resolve(true);
      });
      const stop = this.onEnd(() => {
        cancel();
        resolve(false);
      });
    });
  }

  /** Must be called when nothing is waited for any more. */
  end(): void {
    this.#cancel();
    this.#signal?.removeEventListener('abort', this.#ended);
  }

  readonly #ended = (): void => {
    this.#over = true;
    for (const giveUp of [...this.#listeners]) giveUp();
  };
}
