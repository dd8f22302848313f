/**
 * A bounded hashmap over any store: most reads are answered from memory, the rest are loaded on demand.
 *
 * The copying of values: an entry's value may be a view of Kafka's fetch buffer, which it would keep alive. The store beneath encodes it
 * into its own batch, and the hashmap copies what was encoded, once, into the cache (and once more out of it for each reader, who may keep
 * it). Nothing here holds on to an entry that was handed to `write`.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type {
  Answer,
  Checkpoint,
  Entry,
  Fate,
  Offset,
  Partition,
  Scan,
  ScanRange,
  StateDigest,
  Store,
  StoreBatch,
  StoreIdentity,
  WriterMark,
} from '../../src/ports.ts';
import { EntryCache } from './entry-cache.ts';
import type { BodyTaker } from './level-batch.ts';

/** A store with memory, and how much it uses. */
export interface HashmapStore extends Store {
  /** Bytes that the hashmap takes up, by its own account; at most its limit. */
  readonly memoryBytes: number;
  /** Entries in memory. */
  readonly memoryEntries: number;
}

/** What a store may offer to the hashmap above it, so that work that it does anyway is not done twice. */
export interface StoreBeneath extends Store {
  /** As `write`; `taker` is shown all entries of the batch, in order, before this returns its promise. */
  writeShowing?(batch: StoreBatch, taker: BodyTaker | undefined): Promise<void>;
}

/** Puts a hashmap of at most `maxBytes` over `store`, which from then on belongs to it. 0: nothing is kept in memory. */
export function withHashmap(store: Store, maxBytes: number): HashmapStore {
  return new Hashmap(store, maxBytes);
}

class Hashmap implements HashmapStore {
  readonly #store: StoreBeneath;
  /** Undefined once closed. */
  #cache: EntryCache | undefined;
  /**
   * Questions under way by key, shared by all who ask. A write takes its keys out of here: whoever asked before gets the old answer, which
   * was right when they asked, but only a load that is still listed may fill the cache, or an old value would stay there for good.
   */
  readonly #loads = new Map<string, Promise<Entry | undefined>>();

  constructor(store: StoreBeneath, maxBytes: number) {
    this.#store = store;
    this.#cache = new EntryCache(maxBytes);
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

  get memoryBytes(): number {
    return this.#cache?.bytes ?? 0;
  }

  get memoryEntries(): number {
    return this.#cache?.size ?? 0;
  }

  peek(key: string): Entry | undefined {
    return this.#cache?.get(key);
  }

  lacks(key: string): boolean {
    return this.#store.lacks(key);
  }

  /** What is in memory is answered even when the store beneath has failed: it is right as of the checkpoints. */
  async get(key: string): Promise<Entry | undefined> {
    return this.peek(key) ?? this.#loads.get(key) ?? this.#load(key);
  }

  /** Does not fill the memory: who asks for many is about to write them. */
  async load(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    const store = this.#store;
    const entries = new Array<Entry | undefined>(keys.length).fill(undefined);
    const missing: string[] = [];
    const places: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if (store.lacks(key)) continue;
      entries[i] = this.peek(key);
      if (entries[i] !== undefined) continue;
      missing.push(key);
      places.push(i);
    }
    const loaded = await store.load(missing);
    for (let i = 0; i < places.length; i++) entries[places[i]!] = loaded[i];
    return entries;
  }

  /** Past the memory, which it neither asks nor fills: what is written in LevelDB is all there. */
  scan(range: ScanRange): Promise<Scan> {
    return this.#store.scan(range);
  }

  /** The memory changes when the batch is written, and not at all when it is not; but the copying is done before. */
  write(batch: StoreBatch): Promise<void> {
    const places: number[] = [];
    const written = this.#writeStaging(batch, this.#cache, places);
    return this.#published([...batch.entries.keys()], places, this.#cache, written);
  }

  /** Apart from `write`, whose batch must not live as long as the disk writes: it holds on to all that was fetched with it. */
  async #published(
    keys: readonly string[],
    places: readonly number[],
    cache: EntryCache | undefined,
    written: Promise<void>,
  ): Promise<void> {
    try {
      await written;
    } catch (error) {
      for (const place of places) cache?.discard(place);
      throw error;
    }
    if (this.#loads.size > 0) for (const key of keys) this.#loads.delete(key);
    cache?.publishAll(keys, places);
  }

  identify(identity: StoreIdentity): Promise<void> {
    return this.#store.identify(identity);
  }

  writers(partition: Partition): Promise<ReadonlyMap<string, WriterMark>> {
    return this.#store.writers(partition);
  }

  answers(partition: Partition): Promise<ReadonlyMap<string, Answer>> {
    return this.#store.answers(partition);
  }

  fates(partition: Partition): Promise<ReadonlyMap<Offset, Fate>> {
    return this.#store.fates(partition);
  }

  doubtful(): Promise<readonly string[]> {
    return this.#store.doubtful();
  }

  unsettled(): Promise<readonly string[]> {
    return this.#store.unsettled();
  }

  digest(partition: Partition): Promise<StateDigest> {
    return this.#store.digest(partition);
  }

  verify(signal?: AbortSignal): Promise<string | undefined> {
    return this.#store.verify(signal);
  }

  close(): Promise<void> {
    this.#cache = undefined;
    this.#loads.clear();
    return this.#store.close();
  }

  /** Writes, and notes in `places` where each entry is staged. */
  #writeStaging(batch: StoreBatch, cache: EntryCache | undefined, places: number[]): Promise<void> {
    if (this.#store.writeShowing !== undefined) {
      return this.#store.writeShowing(batch, (key, body) => places.push(body && cache ? cache.stageBody(key, body) : -1));
    }
    const written = this.#store.write(batch);
    for (const [key, entry] of batch.entries) places.push(entry && cache ? cache.stage(key, entry) : -1);
    return written;
  }

  #load(key: string): Promise<Entry | undefined> {
    if (this.#cache === undefined) return Promise.reject(new BitacoraError('closed', 'the store is closed'));
    const load = this.#store.get(key).then(
      (entry) => {
        if (this.#settle(key, load) && entry !== undefined) this.#cache?.publish(key, this.#cache.stage(key, entry));
        return entry;
      },
      (error: unknown) => {
        this.#settle(key, load);
        throw error;
      },
    );
    this.#loads.set(key, load);
    return load;
  }

  /** Strikes a load off the list; false if it was overtaken. */
  #settle(key: string, load: Promise<Entry | undefined>): boolean {
    return this.#loads.get(key) === load && this.#loads.delete(key);
  }
}
