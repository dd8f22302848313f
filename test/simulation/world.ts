/**
 * The simulated world: nodes on one log, clients, and troubles; all of one process, in no real time, and the same for the same seed. At the
 * end the oracle has seen the whole log and says of everything that was told to a client whether it was true (checks.ts).
 */
import { asciiBytes, bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import type { Offset, Partition } from '../../src/ports.ts';
import { type MemoryTopic, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { SeededChance } from './chance.ts';
import { type Check, checkAll, converged } from './checks.ts';
import { startClients } from './clients.ts';
import { WorldClock } from './clock.ts';
import type { Broken, NetworkOptions } from './network.ts';
import { SimulatedNode } from './node.ts';
import { headerOf, Oracle } from './oracle.ts';

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
    ...{ crashes: true, wipes: true, compaction: true, holds: true, freezes: true, cuts: true, failures: true, sweeps: true, broken: {} },
  };
}

export interface Outcome {
  readonly seed: number;
  /** Empty: all was well. */
  readonly violations: readonly string[];
  readonly operations: number;
  readonly records: number;
  /** What happened, and how often. */
  readonly counts: ReadonlyMap<string, number>;
}

/** How long nodes have to begin. */
const beginMs = 5_000;
/** How long nodes have to come to rest when the troubles are over: settling takes seconds, held requests their time. */
const restMs = 120_000;

export class World {
  readonly options: WorldOptions;
  readonly clock = new WorldClock();
  readonly chance: SeededChance;
  readonly topic: MemoryTopic;
  readonly nodes: SimulatedNode[] = [];
  readonly network: Omit<NetworkOptions, 'awake' | 'held'>;
  readonly oracles: readonly Oracle[];
  readonly checks: Check[] = [];
  readonly tagged: readonly string[];
  /** All that clients read and write. */
  readonly keys: readonly string[];
  /** What went wrong apart from the checks. */
  readonly troubles: string[] = [];
  readonly givenUp = new Set<string>();
  readonly #counts = new Map<string, number>();
  over = false;

  constructor(options: WorldOptions) {
    this.options = options;
    this.chance = new SeededChance(options.seed);
    const { clock, chance } = this;
    const { partitions, compactionLagMs, deleteRetentionMs } = options;
    this.topic = openMemoryTopic({ clock, chance, partitions, compactionLagMs, deleteRetentionMs });
    this.oracles = Array.from({ length: partitions }, () => new Oracle(compactionLagMs));
    const { duplicates, broken } = options;
    const count = (what: string) => this.count(what);
    const { topic, givenUp } = this;
    this.network = { clock, chance, topic, before: () => this.#observe(), duplicates, broken, count, givenUp };
    this.tagged = Array.from({ length: options.tagged }, (_, i) => `{t}${i}`);
    this.keys = [...Array.from({ length: options.keys }, (_, i) => `k${i}`), ...this.tagged];
    for (let i = 0; i < options.nodes; i++) this.nodes.push(new SimulatedNode(this, `n${i}:8082`));
  }

  count(what: string, times = 1): void {
    if (times > 0) this.#counts.set(what, (this.#counts.get(what) ?? 0) + times);
  }

  partitionOf(key: string): Partition {
    return partitionOf(bytesOf(key), this.options.partitions);
  }

  oracleOf(key: string): Oracle {
    return this.oracles[this.partitionOf(key)] as Oracle;
  }

  async run(): Promise<Outcome> {
    const { clock, options, nodes } = this;
    for (const node of nodes) void node.start();
    await clock.advance(beginMs);
    const clients = startClients(this);
    if (options.crashes) void this.#crashing();
    if (options.compaction) void this.#compacting();
    if (options.holds) void this.#holding();
    if (options.freezes) void this.#freezing();
    if (options.cuts) void this.#cutting();
    if (options.failures) void this.#failing();
    if (options.sweeps) void this.#sweeping();
    await clock.advance(options.durationMs);
    this.over = true;
    await clock.advance(restMs);
    for (const node of nodes) if (node.replica === undefined) await node.start();
    await clock.advance(restMs);
    this.#observe();
    const unfinished = clients.filter(({ done }) => !done()).map(({ name }) => `${name} still waits for an answer`);
    const troubles = [...this.troubles, ...nodes.flatMap((node) => node.troubles)];
    this.#countRecords();
    return {
      seed: options.seed,
      violations: [...troubles, ...unfinished, ...checkAll(this), ...converged(this)],
      operations: this.checks.length,
      records: this.oracles.reduce((sum, { next }) => sum + next, 0),
      counts: this.#counts,
    };
  }

  /** The oracles see each record when it comes, before anything can be compacted. */
  #observe(): void {
    for (const [partition, oracle] of this.oracles.entries()) {
      const { records } = this.topic.read(partition as Partition, oracle.next as Offset, { maxBatchRecords: 10_000, maxBatchBytes: 1e9 });
      for (const record of records) oracle.append(record);
    }
  }

  async #crashing(): Promise<void> {
    const { clock, chance, options } = this;
    while (!this.over) {
      await clock.pause(chance.between(500, 15_000));
      const up = this.nodes.filter(({ replica }) => replica !== undefined);
      const victim = chance.pick(up);
      // Some node that knows every key must be up (docs/consistency.md).
      if (this.over || victim === undefined || !up.some((node) => node !== victim && node.knows)) continue;
      victim.crash();
      this.count('crashes');
      if (options.wipes && chance.once(3)) victim.wipe();
      clock.after(chance.between(10, chance.pick([500, 5_000, 40_000])), () => {
        if (victim.replica === undefined) void victim.start().then(() => victim.log?.slow(chance.pick([5, 5, 200])));
      });
    }
  }

  /** Whatever part of the compaction is legal. */
  async #compacting(): Promise<void> {
    const { clock, chance, options } = this;
    while (!this.over) {
      await clock.pause(chance.between(500, 8_000));
      this.topic.compact(options.compactionLagMs + (chance.once(2) ? 0 : chance.between(0, options.compactionLagMs)));
    }
  }

  /** How long a node's statement is held: seldom, but then for long. Some other node must be there to state what it knows. */
  heldFor(node: SimulatedNode): number {
    const { chance, options } = this;
    if (!options.holds || this.over || !chance.once(options.statementsHeld) || !this.nodes.some((other) => other !== node && other.knows))
      return 0;
    return this.#atMostUntilRest(chance.between(1_000, options.compactionLagMs * 4));
  }

  /** What is held comes in time for nodes to come to rest after it. */
  #atMostUntilRest(ms: number): number {
    return Math.min(ms, beginMs + this.options.durationMs + restMs - this.clock.monotonic());
  }

  async #holding(): Promise<void> {
    const { clock, chance, options } = this;
    while (!this.over) {
      await clock.pause(chance.between(5_000, 40_000));
      const victim = chance.pick(this.nodes);
      if (this.over || !this.nodes.some((node) => node !== victim && node.knows)) continue;
      victim.log?.hold(this.#atMostUntilRest(chance.between(1_000, options.compactionLagMs * chance.pick([0.4, 3]))));
    }
  }

  async #freezing(): Promise<void> {
    const { clock, chance, options } = this;
    while (!this.over) {
      await clock.pause(chance.between(2_000, 40_000));
      const victim = chance.pick(this.nodes);
      if (this.over || !this.nodes.some((node) => node !== victim && node.knows)) continue;
      victim.freeze(chance.between(1_000, options.compactionLagMs * chance.pick([0.4, 2])));
      this.count('freezes');
    }
  }

  async #cutting(): Promise<void> {
    const { clock, chance, options } = this;
    while (!this.over) {
      await clock.pause(chance.between(5_000, 40_000));
      const victim = chance.pick(this.nodes);
      if (this.over || !this.nodes.some((node) => node !== victim && node.knows)) continue;
      victim.cut(chance.between(500, options.compactionLagMs * chance.pick([0.4, 2])), chance.once(2));
      this.count('cuts');
    }
  }

  async #failing(): Promise<void> {
    const { clock, chance } = this;
    while (!this.over) {
      await clock.pause(chance.between(5_000, 60_000));
      const victim = chance.pick(this.nodes);
      if (this.over || !this.nodes.some((node) => node !== victim && node.knows)) continue;
      const code = chance.pick(['store-failed', 'store-failed', 'store-damaged'] as const);
      victim.fail(code);
      this.count(`stores: ${code}`);
    }
  }

  #countRecords(): void {
    for (const { records, verdicts } of this.oracles) {
      for (const [i, record] of records.entries()) {
        const op = headerOf(record, 'op') ?? '';
        if (op === 's' || op === 'sd') this.count('statements');
        else if (op === 't') this.count('tombstones');
        else if (headerOf(record, 'if') === 'never') this.count('questions');
        else this.count(`records ${verdicts[i]?.outcome}`);
      }
    }
  }

  /** As nodes will do after a grace period that is far above the compaction lag. */
  async #sweeping(): Promise<void> {
    const { clock, chance, options } = this;
    while (!this.over) {
      await clock.pause(chance.between(500, 5_000));
      const key = chance.pick(this.keys);
      const oracle = this.oracleOf(key);
      const { deleted, version } = oracle.at(key, oracle.next);
      const record = oracle.records[version];
      if (!deleted || record === undefined || clock.now() - record.time < options.compactionLagMs) continue;
      this.topic.inject(this.partitionOf(key), { key: bytesOf(key), value: null, headers: { op: asciiBytes('t') } });
      this.#observe();
    }
  }
}

/** Runs the world of a seed to its end. */
export async function simulate(seed: number, changes: Partial<WorldOptions> = {}): Promise<Outcome> {
  return new World({ ...worldOf(seed), ...changes }).run();
}
