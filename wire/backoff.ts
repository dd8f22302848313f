/** How long to wait before trying again: twice as long each time up to a bound, spread so that nodes do not come back all at once. */
import type { Chance } from '../src/ports.ts';

export interface Backoff {
  /** Milliseconds until the next attempt; each call is one more failure. */
  next(): number;
  /** After a success. */
  reset(): void;
}

export function createBackoff(firstMs: number, maxMs: number, chance: Pick<Chance, 'random'>): Backoff {
  let waitMs = firstMs;
  return {
    next() {
      const wait = waitMs;
      waitMs = Math.min(waitMs * 2, maxMs);
      return wait * (0.5 + chance.random() / 2);
    },
    reset() {
      waitMs = firstMs;
    },
  };
}
