/**
 * The store in memory: for `LOG=memory`, tests and simulation. It behaves as the one on LevelDB, atomicity and copies included. What has
 * been written lies on a `MemoryDisk`, which may outlive the store as a disk outlives a process.
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
import { Digest } from './digest.ts';
import { checkpointsFor, withCheckpoint } from './identity.ts';
import { SortedKeys } from './sorted-keys.ts';

const nothing = new Uint8Array(0);

/** An entry with the partition it is counted in. */
interface Held {
  readonly partition: Partition;
  readonly entry: Entry;
}

/** What a memory store has written. Opened again, it is all there. */
export class MemoryDisk {
  identity: StoreIdentity | undefined;
  checkpoints: readonly Checkpoint[] = [];
  readonly entries = new Map<string, Held>();
  readonly unsettled = new Set<string>();
  readonly doubtful = new Set<string>();
  readonly answers = new Map<Partition, Map<string, Answer>>();
  readonly writers = new Map<Partition, Map<string, WriterMark>>();
  readonly fates = new Map<Partition, Map<Offset, Fate>>();
  bytes = 0;
}

/** Opens a store on a disk in memory; on a new one when none is given. One store at a time per disk. */
export function openMemoryStore(disk: MemoryDisk = new MemoryDisk()): Promise<Store> {
  return Promise.resolve(new MemoryStore(disk));
}

class MemoryStore implements Store {
  readonly #disk: MemoryDisk;
  /** Made by the first scan. */
  #sorted: SortedKeys | undefined;
  #closed = false;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  get identity(): StoreIdentity | undefined {
    return this.#disk.identity;
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#disk.checkpoints;
  }

  get sizeBytes(): number {
    return this.#disk.bytes;
  }

  /** Undefined always, as of the store on LevelDB: what is in memory is the hashmap's to say. */
  peek(): undefined {
    return undefined;
  }

  lacks(key: string): boolean {
    return !this.#disk.entries.has(key);
  }

  async get(key: string): Promise<Entry | undefined> {
    return (await this.load([key]))[0];
  }

  async load(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    this.#assertOpen();
    return keys.map((key) => {
      const held = this.#disk.entries.get(key);
      return held && copyOf(held.entry);
    });
  }

  async scan({ from, to, limit, maxBytes, keysOnly = false }: ScanRange): Promise<Scan> {
    this.#assertOpen();
    const disk = this.#disk;
    this.#sorted ??= new SortedKeys(disk.entries.keys());
    const keys = this.#sorted.all;
    const end = to === undefined ? keys.length : this.#sorted.firstFrom(to);
    const entries: { key: string; entry: Entry }[] = [];
    let bytes = 0;
    for (let at = this.#sorted.firstFrom(from); at < end; at++) {
      if (entries.length >= limit || bytes >= maxBytes) return { entries, more: true };
      const key = keys[at]!;
      const { entry } = disk.entries.get(key)!;
      bytes += keysOnly ? 0 : entry.value.length;
      entries.push({ key, entry: copyOf(keysOnly ? { ...entry, value: nothing } : entry) });
    }
    return { entries, more: false };
  }

  async write(batch: StoreBatch): Promise<void> {
    this.#assertOpen();
    const disk = this.#disk;
    const { partition, identity } = batch;
    const before = identity === undefined ? disk.checkpoints : checkpointsFor(identity, disk.checkpoints);
    const checkpoints = withCheckpoint(before, partition, batch.checkpoint);
    // All that can go wrong comes before the first change.
    const copies = [...batch.entries].map(([key, entry]) => [key, entry && copyOf(entry)] as const);
    for (const [key, entry] of copies) this.#set(key, partition, entry, batch.doubtful?.has(key) ?? false);
    for (const [incarnation, mark] of batch.writers) change(disk.writers, partition, incarnation, mark && { ...mark });
    for (const [id, answer] of batch.answers ?? []) change(disk.answers, partition, id, answer && { ...answer });
    for (const [offset, fate] of batch.fates ?? []) change(disk.fates, partition, offset, fate);
    disk.checkpoints = checkpoints;
    if (identity !== undefined) disk.identity = identity;
  }

  async identify(identity: StoreIdentity): Promise<void> {
    this.#assertOpen();
    this.#disk.checkpoints = checkpointsFor(identity, this.#disk.checkpoints);
    this.#disk.identity = identity;
  }

  async writers(partition: Partition): Promise<ReadonlyMap<string, WriterMark>> {
    this.#assertOpen();
    return new Map(this.#disk.writers.get(partition));
  }

  async answers(partition: Partition): Promise<ReadonlyMap<string, Answer>> {
    this.#assertOpen();
    return new Map(this.#disk.answers.get(partition));
  }

  async fates(partition: Partition): Promise<ReadonlyMap<Offset, Fate>> {
    this.#assertOpen();
    return new Map([...(this.#disk.fates.get(partition) ?? [])].sort(([one], [other]) => one - other));
  }

  async doubtful(): Promise<readonly string[]> {
    this.#assertOpen();
    return [...this.#disk.doubtful];
  }

  async unsettled(): Promise<readonly string[]> {
    this.#assertOpen();
    return [...this.#disk.unsettled];
  }

  async digest(partition: Partition): Promise<StateDigest> {
    this.#assertOpen();
    const digest = new Digest();
    this.#sorted ??= new SortedKeys(this.#disk.entries.keys());
    for (const key of this.#sorted.all) {
      const held = this.#disk.entries.get(key)!;
      if (held.partition === partition) digest.add(key, held.entry);
    }
    return digest.end();
  }

  async verify(signal?: AbortSignal): Promise<string | undefined> {
    this.#assertOpen();
    if (signal?.aborted) return undefined;
    const counts = this.#disk.checkpoints.map(() => 0);
    for (const { partition } of this.#disk.entries.values()) counts[partition]!++;
    for (const [partition, { entries }] of this.#disk.checkpoints.entries()) {
      if (entries !== counts[partition]) return `partition ${partition} has ${counts[partition]} entries, its checkpoint says ${entries}`;
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw new BitacoraError('closed', 'the store is closed');
  }

  #set(key: string, partition: Partition, entry: Entry | undefined, isDoubtful: boolean): void {
    const { entries, unsettled, doubtful } = this.#disk;
    this.#disk.bytes += (entry ? sizeOf(key, entry) : 0) - sizeOf(key, entries.get(key)?.entry);
    const known = entries.has(key);
    if (entry === undefined) entries.delete(key);
    else entries.set(key, { partition, entry });
    if (known && entry === undefined) this.#sorted?.remove(key);
    if (!known && entry !== undefined) this.#sorted?.add(key);
    if (entry !== undefined && !entry.settled) unsettled.add(key);
    else unsettled.delete(key);
    if (isDoubtful) doubtful.add(key);
    else doubtful.delete(key);
  }
}

/** Undefined: taken out. */
function change<K, T>(of: Map<Partition, Map<K, T>>, partition: Partition, id: K, value: T | undefined): void {
  const kept = of.get(partition) ?? new Map<K, T>();
  of.set(partition, kept);
  if (value === undefined) kept.delete(id);
  else kept.set(id, value);
}

function sizeOf(key: string, entry: Entry | undefined): number {
  return entry === undefined ? 0 : key.length + entry.value.length + entry.id.length + entry.by.length + entry.contentType.length;
}

/** With the value's bytes copied: neither a caller's buffer is kept nor ours given away. */
function copyOf(entry: Entry): Entry {
  const { version, newest, settled, deleted, time, expires, id, by, contentType } = entry;
  return { version, newest, settled, deleted, value: new Uint8Array(entry.value), time, expires, id, by, contentType };
}
