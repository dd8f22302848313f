/** Those who wait until this node has applied a position. Bounded in number; each brings its own end of patience. */
import { BitacoraError } from '../core/errors.ts';
import type { Offset, Partition, Position } from '../ports.ts';

interface Waiter {
  readonly offset: Offset;
  readonly done: (reached: boolean) => void;
}

const mostWaiters = 20_000;

export class Waiters {
  readonly #appliedNow: (partition: Partition) => Offset;
  readonly #waiting = new Map<Partition, Set<Waiter>>();
  #count = 0;

  /** `applied`: where this node stands now; everything before is applied. */
  constructor(applied: (partition: Partition) => Offset) {
    this.#appliedNow = applied;
  }

  get count(): number {
    return this.#count;
  }

  /** True when applied, false when `after` called it off first. Errors: `overloaded`. */
  wait(position: Position, after: (giveUp: () => void) => () => void): Promise<boolean> {
    // The log may have brought a record back before it acknowledged it: nobody would come to end this wait.
    if (position.offset < this.#appliedNow(position.partition)) return Promise.resolve(true);
    if (this.#count >= mostWaiters) return Promise.reject(new BitacoraError('overloaded', 'too many requests wait for a position'));
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(position.partition) ?? new Set<Waiter>();
      this.#waiting.set(position.partition, waiting);
      const waiter: Waiter = {
        offset: position.offset,
        done: (reached) => {
          if (!waiting.delete(waiter)) return;
          this.#count--;
          cancel();
          resolve(reached);
        },
      };
      waiting.add(waiter);
      this.#count++;
      const cancel = after(() => waiter.done(false));
    });
  }

  /** Everything before `next` is applied. */
  applied(partition: Partition, next: Offset): void {
    for (const waiter of this.#waiting.get(partition) ?? []) if (waiter.offset < next) waiter.done(true);
  }

  /** The node goes away: nobody waits any longer. */
  release(): void {
    for (const waiting of this.#waiting.values()) for (const waiter of waiting) waiter.done(false);
  }
}
