/** A node of the simulated world: the real heart, on a disk that outlives it. */
import type { Meter, Offset, PeerAnswer, Peers } from '../../src/ports.ts';
import { openReplica, type Replica } from '../../src/replica/replica.ts';
import { MemoryDisk } from '../../storage/store/memory-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { NodeClock } from './clock.ts';
import { SlowDiskStore } from './disk.ts';
import { NetworkLog } from './network.ts';
import type { World } from './world.ts';

const nothing = (): void => undefined;
const quiet: Meter = { applied: nothing, skipped: nothing, appended: nothing, applyDelay: nothing, read: nothing, rebuilt: nothing };

export class SimulatedNode {
  readonly name: string;
  readonly #world: World;
  #disk = new MemoryDisk();
  #clock: NodeClock | undefined;
  #log: NetworkLog | undefined;
  #store: SlowDiskStore | undefined;
  #replica: Replica | undefined;
  #isFrozen = false;
  /** Whatever ended it, or was a mistake of ours. */
  readonly troubles: string[] = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  /** Undefined while it is down. */
  get replica(): Replica | undefined {
    return this.#replica;
  }

  get disk(): MemoryDisk {
    return this.#disk;
  }

  get log(): NetworkLog | undefined {
    return this.#log;
  }

  /** It knows every key: it is at the log's end, as far as it can tell, and in no doubt. */
  get knows(): boolean {
    return this.#replica?.status.ready === true && this.#disk.doubtful.size === 0 && this.#log?.held === false && !this.#isFrozen;
  }

  async start(): Promise<void> {
    const world = this.#world;
    const { clock, chance, network } = world;
    const nodeClock = new NodeClock(clock, world.options.skewMs === 0 ? 0 : chance.between(-world.options.skewMs, world.options.skewMs));
    this.#clock = nodeClock;
    const replica = await openReplica({
      node: this.name,
      openLog: async () => {
        const log = new NetworkLog({ ...network, awake: () => nodeClock.awake(), held: () => world.heldFor(this) });
        this.#log = log;
        return log;
      },
      openStore: async () => {
        const store = await SlowDiskStore.open(this.#disk, clock, chance, network.broken.checkpointFirst ?? false);
        this.#store = store;
        return store;
      },
      setStoreAside: async (reason) => {
        this.troubles.push(`${this.name} set its store aside: ${reason}`);
        this.#disk = new MemoryDisk();
      },
      peers: this.#peers(),
      peerReads: 'always',
      peerTimeoutMs: 60,
      limits: { maxKeyBytes: 1_024, maxValueBytes: 1_000 },
      writeTimeoutMs: 5_000,
      partitions: world.options.partitions,
      clock: nodeClock,
      chance,
      logger: {
        ...silentLogger,
        error: (fields, message) => {
          if ((fields as { event?: string }).event === 'node.failure')
            this.troubles.push(`${this.name}: ${JSON.stringify(fields)} ${message}`);
        },
      },
      meter: quiet,
      onFatal: (error) => this.troubles.push(`${this.name} ended: ${error.message}`),
    });
    this.#replica = replica;
  }

  /** The process dies here and now. */
  crash(): void {
    if (this.#clock !== undefined) this.#clock.stopped = true;
    this.#log?.crash();
    this.#store?.crash();
    this.#replica = undefined;
    this.#log = undefined;
  }

  /** Its process stands still. */
  freeze(ms: number): void {
    const { clock } = this.#world;
    this.#clock?.freeze(ms);
    this.#isFrozen = true;
    // What it missed it has to read first.
    clock.after(ms + 1_000, () => {
      this.#isFrozen = false;
    });
  }

  /** Its disk is lost. */
  wipe(): void {
    this.#disk = new MemoryDisk();
  }

  #peers(): Peers {
    const world = this.#world;
    const self = this.name;
    return {
      async *ask(key, timeoutMs): AsyncGenerator<PeerAnswer> {
        const asked = world.nodes.filter(({ name }) => name !== self).map((peer) => peer.answer(key));
        const late = world.clock.pause(timeoutMs).then(() => undefined);
        for (const answer of asked) {
          const come = await Promise.race([answer, late]);
          if (come !== undefined) yield come;
        }
      },
      close: async () => undefined,
    };
  }

  /** As a peer; undefined: no answer. */
  async answer(key: string): Promise<PeerAnswer | undefined> {
    const { clock, chance } = this.#world;
    await clock.pause(chance.between(1, 80));
    const replica = this.#replica;
    if (replica === undefined) return undefined;
    try {
      const { found, applied } = await replica.readLocal(key);
      return { from: this.name, next: applied.offset as Offset, genesis: replica.genesis, found };
    } catch {
      // A peer that cannot answer is left out, as the wall towards real ones does.
      return undefined;
    }
  }
}
