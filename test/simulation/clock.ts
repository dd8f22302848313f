/** Time of the simulated world: it passes from timer to timer, and between two of them all promises run. Nodes see it askew. */
import type { Clock, Millis } from '../../src/ports.ts';

interface Timer {
  readonly at: number;
  readonly number: number;
  readonly action: () => void;
}

/** Nothing in the simulation waits for anything but promises and timers of this clock, so one turn of the event loop runs them all. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class WorldClock implements Clock {
  #now = 0;
  #numbers = 0;
  readonly #timers = new Set<Timer>();

  now(): Millis {
    return (1_800_000_000_000 + this.#now) as Millis;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), number: this.#numbers++, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Resolves after so long. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.action();
      await settle();
    }
    this.#now = until;
  }

  #next(until: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > until || (first !== undefined && (timer.at > first.at || (timer.at === first.at && timer.number > first.number))))
        continue;
      first = timer;
    }
    return first;
  }
}

/** The clock of one node: its wall is wrong by so much; its timers fire late while it is frozen, and never once it has crashed. */
export class NodeClock implements Clock {
  readonly #world: WorldClock;
  readonly #skewMs: number;
  stopped = false;
  #frozenUntil = 0;

  constructor(world: WorldClock, skewMs: number) {
    this.#world = world;
    this.#skewMs = skewMs;
  }

  now(): Millis {
    return (this.#world.now() + this.#skewMs) as Millis;
  }

  monotonic(): number {
    return this.#world.monotonic();
  }

  after(delayMs: number, action: () => void): () => void {
    let cancel = this.#world.after(delayMs, () => {
      const leftMs = this.#frozenUntil - this.monotonic();
      if (this.stopped) return;
      if (leftMs <= 0) action();
      else cancel = this.after(leftMs, action);
    });
    return () => cancel();
  }

  freeze(ms: number): void {
    this.#frozenUntil = this.monotonic() + ms;
  }

  /** Resolves when it is not frozen; never once it has crashed. */
  async awake(): Promise<void> {
    while (this.#frozenUntil > this.monotonic()) await this.#world.pause(this.#frozenUntil - this.monotonic());
    if (this.stopped) await new Promise(() => undefined);
  }
}
