/**
 * The store in memory: for `LOG=memory`, tests and simulation. It behaves as the one on LevelDB, atomicity and copies included. What has
 * been written lies on a `MemoryDisk`, which may outlive the store as a disk outlives a process.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Checkpoint, Entry, Partition, Store, StoreBatch, StoreIdentity, WriterMark } from '../../src/ports.ts';
import { checkpointsFor, withCheckpoint } from './identity.ts';

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
  readonly writers = new Map<Partition, Map<string, WriterMark>>();
  bytes = 0;
}

/** Opens a store on a disk in memory; on a new one when none is given. One store at a time per disk. */
export function openMemoryStore(disk: MemoryDisk = new MemoryDisk()): Promise<Store> {
  return Promise.resolve(new MemoryStore(disk));
}

class MemoryStore implements Store {
  readonly #disk: MemoryDisk;
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

  async write(batch: StoreBatch): Promise<void> {
    this.#assertOpen();
    const disk = this.#disk;
    const { partition, identity } = batch;
    const before = identity === undefined ? disk.checkpoints : checkpointsFor(identity, disk.checkpoints);
    const checkpoints = withCheckpoint(before, partition, batch.checkpoint);
    // All that can go wrong comes before the first change.
    const copies = [...batch.entries].map(([key, entry]) => [key, entry && copyOf(entry)] as const);
    for (const [key, entry] of copies) this.#set(key, partition, entry);
    for (const [incarnation, mark] of batch.writers) this.#mark(partition, incarnation, mark);
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

  async unsettled(): Promise<readonly string[]> {
    this.#assertOpen();
    return [...this.#disk.unsettled];
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

  #set(key: string, partition: Partition, entry: Entry | undefined): void {
    const { entries, unsettled } = this.#disk;
    this.#disk.bytes += (entry ? sizeOf(key, entry) : 0) - sizeOf(key, entries.get(key)?.entry);
    if (entry === undefined) entries.delete(key);
    else entries.set(key, { partition, entry });
    if (entry !== undefined && !entry.settled) unsettled.add(key);
    else unsettled.delete(key);
  }

  #mark(partition: Partition, incarnation: string, mark: WriterMark | undefined): void {
    const marks = this.#disk.writers.get(partition) ?? new Map<string, WriterMark>();
    this.#disk.writers.set(partition, marks);
    if (mark === undefined) marks.delete(incarnation);
    else marks.set(incarnation, { sequence: mark.sequence, time: mark.time });
  }
}

function sizeOf(key: string, entry: Entry | undefined): number {
  return entry === undefined ? 0 : key.length + entry.value.length + entry.id.length + entry.by.length + entry.contentType.length;
}

/** With the value's bytes copied: neither a caller's buffer is kept nor ours given away. */
function copyOf(entry: Entry): Entry {
  const { version, newest, settled, deleted, time, expires, id, by, contentType } = entry;
  return { version, newest, settled, deleted, value: new Uint8Array(entry.value), time, expires, id, by, contentType };
}
