/** What goes wrong in the simulated world, and whatever compaction is legal. The only mercy: some node that knows every key is always up. */
import { asciiBytes, bytesOf } from '../../src/core/bytes.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

export class Troublemaker {
  readonly #world: World;
  /** Until then nodes may be kept from their rest. */
  readonly #restUntil: number;

  constructor(world: World, restUntil: number) {
    this.#world = world;
    this.#restUntil = restUntil;
  }

  /** Goes on until the world is over. */
  begin(): void {
    const { crashes, compaction, holds, freezes, cuts, failures, sweeps } = this.#world.options;
    if (crashes) void this.#crashing();
    if (compaction) void this.#compacting();
    if (holds) void this.#holding();
    if (freezes) void this.#freezing();
    if (cuts) void this.#cutting();
    if (failures) void this.#failing();
    if (sweeps) void this.#sweeping();
  }

  async #crashing(): Promise<void> {
    const { clock, chance, options } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(500, 15_000));
      const up = this.#world.nodes.filter(({ replica }) => replica !== undefined);
      const victim = chance.pick(up);
      // Some node that knows every key must be up (docs/consistency.md).
      if (this.#world.over || victim === undefined || !up.some((node) => node !== victim && node.knows)) continue;
      if (chance.once(4)) {
        victim.stop();
        this.#world.count('stops');
      } else {
        victim.crash();
        this.#world.count('crashes');
        if (options.wipes && chance.once(3)) victim.wipe();
      }
      clock.after(chance.between(10, chance.pick([500, 5_000, 40_000])), () => {
        if (victim.replica === undefined) void victim.start().then(() => victim.log?.slow(chance.pick([5, 5, 200])));
      });
    }
  }

  /** Whatever part of the compaction is legal. */
  compact(): void {
    const { chance, options } = this.#world;
    this.#world.topic.compact(options.compactionLagMs + (chance.once(2) ? 0 : chance.between(0, options.compactionLagMs)));
  }

  async #compacting(): Promise<void> {
    const { clock, chance } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(500, 8_000));
      this.compact();
    }
  }

  /** How long a node's statement is held: seldom, but then for long. Some other node must be there to state what it knows. */
  heldFor(node: SimulatedNode): number {
    const { chance, options } = this.#world;
    if (
      !options.holds ||
      this.#world.over ||
      !chance.once(options.statementsHeld) ||
      !this.#world.nodes.some((other) => other !== node && other.knows)
    )
      return 0;
    return this.#atMostUntilRest(chance.between(1_000, options.compactionLagMs * 4));
  }

  /** What is held comes in time for nodes to come to rest after it. */
  #atMostUntilRest(ms: number): number {
    return Math.min(ms, this.#restUntil - this.#world.clock.monotonic());
  }

  async #holding(): Promise<void> {
    const { clock, chance, options } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(5_000, 40_000));
      const victim = chance.pick(this.#world.nodes);
      if (this.#world.over || !this.#world.nodes.some((node) => node !== victim && node.knows)) continue;
      victim.log?.hold(this.#atMostUntilRest(chance.between(1_000, options.compactionLagMs * chance.pick([0.4, 3]))));
    }
  }

  async #freezing(): Promise<void> {
    const { clock, chance, options } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(2_000, 40_000));
      const victim = chance.pick(this.#world.nodes);
      if (this.#world.over || !this.#world.nodes.some((node) => node !== victim && node.knows)) continue;
      victim.freeze(chance.between(1_000, options.compactionLagMs * chance.pick([0.4, 2])));
      this.#world.count('freezes');
    }
  }

  async #cutting(): Promise<void> {
    const { clock, chance, options } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(5_000, 40_000));
      const victim = chance.pick(this.#world.nodes);
      if (this.#world.over || !this.#world.nodes.some((node) => node !== victim && node.knows)) continue;
      victim.cut(chance.between(500, options.compactionLagMs * chance.pick([0.4, 2])), chance.once(2));
      this.#world.count('cuts');
    }
  }

  async #failing(): Promise<void> {
    const { clock, chance } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(5_000, 60_000));
      const victim = chance.pick(this.#world.nodes);
      if (this.#world.over || !this.#world.nodes.some((node) => node !== victim && node.knows)) continue;
      const code = chance.pick(['store-failed', 'store-failed', 'store-damaged'] as const);
      victim.fail(code);
      this.#world.count(`stores: ${code}`);
    }
  }

  /** As nodes will do after a grace period that is far above the compaction lag. */
  async #sweeping(): Promise<void> {
    const { clock, chance, options } = this.#world;
    while (!this.#world.over) {
      await clock.pause(chance.between(500, 5_000));
      const key = chance.pick(this.#world.keys);
      const oracle = this.#world.oracleOf(key);
      const { deleted, version } = oracle.at(key, oracle.next);
      const record = oracle.records[version];
      if (!deleted || record === undefined || clock.now() - record.time < options.compactionLagMs) continue;
      this.#world.topic.inject(this.#world.partitionOf(key), { key: bytesOf(key), value: null, headers: { op: asciiBytes('t') } });
      this.#world.observe();
    }
  }
}
