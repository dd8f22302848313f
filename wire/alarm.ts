/** A wait that can be ended early: what a loop sleeps on between its passes. */
import type { Clock } from '../src/ports.ts';

export class Alarm {
  readonly #clock: Clock;
  #ring: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with true when the time is over, with false when it was rung. One wait at a time. */
  wait(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, () => resolve(true));
      this.#ring = () => {
        cancel();
        resolve(false);
      };
    });
  }

  /** Ends the wait under way; without one nothing happens. */
  ring(): void {
    this.#ring();
  }
}
