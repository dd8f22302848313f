/** Strikes for a while, several nemeses at once if asked, never two on the same thing; in the end all is healed. */
import { setTimeout as pause } from 'node:timers/promises';
import { SeededChance } from '../simulation/chance.ts';
import type { Arena } from './arena.ts';
import { now } from './history.ts';
import type { Blow, Nemesis } from './nemesis.ts';

export interface AttackOptions {
  readonly nemeses: readonly Nemesis[];
  readonly seed: number;
  /** How many strike at the same time. */
  readonly lanes: number;
  readonly milliseconds: number;
  /** The first node keeps its store: where the log is compacted some node must know every key (docs/consistency.md, "Settled and unsettled keys"). */
  readonly sparesOneStore: boolean;
}

const calmMs = [300, 2_500] as const;

/** The same seed makes the same choices, as far as what is taken by another lane allows. */
export async function attack(arena: Arena, options: AttackOptions): Promise<Blow[]> {
  const blows: Blow[] = [];
  const taken = new Set<string>();
  const end = now() + options.milliseconds;
  const lanes = Array.from({ length: options.lanes }, async (_, lane) => {
    const chance = new SeededChance(options.seed * 31 + lane);
    while (now() < end) {
      const nemesis = chance.pick(options.nemeses);
      const isSpared = options.sparesOneStore && nemesis.losesStore === true;
      const target = chance.pick(nemesis.targets(arena).slice(isSpared ? 1 : 0));
      const things = target.split(' and ');
      const isFree = things.every((thing) => !taken.has(thing));
      if (isFree) {
        for (const thing of things) taken.add(thing);
        blows.push(await strike(arena, nemesis, target, chance, end));
        for (const thing of things) taken.delete(thing);
      }
      await pause(Math.min(chance.between(...calmMs), Math.max(0, end - now())));
    }
  });
  // All are over, before anything is cleaned up under them.
  const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return blows;
}

async function strike(arena: Arena, nemesis: Nemesis, target: string, chance: SeededChance, end: number): Promise<Blow> {
  const began = now();
  // What another nemesis has in hand may not answer now; that a blow came to nothing is told, and no failure.
  const { detail, heal } = await nemesis.strike(arena, target, chance).catch((error: Error) => ({ detail: error.message, heal: nothing }));
  await pause(Math.min(chance.between(...nemesis.lasts), Math.max(1_000, end - now())));
  await heal();
  return { nemesis: nemesis.name, target, detail, began, healed: now() };
}

const nothing = async (): Promise<void> => undefined;
