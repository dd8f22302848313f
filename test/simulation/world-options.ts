/** What a simulated world is like. */
import { SeededChance } from './chance.ts';
import type { Broken } from './network.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly partitions: number;
  readonly keys: number;
  /** Further keys, with one tag: atomic batches are of them. */
  readonly tagged: number;
  /** How long clients and troubles go on. */
  readonly durationMs: number;
  readonly compactionLagMs: number;
  /** How long compaction keeps nulls. */
  readonly deleteRetentionMs: number;
  /** Wall clocks are wrong by up to so much. */
  readonly skewMs: number;
  /** One append in so many is in the log twice; 0: none. */
  readonly duplicates: number;
  readonly crashes: boolean;
  /** Disks are lost, too. */
  readonly wipes: boolean;
  readonly compaction: boolean;
  /** Requests are held on their way, for longer than half the compaction lag. */
  readonly holds: boolean;
  /** One statement in so many is held for long. */
  readonly statementsHeld: number;
  /** Processes are frozen, for longer than the compaction lag. */
  readonly freezes: boolean;
  /** Nodes lose their way to the log. */
  readonly cuts: boolean;
  /** Stores fail under running nodes. */
  readonly failures: boolean;
  /** Keys that are gone for long are swept by tombstones. */
  readonly sweeps: boolean;
  /** Who watches keys and prefixes, from node to node. */
  readonly watchers: number;
  /** A rule broken on purpose. */
  readonly broken: Broken;
}

/** The world of a seed: no two are alike. */
export function worldOf(seed: number): WorldOptions {
  const chance = new SeededChance(seed ^ 0x5eed);
  return {
    seed,
    nodes: chance.between(3, 5),
    clients: chance.between(2, 5),
    partitions: chance.between(1, 3),
    keys: chance.pick([3, 4, 12]),
    tagged: chance.between(2, 5),
    durationMs: 240_000,
    // Settling takes 3 to 5 s; the rules hold as long as the lag is above that.
    compactionLagMs: chance.pick([8_000, 12_000, 60_000]),
    deleteRetentionMs: 24 * 3_600_000,
    skewMs: chance.pick([0, 3_000]),
    duplicates: chance.pick([0, 25]),
    statementsHeld: chance.pick([20, 20, 3]),
    watchers: chance.between(2, 4),
    ...{ crashes: true, wipes: true, compaction: true, holds: true, freezes: true, cuts: true, failures: true, sweeps: true, broken: {} },
  };
}
