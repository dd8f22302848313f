/** A store whose writes take time, so that a process may die before, after, and between them. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Checkpoint, Entry, Partition, Scan, ScanRange, Store, StoreBatch, StoreIdentity } from '../../src/ports.ts';
import { type MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import type { SeededChance } from './chance.ts';
import type { WorldClock } from './clock.ts';

export interface DiskOptions {
  readonly clock: WorldClock;
  readonly chance: SeededChance;
  /** A rule broken on purpose: the checkpoint is written apart from the data. */
  readonly checkpointFirst: boolean;
  /** A rule broken on purpose: something else is written. */
  readonly stored?: ((batch: StoreBatch) => StoreBatch) | undefined;
  /** Told of every write, before it is visible. */
  readonly writes: (batch: StoreBatch) => void;
}

export class SlowDiskStore implements Store {
  readonly #store: Store;
  /** Keys handed over and not written yet. */
  readonly #staged = new Map<string, number>();
  #tail: Promise<unknown> = Promise.resolve();
  #dead = false;
  #failure: BitacoraError | undefined;
  readonly #options: DiskOptions;

  private constructor(store: Store, options: DiskOptions) {
    this.#store = store;
    this.#options = options;
  }

  static async open(disk: MemoryDisk, options: DiskOptions): Promise<SlowDiskStore> {
    return new SlowDiskStore(await openMemoryStore(disk), options);
  }

  /** `store-failed`: nothing is written any more until it is opened again. `store-damaged`: nor read. */
  fail(code: 'store-failed' | 'store-damaged'): void {
    this.#failure ??= new BitacoraError(code, 'it has failed, on purpose');
  }

  crash(): void {
    this.#dead = true;
  }

  get identity(): StoreIdentity | undefined {
    return this.#store.identity;
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#store.checkpoints;
  }

  get sizeBytes(): number {
    return this.#store.sizeBytes;
  }

  peek(): Entry | undefined {
    return undefined;
  }

  lacks(key: string): boolean {
    return !this.#staged.has(key) && this.#store.lacks(key);
  }

  async get(key: string): Promise<Entry | undefined> {
    return (await this.load([key]))[0];
  }

  async load(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    if (this.#failure?.code === 'store-damaged') throw this.#failure;
    const entries = await this.#store.load(keys);
    const { chance, clock } = this.#options;
    if (chance.once(2)) await clock.pause(chance.between(0, 3));
    return entries;
  }

  scan(range: ScanRange): Promise<Scan> {
    return this.#store.scan(range);
  }

  write(given: StoreBatch): Promise<void> {
    const { chance, clock, checkpointFirst, stored, writes } = this.#options;
    const batch = stored?.(given) ?? given;
    for (const key of batch.entries.keys()) this.#staged.set(key, (this.#staged.get(key) ?? 0) + 1);
    const written = this.#tail.then(async () => {
      await clock.pause(chance.between(0, 10));
      if (this.#dead) return new Promise<void>(() => undefined);
      if (this.#failure !== undefined) throw this.#failure;
      if (checkpointFirst) {
        await this.#store.write({ ...batch, entries: new Map(), writers: new Map() });
        await clock.pause(chance.between(0, 50));
        if (this.#dead) return new Promise<void>(() => undefined);
      }
      writes(given);
      await this.#store.write(batch);
      // Others can read it before the writer hears that it is written.
      if (chance.once(4)) await clock.pause(chance.between(0, 3));
      if (this.#dead) return new Promise<void>(() => undefined);
      for (const key of batch.entries.keys()) {
        const left = (this.#staged.get(key) as number) - 1;
        if (left === 0) this.#staged.delete(key);
        else this.#staged.set(key, left);
      }
    });
    this.#tail = written.catch(() => undefined);
    return written;
  }

  identify(identity: StoreIdentity): Promise<void> {
    return this.#store.identify(identity);
  }

  writers(partition: Partition): ReturnType<Store['writers']> {
    return this.#store.writers(partition);
  }

  answers(partition: Partition): ReturnType<Store['answers']> {
    return this.#store.answers(partition);
  }

  digest(partition: Partition): ReturnType<Store['digest']> {
    return this.#store.digest(partition);
  }

  fates(partition: Partition): ReturnType<Store['fates']> {
    return this.#store.fates(partition);
  }

  unsettled(): Promise<readonly string[]> {
    return this.#store.unsettled();
  }

  doubtful(): Promise<readonly string[]> {
    return this.#store.doubtful();
  }

  verify(signal?: AbortSignal): Promise<string | undefined> {
    return this.#store.verify(signal);
  }

  async close(): Promise<void> {
    await this.#tail;
    await this.#store.close();
  }
}
