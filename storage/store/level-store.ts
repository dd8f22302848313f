/**
 * The store on LevelDB. One batch of the log is one LevelDB batch, checkpoint included, so a crash may lose the newest batches and never
 * part of one. It is written without fsync: the log is the truth, and what a power cut takes is read again.
 *
 * LevelDB trusts its disk more than we may (it returns flipped bytes as good data), so each row carries a checksum (row.ts), each
 * batch a number (journal.ts), and the number of entries stands in the checkpoint. A store that is found damaged is never mended: the
 * caller closes it, sets it aside (`setAside`) and reads the log again.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
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
  SnapshotSource,
  StateDigest,
  Store,
  StoreBatch,
  StoreIdentity,
  StoreSnapshot,
  WriterMark,
} from '../../src/ports.ts';
import { type Level, levelError, openLevel } from '../level.ts';
import { digestLevel } from './digest.ts';
import type { StoreBeneath } from './hashmap.ts';
import { checkpointsFor, withCheckpoint } from './identity.ts';
import { answerRowKey, family, fateKey, fateOffset, keyed, textAfter, writerKey } from './keys.ts';
import { type BodyTaker, LevelBatch } from './level-batch.ts';
import { clearUnmarked, readMarker, writeMarker } from './level-files.ts';
import { scanLevel } from './level-scan.ts';
import { type LevelState, readState } from './level-state.ts';
import { verifyLevel } from './level-verify.ts';
import { PresenceFilter } from './presence-filter.ts';
import { entryOf, RowEncoder, rowFits } from './row.ts';
import { unseal } from './sealed.ts';
import { openLevelSnapshot } from './snapshot-giver.ts';
import { checkDirectory } from './table-check.ts';

const MIB = 1024 * 1024;
/** So many bytes written, and LevelDB is asked again how large it is. */
const MEASURE_BYTES = 32 * MIB;

export interface LevelStoreOptions {
  /** Where the LevelDB lies; the marker stands beside it as `<directory>.json`. */
  readonly directory: string;
  /** LevelDB's block cache, bytes. Default 8 MiB. */
  readonly cacheBytes?: number;
  /** LevelDB's write buffer, bytes; at most two are in memory. Default 16 MiB. */
  readonly writeBufferBytes?: number;
  /** Size of the filter of a store that is empty at open, bytes; it serves about as many keys. Default 8 MiB. */
  readonly filterBytes?: number;
  /** Opens the LevelDB; given by tests that need one that fails. */
  readonly open?: typeof openLevel;
}

/**
 * Opens the store, or makes it. Never call it twice for one directory (see data-directory.ts). It first reads all tables for their
 * checksums, about 600 MB per second: once LevelDB has opened them, it may rewrite damage as if it were sound.
 * Errors: `store-damaged`, `directory-locked`, `directory-unusable`.
 */
export async function openLevelStore(options: LevelStoreOptions): Promise<Store & SnapshotSource> {
  const { directory, writeBufferBytes = 16 * MIB, cacheBytes = 8 * MIB, filterBytes = 8 * MIB, open = openLevel } = options;
  const known = await readMarker(directory);
  if (!known) await prepare(directory);
  const faultOf = await checkDirectory(directory);
  const level = await open(directory, { create: !known, cacheBytes, writeBufferBytes });
  try {
    if (!known) await writeMarker(directory);
    const fault = await faultOf(level);
    if (fault !== undefined) throw new BitacoraError('store-damaged', fault);
    const state = await readState(level, writeBufferBytes);
    const store = new LevelStore(level, state, filterBytes);
    await store.measure();
    return store;
  } catch (error) {
    await level.close();
    throw levelError(error);
  }
}

async function prepare(directory: string): Promise<void> {
  await clearUnmarked(directory);
  try {
    await mkdir(dirname(directory), { recursive: true });
  } catch (error) {
    throw new BitacoraError('directory-unusable', `${directory}: ${(error as Error).message}`, { cause: error });
  }
}

class LevelStore implements StoreBeneath, SnapshotSource {
  readonly #level: Level;
  readonly #state: LevelState;
  readonly #encoder = new RowEncoder();
  /** Of the keys written since the store was opened empty; undefined: it was not, or they have become too many. */
  #filter: PresenceFilter | undefined;
  #identity: StoreIdentity | undefined;
  #checkpoints: readonly Checkpoint[];
  /** The checkpoints after all batches that wait to be written. */
  #staged: readonly Checkpoint[];
  /** The last write in the queue: batches are written one by one, in the order of the calls, as LevelDB's threads would not keep it. */
  #queue: Promise<void> = Promise.resolve();
  /** How many writes are in the queue. */
  #waiting = 0;
  /** The first failure of a write, after which LevelDB takes no other; only reopening helps. */
  #failure: BitacoraError | undefined;
  #closing: Promise<void> | undefined;
  #tableBytes = 0;
  #bytesSince = 0;

  constructor(level: Level, state: LevelState, filterBytes: number) {
    this.#level = level;
    this.#state = state;
    this.#identity = state.identity;
    this.#checkpoints = state.checkpoints;
    this.#staged = state.checkpoints;
    if (state.empty) this.#filter = new PresenceFilter(filterBytes);
  }

  get identity(): StoreIdentity | undefined {
    return this.#identity;
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#checkpoints;
  }

  /** The tables as LevelDB last estimated them, and what was written since. */
  get sizeBytes(): number {
    return this.#tableBytes + this.#bytesSince;
  }

  peek(): undefined {
    return undefined;
  }

  lacks(key: string): boolean {
    return this.#filter !== undefined && !this.#filter.has(key);
  }

  async get(key: string): Promise<Entry | undefined> {
    return (await this.load([key]))[0];
  }

  /** The values are views of rows that LevelDB has copied for us alone. */
  async load(keys: readonly string[]): Promise<readonly (Entry | undefined)[]> {
    this.#assertUsable();
    const entries = new Array<Entry | undefined>(keys.length).fill(undefined);
    const places: number[] = [];
    const asked: Uint8Array[] = [];
    for (let i = 0; i < keys.length; i++) {
      if (this.lacks(keys[i]!)) continue;
      places.push(i);
      asked.push(keyed(family.entry, keys[i]!));
    }
    if (asked.length === 0) return entries;
    const rows = await this.#level.getMany(asked).catch((error: unknown) => {
      throw levelError(error);
    });
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (row === undefined) continue;
      if (!rowFits(asked[i]!, row)) throw new BitacoraError('store-damaged', 'the checksum of an entry does not fit');
      entries[places[i]!] = entryOf(row);
    }
    return entries;
  }

  async snapshot(): Promise<StoreSnapshot> {
    this.#assertUsable();
    try {
      return await openLevelSnapshot(this.#level);
    } catch (error) {
      throw levelError(error);
    }
  }

  async scan(range: ScanRange): Promise<Scan> {
    this.#assertUsable();
    try {
      return await scanLevel(this.#level, range);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** Errors: also `store-damaged`, `internal` (no such partition). */
  write(batch: StoreBatch): Promise<void> {
    return this.writeShowing(batch, undefined);
  }

  /** As `write`; `taker` is shown all entries, in order, before this returns its promise. */
  async writeShowing(batch: StoreBatch, taker: BodyTaker | undefined): Promise<void> {
    this.#assertUsable();
    const { identity } = batch;
    const before = identity === undefined ? this.#staged : checkpointsFor(identity, this.#staged);
    const after = withCheckpoint(before, batch.partition, batch.checkpoint);
    // Not awaited here: the batch would live as long as the disk writes.
    return this.#enqueue(after, identity, false, (level) => {
      level.entries(batch.partition, batch.entries, batch.doubtful, this.#filter, taker);
      level.writers(batch.partition, batch.writers);
      if (batch.answers !== undefined) level.answers(batch.partition, batch.answers);
      if (batch.fates !== undefined) level.fates(batch.partition, batch.fates);
    });
  }

  /** With fsync: it is rare, and not in the log. */
  async identify(identity: StoreIdentity): Promise<void> {
    this.#assertUsable();
    await this.#enqueue(checkpointsFor(identity, this.#staged), identity, true, () => undefined);
  }

  async writers(partition: Partition): Promise<ReadonlyMap<string, WriterMark>> {
    const what = `a writer mark of partition ${partition}`;
    return this.#listed(writerKey(partition), writerKey(partition + 1), (key, row) => [textAfter(key, 4), unseal(key, row, what)]);
  }

  async answers(partition: Partition): Promise<ReadonlyMap<string, Answer>> {
    const what = `an answer of partition ${partition}`;
    return this.#listed(answerRowKey(partition), answerRowKey(partition + 1), (key, row) => [textAfter(key, 4), unseal(key, row, what)]);
  }

  async fates(partition: Partition): Promise<ReadonlyMap<Offset, Fate>> {
    return this.#listed(fateKey(partition, 0), fateKey(partition + 1, 0), (key, row) => {
      const said = unseal<{ unknown: true } | undefined>(key, row, `a fate of partition ${partition}`);
      return [fateOffset(key) as Offset, said === undefined ? 'ignored' : 'unknown'];
    });
  }

  /** All sealed rows of a family in a partition, in the order of their keys. */
  async #listed<K, T>(gte: Uint8Array, lt: Uint8Array, read: (key: Uint8Array, row: Uint8Array) => [K, T]): Promise<ReadonlyMap<K, T>> {
    this.#assertUsable();
    const rows = new Map<K, T>();
    try {
      for await (const [key, row] of this.#level.iterator({ gte, lt })) rows.set(...read(key, row));
    } catch (error) {
      throw levelError(error);
    }
    return rows;
  }

  async unsettled(): Promise<readonly string[]> {
    this.#assertUsable();
    // Batches under way have already marked their keys.
    await this.#queue;
    this.#assertUsable();
    return [...this.#state.unsettled];
  }

  async doubtful(): Promise<readonly string[]> {
    await this.unsettled();
    return [...this.#state.doubtful];
  }

  async digest(partition: Partition): Promise<StateDigest> {
    this.#assertUsable();
    // In its turn among the writes, before any that comes later.
    this.#waiting++;
    const taken = this.#queue.then(() => this.#level.snapshot()).finally(() => this.#waiting--);
    this.#queue = taken.then(
      () => undefined,
      () => undefined,
    );
    const snapshot = await taken.catch((error: unknown) => {
      throw levelError(error);
    });
    const digest = await digestLevel(this.#level, snapshot, partition, () => this.#closing !== undefined);
    if (digest !== undefined) return digest;
    this.#assertUsable();
    throw new BitacoraError('store-damaged', 'the checksum of an entry does not fit');
  }

  async verify(signal?: AbortSignal): Promise<string | undefined> {
    this.#assertUsable();
    try {
      return await verifyLevel(this.#level, this.#checkpoints.length, signal);
    } catch (error) {
      const failure = levelError(error);
      if (failure.code !== 'store-damaged') throw failure;
      return failure.message;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#queue.then(() => this.#level.close());
    return this.#closing;
  }

  /** Asks LevelDB how large its tables are. */
  async measure(): Promise<void> {
    this.#bytesSince = 0;
    this.#tableBytes = await this.#level.approximateSize(Uint8Array.of(0), Uint8Array.of(255), {});
  }

  #assertUsable(): void {
    if (this.#closing !== undefined) throw new BitacoraError('closed', 'the store is closed');
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Stages a batch now, and writes it when those before it are written. What it changes is visible from then on. */
  #enqueue(
    checkpoints: readonly Checkpoint[],
    identity: StoreIdentity | undefined,
    sync: boolean,
    fill: (batch: LevelBatch) => void,
  ): Promise<void> {
    const batch = new LevelBatch(this.#level, this.#encoder, this.#state);
    try {
      fill(batch);
      batch.checkpoints(this.#staged, checkpoints);
      if (identity !== undefined) batch.identity(identity);
      batch.finish();
    } catch (error) {
      // What is kept in memory may be half changed: a mistake of ours, and no less final than one of the disk.
      this.#failure = new BitacoraError('store-failed', `a batch cannot be encoded: ${String(error)}`, { cause: error });
      throw this.#failure;
    }
    this.#staged = checkpoints;
    if (this.#filter?.full) this.#filter = undefined;
    const visible = (): void => {
      this.#checkpoints = checkpoints;
      if (identity !== undefined) this.#identity = identity;
    };
    // At once when nothing waits, so that the disk is at work while the caller goes on.
    const turn = this.#waiting++ === 0 ? this.#writeNow(batch, sync) : this.#queue.then(() => this.#writeNow(batch, sync));
    const written = turn.then(visible).finally(() => this.#waiting--);
    // A failure is this caller's to hear; those who wait behind learn of it from `#failure`.
    this.#queue = written.catch(() => undefined);
    return written;
  }

  async #writeNow(batch: LevelBatch, sync: boolean): Promise<void> {
    if (this.#failure !== undefined) {
      await batch.close();
      throw this.#failure;
    }
    try {
      await batch.write(sync);
    } catch (error) {
      this.#failure = levelError(error);
      throw this.#failure;
    }
    this.#bytesSince += batch.bytes;
    // A failed measurement changes nothing but a number; a failing disk shows itself in the next write.
    if (this.#bytesSince > MEASURE_BYTES) this.measure().catch(() => undefined);
  }
}
