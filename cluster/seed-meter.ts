import type { SeedTrouble } from './seed-failure.ts';

/** Hears how a store is taken from other nodes. Calls are cheap and never throw. */
export interface SeedMeter {
  /** A node is asked for its store, or being taken from; or no longer. */
  taking(now: boolean): void;
  /** Rows came, and were looked at. */
  took(rows: number, bytes: number): void;
  /** What came of asking one node; `failed`: this node's own disk. Nothing is told of what the end of this node has cut short. */
  asked(outcome: SeedTrouble | 'taken' | 'failed'): void;
}
