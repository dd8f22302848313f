/** The smallest world of a seed that still goes wrong, found by taking away one thing after another. */
import { simulate } from './world.ts';
import { type WorldOptions, worldOf } from './world-options.ts';

type Changes = Partial<WorldOptions>;

const lesser: readonly ((world: WorldOptions) => Changes)[] = [
  () => ({ skewMs: 0 }),
  () => ({ duplicates: 0 }),
  () => ({ holds: false }),
  () => ({ freezes: false }),
  () => ({ cuts: false }),
  () => ({ failures: false }),
  () => ({ sweeps: false }),
  () => ({ wipes: false }),
  () => ({ crashes: false }),
  () => ({ compaction: false }),
  () => ({ partitions: 1 }),
  ({ nodes }) => ({ nodes: Math.max(2, nodes - 1) }),
  ({ clients }) => ({ clients: Math.max(1, clients - 1) }),
  ({ watchers }) => ({ watchers: Math.max(0, watchers - 1) }),
  ({ tagged }) => ({ tagged: Math.max(1, tagged - 1) }),
  ({ keys }) => ({ keys: Math.max(1, Math.floor(keys / 2)) }),
  ({ durationMs }) => ({ durationMs: Math.max(5_000, Math.floor(durationMs / 2)) }),
];

/** What has to be changed in the seed's world to get there. */
export async function shrunk(seed: number, changes: Changes = {}): Promise<Changes> {
  let smallest = changes;
  for (let shrinks = true; shrinks; ) {
    shrinks = false;
    for (const less of lesser) {
      const world = { ...worldOf(seed), ...smallest };
      const step = less(world);
      if (Object.entries(step).every(([name, value]) => world[name as keyof WorldOptions] === value)) continue;
      if ((await simulate(seed, { ...smallest, ...step })).violations.length === 0) continue;
      smallest = { ...smallest, ...step };
      shrinks = true;
    }
  }
  return smallest;
}
