/** Time of the simulated world: it passes from timer to timer, and between two of them all promises run. Nodes see it askew. */
import type { Clock, Millis } from '../../src/ports.ts';

interface Timer {
  readonly at: number;
  readonly number: number;
  readonly action: () => void;
  cancelled: boolean;
}

const isBefore = (one: Timer, other: Timer): boolean => one.at < other.at || (one.at === other.at && one.number < other.number);

/** Nothing in the simulation waits for anything but promises and timers of this clock, so one turn of the event loop runs them all. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class WorldClock implements Clock {
  #now = 0;
  #numbers = 0;
  /** A heap: none is before the one at half its index. A world has thousands, most of which are cancelled or never come. */
  readonly #timers: Timer[] = [];

  now(): Millis {
    return (1_800_000_000_000 + this.#now) as Millis;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), number: this.#numbers++, action, cancelled: false };
    this.#add(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  /** Resolves after so long. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      if (next.cancelled) continue;
      this.#now = Math.max(this.#now, next.at);
      next.action();
      await settle();
    }
    this.#now = until;
  }

  /** Takes out the first timer, unless it is later than that. */
  #next(until: number): Timer | undefined {
    const timers = this.#timers;
    const [first] = timers;
    if (first === undefined || first.at > until) return undefined;
    const last = timers.pop() as Timer;
    if (last === first) return first;
    let at = 0;
    for (;;) {
      const [left, right] = [timers[2 * at + 1], timers[2 * at + 2]];
      const isRight = right !== undefined && isBefore(right, left as Timer);
      const child = isRight ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      timers[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    timers[at] = last;
    return first;
  }

  #add(timer: Timer): void {
    let at = this.#timers.length;
    for (let above = (at - 1) >> 1; at > 0 && isBefore(timer, this.#timers[above] as Timer); above = (at - 1) >> 1) {
      this.#timers[at] = this.#timers[above] as Timer;
      at = above;
    }
    this.#timers[at] = timer;
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
