/** Keeps what is sent to a number of bytes a second, over all who send together. */
import type { Clock } from '../../../src/ports.ts';

/** Who has paused may send so much more at once, as time: timers are not exact. */
const burstMs = 20;

export class Pace {
  readonly #bytesPerMs: number;
  readonly #now: () => number;
  /** When what was sent so far is paid for. */
  #paidAt = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number, now: Clock['monotonic'] = () => performance.now()) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#now = now;
  }

  /** Counts in what is about to be sent. The milliseconds to wait first; 0: none. */
  delayFor(bytes: number): number {
    const now = this.#now();
    const begin = Math.max(this.#paidAt, now - burstMs);
    this.#paidAt = begin + bytes / this.#bytesPerMs;
    return Math.max(0, begin - now);
  }
}
