/** What is to be swept, how a node is told to do it, and what it tells. */
import type { Entry } from '../ports.ts';
import { startOf } from './listing-page.ts';

/** What was swept: a delete's marker, or a value past its deadline. */
export type SweptKind = 'deleted' | 'expired';

/** What a pass through the store came to. */
export interface SweepPass {
  /** `cut-short`: it goes on later from where it is, because the log failed or the node may not sweep now. */
  readonly outcome: 'done' | 'cut-short';
  /** Entries looked at. */
  readonly looked: number;
  /** Tombstones that the log has. */
  readonly swept: number;
  /** Entries that are due and wait until they are settled. */
  readonly waiting: number;
  readonly seconds: number;
}

/** Where it is told what was swept. Calls must be cheap and never throw. */
export interface SweepMeter {
  swept(kind: SweptKind): void;
  passed(pass: SweepPass): void;
}

/** How a node sweeps. */
export interface Sweeping {
  /** How long a key must have been gone; less than the compaction lag counts as the compaction lag. */
  readonly graceMs: number;
  /** Tombstones a second, at most. */
  readonly recordsPerSecond: number;
  readonly meter: SweepMeter;
}

/** Behind the system's own keys. */
const firstUserKey = startOf('');

/** Where a pass goes on: outlives the subscription, so that a log that is lost again and again does not keep the end of the store unswept. */
export class SweepCursor {
  from: Uint8Array = firstUserKey;

  /** A pass was cut short. */
  get isInside(): boolean {
    return this.from !== firstUserKey;
  }

  rewind(): void {
    this.from = firstUserKey;
  }
}

/**
 * The log time from which an entry may be swept; undefined: never, it is there for good. A deadline may lie before the write that set it.
 */
export function dueTime({ deleted, time, expires }: Entry, graceMs: number): number | undefined {
  if (deleted) return time + graceMs;
  return expires === 0 ? undefined : Math.max(time, expires) + graceMs;
}
