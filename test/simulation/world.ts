/**
 * The simulated world: nodes on one log, clients, and troubles; all of one process, in no real time, and the same for the same seed. At the
 * end the oracle has seen the whole log and says of everything that was told to a client whether it was true (checks.ts).
 */
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import type { Offset, Partition } from '../../src/ports.ts';
import { type MemoryTopic, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { SeededChance } from './chance.ts';
import { type Check, checkAll, converged } from './checks.ts';
import { startClients } from './clients.ts';
import { WorldClock } from './clock.ts';
import type { NetworkOptions } from './network.ts';
import { SimulatedNode } from './node.ts';
import { headerOf, Oracle } from './oracle.ts';
import { smallBounds } from './small-bounds.ts';
import { Troublemaker } from './troubles.ts';
import { startWatchers } from './watchers.ts';
import { type WorldOptions, worldOf } from './world-options.ts';

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
  readonly network: Omit<NetworkOptions, 'awake' | 'held' | 'jumped'>;
  readonly oracles: readonly Oracle[];
  readonly checks: Check[] = [];
  readonly tagged: readonly string[];
  /** All that clients read and write. */
  readonly keys: readonly string[];
  /** What went wrong apart from the checks. */
  readonly troubles: string[] = [];
  readonly troublemaker: Troublemaker;
  readonly givenUp = new Set<string>();
  /** How many watchers' queues have run over. */
  readonly overflows: () => number;
  readonly #counts = new Map<string, number>();
  over = false;

  constructor(options: WorldOptions, overflows: () => number) {
    this.options = options;
    this.overflows = overflows;
    this.troublemaker = new Troublemaker(this, beginMs + options.durationMs + restMs);
    this.chance = new SeededChance(options.seed);
    const { clock, chance } = this;
    const { partitions, compactionLagMs, deleteRetentionMs } = options;
    this.topic = openMemoryTopic({ clock, chance, partitions, compactionLagMs, deleteRetentionMs });
    this.oracles = Array.from({ length: partitions }, () => new Oracle(compactionLagMs));
    const { duplicates, broken } = options;
    const count = (what: string) => this.count(what);
    const { topic, givenUp } = this;
    const between = () => {
      if (options.compaction && chance.once(4)) this.troublemaker.compact();
    };
    this.network = { clock, chance, topic, before: () => this.observe(), duplicates, broken, count, givenUp, between };
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
    const watchers = startWatchers(this);
    this.troublemaker.begin();
    await clock.advance(options.durationMs);
    this.over = true;
    await clock.advance(restMs);
    for (const node of nodes) if (node.replica === undefined) void node.start();
    await clock.advance(restMs);
    this.observe();
    const unfinished = clients.filter(({ done }) => !done()).map(({ name }) => `${name} still waits for an answer`);
    const unheard = watchers.flatMap((watcher) => watcher.end());
    const troubles = [...this.troubles, ...unheard, ...nodes.flatMap((node) => node.troubles)];
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
  observe(): void {
    for (const [partition, oracle] of this.oracles.entries()) {
      const { records } = this.topic.read(partition as Partition, oracle.next as Offset, { maxBatchRecords: 10_000, maxBatchBytes: 1e9 });
      for (const record of records) oracle.append(record);
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
}

/** Runs the world of a seed to its end. */
export async function simulate(seed: number, changes: Partial<WorldOptions> = {}): Promise<Outcome> {
  const options = { ...worldOf(seed), ...changes };
  const bounds = smallBounds();
  const mend = options.broken.heart?.();
  try {
    return await new World(options, bounds.overflows).run();
  } finally {
    mend?.();
    bounds.undo();
  }
}
