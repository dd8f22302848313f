/** Who waits for a lock looks at its key: when it may be free, and whether something has happened since he last looked. */
import type { Calls } from './calls.ts';
import type { Seen } from './seen.ts';
import type { Wait } from './wait.ts';
import { follow, watchedOf } from './watch.ts';
import type { WatchPut } from './watch-events.ts';

const firstRestMs = 50;
const longestRestMs = 1_000;
const longestTimerMs = 2 ** 31 - 1;

export class Lookout {
  readonly #calls: Calls;
  /** When the lock may be free, by the monotonic clock. */
  #freeAt = Number.POSITIVE_INFINITY;
  /** When the log may be asked again, that has just refused. */
  #restUntil = Number.NEGATIVE_INFINITY;
  #refusals = 0;
  #wake: () => void = () => undefined;
  #failure: unknown;
  /** Grows with whatever is told of the lock. */
  news = 0;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Looks until nobody waits any more. */
  async look(seen: Seen, key: string, wait: Wait): Promise<void> {
    const unfollow = wait.follow(() => this.#wake());
    /** What the key is has been told, since the watch began or was reset. */
    let known = false;
    try {
      for await (const event of follow(this.#calls, seen, watchedOf({ key, initial: true }), wait)) {
        if (event.kind === 'put') this.#told(this.#now + lifeMsOf(event));
        // Only the end of a state tells that there was nothing.
        else if (event.kind === 'delete' || (event.kind === 'sync' && !known)) this.#told(this.#now);
        known = event.kind !== 'reset';
      }
    } catch (error) {
      this.#failure = error;
      this.#wake();
    } finally {
      unfollow();
    }
  }

  /** Until it may be worth while to try, in ms. Errors: why nothing is to be seen any more. */
  dueMs(): number {
    if (this.#failure !== undefined) throw this.#failure;
    return Math.max(0, this.#freeAt - this.#now, this.#restUntil - this.#now);
  }

  /** The log says that somebody has it, though it looked free: a clock is wrong, or he was faster and is about to be told of. */
  refused(): void {
    this.#restUntil =
      this.#now + Math.min(longestRestMs, firstRestMs * 2 ** this.#refusals++) * (0.5 + this.#calls.world.chance.random() / 2);
  }

  /** Resolves after so long, with the next news, or when nobody waits any more. */
  change(waitMs: number, wait: Wait): Promise<void> {
    if (wait.over !== undefined || this.#failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#calls.world.clock.after(Math.min(waitMs, longestTimerMs), () => this.#wake());
      this.#wake = () => {
        this.#wake = () => undefined;
        cancel();
        resolve();
      };
    });
  }

  #told(freeAt: number): void {
    this.#freeAt = freeAt;
    this.#restUntil = Number.NEGATIVE_INFINITY;
    this.#refusals = 0;
    this.news++;
    this.#wake();
  }

  get #now(): number {
    return this.#calls.world.clock.monotonic();
  }
}

/**
 * How long a value still lives, at most, in ms. By this machine's clock, which may be wrong; but never longer than it was given when it was
 * written. The log has the last word.
 */
function lifeMsOf({ time, expires }: WatchPut): number {
  if (expires === undefined) return Number.POSITIVE_INFINITY;
  const givenMs = time === undefined ? Number.POSITIVE_INFINITY : expires.getTime() - time.getTime();
  return Math.max(0, Math.min(givenMs, expires.getTime() - Date.now()));
}
