/** Time that passes only when a test lets it: timers fire in their order, and between two of them all promises run. */
import type { Clock, Millis } from '../../src/ports.ts';

interface Timer {
  readonly at: number;
  readonly action: () => void;
}

/** Lets everything that waits on promises alone run. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

export class TestClock implements Clock {
  #wall = 1_800_000_000_000;
  #monotonic = 0;
  readonly #timers = new Set<Timer>();

  now(): Millis {
    return this.#wall as Millis;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#monotonic + delayMs, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass. */
  async advance(ms: number): Promise<void> {
    const until = this.#monotonic + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#pass(Math.max(0, next.at - this.#monotonic));
      next.action();
      await settle();
    }
    this.#pass(until - this.#monotonic);
    await settle();
  }

  /** Lets time pass until something holds; fails, naming it, when a minute was not enough. */
  async until(what: string, holds: () => boolean, limitMs = 60_000): Promise<void> {
    const limit = this.#monotonic + limitMs;
    await settle();
    while (!holds()) {
      if (this.#monotonic >= limit) throw new Error(`in ${limitMs} ms this did not come true: ${what}`);
      await this.advance(20);
    }
  }

  /** The outcome of a promise that needs time to pass. */
  async outcome<T>(work: Promise<T>, limitMs?: number): Promise<T> {
    let done = false;
    const end = () => {
      done = true;
    };
    work.then(end, end);
    await this.until('the promise is settled', () => done, limitMs);
    return work;
  }

  #pass(ms: number): void {
    this.#monotonic += ms;
    this.#wall += ms;
  }
}
