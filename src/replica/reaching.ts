/**
 * What an answer has to reflect, and the waiting until this node has applied it: what the caller has seen, and for those who ask for
 * more the end of the log, or a barrier behind it.
 */
import { BitacoraError } from '../core/errors.ts';
import { formatPosition, seenOf } from '../core/position.ts';
import type { Clock, Partition, Position, ReadOptions, Seen } from '../ports.ts';
import type { Horizon } from './horizon.ts';
import { Patience } from './patience.ts';
import type { Waiters } from './waiters.ts';

/** How long a read waits until this node has applied what it has to reflect. */
const defaultWaitMs = 1_000;
const longestWaitMs = 60_000;

export interface ReachingOptions {
  readonly clock: Clock;
  readonly waiters: Waiters;
  readonly horizon: Horizon;
  readonly partitions: () => number;
  readonly genesis: () => string | undefined;
}

/** What a read has waited for: everything before `least` is applied; `current`: that was all there was when it was asked for. */
export interface Reached {
  readonly least: number;
  readonly current: boolean;
}

const nowhere: Reached = { least: 0, current: false };
const nextAfter = (position: Position | undefined): number => (position === undefined ? 0 : position.offset + 1);

/** Errors of all that waits: `position-not-reached`, `position-foreign`, `overloaded`, `log-unavailable`. */
export class Reaching {
  readonly #options: ReachingOptions;

  constructor(options: ReachingOptions) {
    this.#options = options;
  }

  /** As much as the caller has; it must be ended. */
  patience({ waitMs = defaultWaitMs, signal }: ReadOptions): Patience {
    return new Patience(this.#options.clock, Math.min(waitMs, longestWaitMs), signal);
  }

  /** Resolves once this node has applied in one partition what the answer has to reflect. */
  async one(partition: Partition, options: ReadOptions): Promise<Reached> {
    const { seen, consistency = 'local' } = options;
    if (consistency === 'local' && !isSomething(seen)) return nowhere;
    const { horizon } = this.#options;
    const patience = this.patience(options);
    try {
      const session = isSomething(seen) ? seenOf(partition, seen) : undefined;
      if (isSomething(seen)) await this.#reachSeen([session], seen, patience);
      if (consistency === 'local') return { least: nextAfter(session), current: false };
      const end = await patience.of(consistency === 'latest' ? horizon.end(partition) : horizon.barrier(partition));
      await this.#untilApplied([end], patience);
      return { least: Math.max(nextAfter(session), nextAfter(end)), current: true };
    } finally {
      patience.end();
    }
  }

  /** As `one`, in all partitions, for a caller who goes on waiting for something else with the same patience. */
  async all({ seen, consistency = 'local' }: ReadOptions, patience: Patience): Promise<void> {
    const { horizon } = this.#options;
    const partitions = Array.from({ length: this.#options.partitions() }, (_, partition) => partition as Partition);
    if (isSomething(seen)) {
      const positions = partitions.map((partition) => seenOf(partition, seen));
      await this.#reachSeen(positions, seen, patience);
    }
    if (consistency === 'local') return;
    const asked = consistency === 'latest' ? horizon.ends() : Promise.all(partitions.map((partition) => horizon.barrier(partition)));
    await this.#untilApplied(await patience.of(asked), patience);
  }

  async #reachSeen(positions: readonly (Position | undefined)[], seen: Seen, patience: Patience): Promise<void> {
    this.#sameLog(seen);
    await this.#untilApplied(positions, patience);
    // It may have been waiting for another log than it began with.
    this.#sameLog(seen);
  }

  /**
   * One after the other: all have to be there, so it takes no longer, and nobody is left waiting when one does not come. Of a store that is
   * made anew meanwhile, what was there is waited for again.
   */
  async #untilApplied(wanted: readonly (Position | undefined)[], patience: Patience): Promise<void> {
    const { waiters } = this.#options;
    const positions = wanted.filter((position) => position !== undefined);
    while (!positions.every((position) => waiters.has(position))) {
      for (const position of positions) {
        const reached = await waiters.wait(position, (giveUp) => patience.onEnd(giveUp));
        if (!reached) throw notReached(`this node has not applied ${formatPosition(position)} yet`);
      }
    }
  }

  #sameLog(seen: Seen): void {
    const genesis = this.#options.genesis();
    if (genesis === undefined) throw notReached('this node does not know its log yet');
    if (genesis !== seen.genesis)
      throw new BitacoraError('position-foreign', `the position is of the log ${seen.genesis}, this is ${genesis}`);
  }
}

function isSomething(seen: Seen | undefined): seen is Seen {
  return seen !== undefined && seen.positions.length > 0;
}

function notReached(why: string): BitacoraError {
  return new BitacoraError('position-not-reached', why);
}
