/**
 * One partition of a subscription: how far it is fetched, what waits to be handed over, what is being handled.
 *
 * A piece is fetched while the one before it is being handled, and no more: that is all that a slow subscriber costs, and it costs the other
 * partitions nothing.
 */
import type { LogBatch, Offset, Partition } from '../../../src/ports.ts';

export class Lane {
  readonly partition: Partition;
  /** Up to here it was handed over: whatever happens, the next batch begins there. */
  position: Offset;
  /** Up to here it is fetched. */
  fetched: Offset;
  /** When it last moved, or was known to be at its end; by `performance.now()`. */
  moved = performance.now();
  /** Since when no more is fetched because a piece is waiting; undefined: more may come. */
  fullSince: number | undefined;
  /** When the handling under way is done; never rejects. */
  handled: Promise<void> = Promise.resolve();
  handling = false;
  #waiting: LogBatch | undefined;
  readonly #hand: (batch: LogBatch) => Promise<void>;

  /** `hand` never rejects. */
  constructor(partition: Partition, from: Offset, hand: (batch: LogBatch) => Promise<void>) {
    this.partition = partition;
    this.position = from;
    this.fetched = from;
    this.#hand = hand;
  }

  /** Takes a batch that begins at `fetched`; not while it is full. */
  take(batch: LogBatch): void {
    this.fetched = batch.next;
    this.moved = performance.now();
    if (this.handling) {
      this.#waiting = batch;
      this.fullSince = this.moved;
    } else this.#begin(batch);
  }

  /** Forgets what was not handed over: it is fetched again. */
  drop(): void {
    this.#waiting = undefined;
    this.fullSince = undefined;
    this.fetched = this.position;
    this.moved = performance.now();
  }

  #begin(batch: LogBatch): void {
    this.position = batch.next;
    this.handling = true;
    this.handled = this.#hand(batch).then(() => {
      this.handling = false;
      this.moved = performance.now();
      const next = this.#waiting;
      this.#waiting = undefined;
      this.fullSince = undefined;
      if (next !== undefined) this.#begin(next);
    });
  }
}
