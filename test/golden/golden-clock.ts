/** Wall-clock time as the test sets it, so that all that is written has the golden's times; short waits take the time they take, long ones for ever. */
import type { Clock, Millis } from '../../src/ports.ts';

/** Longer than any pause on the way to being caught up, shorter than the time after which a node states what is unsettled. */
const longestMs = 1_500;

export class GoldenClock implements Clock {
  at: Millis;

  constructor(at: number) {
    this.at = at as Millis;
  }

  now(): Millis {
    return this.at;
  }

  monotonic(): number {
    return performance.now();
  }

  after(delayMs: number, action: () => void): () => void {
    if (delayMs > longestMs) return () => undefined;
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  }
}
