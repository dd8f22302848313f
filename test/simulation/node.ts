/** A node of the simulated world: the real heart, on a disk that outlives it. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Meter, Offset, PeerAnswer, Peers } from '../../src/ports.ts';
import { openReplica, type Replica } from '../../src/replica/replica.ts';
import { MemoryDisk } from '../../storage/store/memory-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { NodeClock } from './clock.ts';
import { SlowDiskStore } from './disk.ts';
import { NetworkLog } from './network.ts';
import { StoreWatch } from './store-watch.ts';
import type { World } from './world.ts';

const nothing = (): void => undefined;
const quiet: Meter = { applied: nothing, skipped: nothing, appended: nothing, applyDelay: nothing, read: nothing, rebuilt: nothing };

export class SimulatedNode {
  readonly name: string;
  readonly #world: World;
  #disk = new MemoryDisk();
  #storeWatch = new StoreWatch(this.#disk);
  #clock: NodeClock | undefined;
  #log: NetworkLog | undefined;
  #store: SlowDiskStore | undefined;
  #replica: Replica | undefined;
  /** Frozen or cut off until then, and a little longer: what it missed it has to read first. */
  #awayUntil = 0;
  #cutUntil = 0;
  /** Its store will be set aside. */
  #damaged = false;
  /** Whatever ended it, or was a mistake of ours. */
  readonly troubles: string[] = [];
  /** How often changes were missed: behind a jump in offsets, or with a store made anew. */
  misses = 0;
  /** Resolves when the process of now is gone. */
  left: Promise<void> = Promise.resolve();
  #leave: () => void = () => undefined;
  #stopping: Promise<void> | undefined;
  #isStarting = false;

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

  get storeWatch(): StoreWatch {
    return this.#storeWatch;
  }

  get log(): NetworkLog | undefined {
    return this.#log;
  }

  /** It knows every key: it is at the log's end, as far as it can tell, and in no doubt. */
  get knows(): boolean {
    const isAway = this.#damaged || this.#world.clock.monotonic() < this.#awayUntil || this.#log?.state !== 'connected';
    return this.#replica?.status.ready === true && this.#disk.doubtful.size === 0 && this.#log?.held === false && !isAway;
  }

  async start(): Promise<void> {
    if (this.#isStarting) return;
    this.#isStarting = true;
    await this.#stopping;
    await this.#open().finally(() => {
      this.#isStarting = false;
    });
  }

  async #open(): Promise<void> {
    const world = this.#world;
    const { clock, chance, network } = world;
    const nodeClock = new NodeClock(clock, world.options.skewMs === 0 ? 0 : chance.between(-world.options.skewMs, world.options.skewMs));
    this.#clock = nodeClock;
    const replica = await openReplica({
      node: this.name,
      // As short as can be: what is gone is due to be swept at once, and by all nodes.
      sweeping: {
        graceMs: 1,
        recordsPerSecond: 1_000,
        meter: { swept: () => world.count('swept'), passed: ({ outcome }) => world.count(`sweeps ${outcome}`) },
      },
      openLog: async () => {
        if (clock.monotonic() < this.#cutUntil) throw new BitacoraError('log-unavailable', 'there is no way to the log');
        const log = new NetworkLog({
          ...network,
          awake: () => nodeClock.awake(),
          held: () => world.troublemaker.heldFor(this),
          jumped: (batch) => {
            world.count('jumps');
            this.misses++;
            this.#storeWatch.jumped(batch);
          },
        });
        this.#log = log;
        return log;
      },
      openStore: async () => {
        const store = await SlowDiskStore.open(this.#disk, {
          ...{ clock, chance, checkpointFirst: network.broken.checkpointFirst ?? false, stored: network.broken.stored },
          writes: (batch) => {
            world.count('doubtful keys', batch.doubtful?.size ?? 0);
            this.#storeWatch.writes(batch);
          },
        });
        this.#store = store;
        return store;
      },
      setStoreAside: async (reason) => {
        // The dead touch no disk.
        if (nodeClock.stopped) return new Promise<void>(() => undefined);
        if (!this.#damaged) this.troubles.push(`${this.name} set its store aside: ${reason}`);
        this.#damaged = false;
        world.count('rebuilds');
        this.misses++;
        this.#newDisk();
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
    this.left = new Promise((resolve) => {
      this.#leave = resolve;
    });
  }

  /** The process ends as it should: whoever asks it for something hears that it goes, and it can be started again when it is gone. */
  stop(): void {
    const replica = this.#replica;
    if (replica === undefined) return;
    this.#replica = undefined;
    this.#stopping = replica.close().then(() => {
      this.#stopping = undefined;
      this.#gone();
    });
  }

  /** The process dies here and now. */
  crash(): void {
    if (this.#clock !== undefined) this.#clock.stopped = true;
    this.#log?.crash();
    this.#store?.crash();
    this.#replica = undefined;
    this.#gone();
  }

  #gone(): void {
    this.#leave();
    this.#log = undefined;
    this.#store = undefined;
    this.#damaged = false;
  }

  /** Its process stands still. */
  freeze(ms: number): void {
    this.#clock?.freeze(ms);
    this.#away(ms);
  }

  /** No way to the log. `ends`: it is opened anew when there is. */
  cut(ms: number, ends: boolean): void {
    this.#log?.cut(ms, ends);
    if (ends) this.#cutUntil = this.#world.clock.monotonic() + ms;
    this.#away(ms + 5_000);
  }

  /** Its disk fails, and is well again when it is opened anew; or what was on it is lost. */
  fail(code: 'store-failed' | 'store-damaged'): void {
    if (this.#store === undefined) return;
    this.#store.fail(code);
    if (code === 'store-damaged') this.#damaged = true;
  }

  #away(ms: number): void {
    this.#awayUntil = Math.max(this.#awayUntil, this.#world.clock.monotonic() + ms + 1_000);
  }

  /** Its disk is lost. */
  wipe(): void {
    this.#newDisk();
  }

  #newDisk(): void {
    this.#disk = new MemoryDisk();
    this.#storeWatch = new StoreWatch(this.#disk);
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
