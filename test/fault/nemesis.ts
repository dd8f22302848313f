/** What is done to a cluster, and undone. Each says what it takes hold of, so that no two hurt the same thing at once. */
import type { SeededChance } from '../simulation/chance.ts';
import type { Arena } from './arena.ts';

/** Ends the trouble; what is hurt may still need a while to recover. */
export type Heal = () => Promise<void>;

export interface Strike {
  /** For the list of what was done. */
  readonly detail?: string;
  readonly heal: Heal;
}

export interface Nemesis {
  readonly name: string;
  /** How long it lasts, at least and at most, in milliseconds. */
  readonly lasts: readonly [number, number];
  /** It needs a Kafka of three brokers. */
  readonly threeBrokers?: boolean;
  /** It needs nodes on small disks. */
  readonly smallDisks?: boolean;
  /** A node may lose what it knows by it. */
  readonly losesStore?: boolean;
  /** What it may be done to; one is picked. */
  targets(arena: Arena): readonly string[];
  /** `target` is one of `targets`. */
  strike(arena: Arena, target: string, chance: SeededChance): Promise<Strike>;
}

/** One blow, for the report of a run. */
export interface Blow {
  readonly nemesis: string;
  readonly target: string;
  readonly detail?: string | undefined;
  readonly began: number;
  readonly healed: number;
}

/** `node 1`: node, with its number behind it. */
export function numbered(what: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${what} ${i}`);
}

export function numberIn(target: string): number {
  return Number(target.slice(target.lastIndexOf(' ') + 1));
}
