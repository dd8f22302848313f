/**
 * Those who wait until this node has applied a position. Bounded in number; each brings its own end of patience.
 *
 * Behind a jump in offsets a position says little: what it wrote may have been compacted away, and what replaced it be still to come. So
 * nobody's wait ends until the node is whole again, by having applied an end of the log that was asked for after the jump.
 */
import { BitacoraError } from '../core/errors.ts';
import type { Offset, Partition, Position } from '../ports.ts';

interface Waiter {
  readonly offset: Offset;
  readonly done: (reached: boolean) => void;
}

const mostWaiters = 20_000;

export class Waiters {
  readonly #appliedNow: (partition: Partition) => Offset;
  readonly #whole: () => boolean;
  readonly #waiting = new Map<Partition, Set<Waiter>>();
  #count = 0;

  /** `applied`: where this node stands now; everything before is applied. `whole`: no jump in offsets is unresolved. */
  constructor(applied: (partition: Partition) => Offset, whole: () => boolean = () => true) {
    this.#appliedNow = applied;
    this.#whole = whole;
  }

  get count(): number {
    return this.#count;
  }

  /** It is applied now. Of a store that is made anew this may end. */
  has({ partition, offset }: Position): boolean {
    return offset < this.#appliedNow(partition) && this.#whole();
  }

  /** True when applied, false when `after` called it off first. Errors: `overloaded`. */
  wait(position: Position, after: (giveUp: () => void) => () => void): Promise<boolean> {
    // The log may have brought a record back before it acknowledged it: nobody would come to end this wait.
    if (this.has(position)) return Promise.resolve(true);
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
    if (!this.#whole()) return;
    for (const waiter of this.#waiting.get(partition) ?? []) if (waiter.offset < next) waiter.done(true);
  }

  /** The node has become whole: what was applied before counts from now on. */
  caughtUp(): void {
    for (const partition of this.#waiting.keys()) this.applied(partition, this.#appliedNow(partition));
  }

  /** The node goes away: nobody waits any longer. */
  release(): void {
    for (const waiting of this.#waiting.values()) for (const waiter of waiting) waiter.done(false);
  }
}
