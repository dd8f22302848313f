/**
 * A LevelDB store that is made from another node's snapshot. Nothing of the snapshot is trusted: each row must fit its checksum and key and
 * stand behind the one before, there may be no more entries in a partition than its checkpoint says, and in the end there must be as many.
 *
 * Rows go in as they came; the journal is this store's own, and identity and checkpoints are written with the last batch.
 */
import { rm } from 'node:fs/promises';
import { BitacoraError } from '../../src/core/errors.ts';
import type { SnapshotHead, StoreSeed } from '../../src/ports.ts';
import { eachRow } from '../../wire/snapshot-rows.ts';
import { type Level, levelError } from '../level.ts';
import { checkpointsFor } from './identity.ts';
import { Journal } from './journal.ts';
import { family, travels } from './keys.ts';
import { LevelBatch } from './level-batch.ts';
import type { LevelState } from './level-state.ts';
import { isSettled, partitionOf, RowEncoder, rowFits } from './row.ts';
import { sealFits } from './sealed.ts';

/** Beside its entry a record of the log is named by at most a mark, an answer, a fate, and a row of a family still to come. */
const ROWS_PER_RECORD = 4;

export interface LevelSeedOptions {
  readonly head: SnapshotHead;
  /** Open and empty. */
  readonly level: Level;
  /** Its write buffer. */
  readonly bufferBytes: number;
  /** Checks the closed database and puts it in its place. */
  readonly place: (vacate: () => Promise<void>, signal: AbortSignal | undefined) => Promise<void>;
  /** Called once, when it is over. */
  readonly ended: () => void;
}

export class LevelSeed implements StoreSeed {
  readonly #options: LevelSeedOptions;
  readonly #state: LevelState;
  readonly #encoder = new RowEncoder();
  readonly #counts: number[];
  readonly #mostRows: number;
  #unsettled = 0;
  #listed = 0;
  #rows = 0;
  /** A copy: the run that it came with goes. */
  #last: Uint8Array | undefined;
  /** The batch under way: one is written while the next is looked at. */
  #writing: Promise<void> = Promise.resolve();
  #over = false;

  /** Errors: `store-damaged`: no store can have such a head. */
  constructor(options: LevelSeedOptions) {
    const { identity, checkpoints } = options.head;
    this.#options = options;
    if (checkpointsFor(identity, checkpoints).length !== checkpoints.length) throw damaged('there are too few checkpoints');
    this.#counts = checkpoints.map(() => 0);
    this.#mostRows = checkpoints.reduce((sum, { entries, next }) => sum + entries + ROWS_PER_RECORD * next, 0);
    const journal = new Journal([], 0, options.bufferBytes);
    this.#state = { identity: undefined, checkpoints: [], unsettled: new Set(), doubtful: new Set(), journal, empty: true };
  }

  get rows(): number {
    return this.#rows;
  }

  get last(): Uint8Array | undefined {
    return this.#last;
  }

  async take(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    const batch = new LevelBatch(this.#options.level, this.#encoder, this.#state);
    let last = this.#last;
    try {
      this.#rows += eachRow(bytes, (key, row) => {
        if (last !== undefined && !isBefore(last, key)) throw damaged('the rows are not in order');
        this.#check(key, row);
        batch.row(key, row);
        last = key;
      });
      if (this.#rows > this.#mostRows) throw damaged(`there are more rows than the log can have given, ${this.#mostRows}`);
      batch.finish();
    } catch (error) {
      await batch.close();
      throw error;
    }
    this.#last = last?.slice();
    await this.#write(batch, false);
  }

  /** Waits for the batch before; how this one ends is heard with the next. */
  async #write(batch: LevelBatch, sync: boolean): Promise<void> {
    try {
      await this.#writing;
    } catch (error) {
      await batch.close();
      throw failed(error);
    }
    this.#writing = batch.write(sync);
    // A failure is thrown by whoever waits for it.
    this.#writing.catch(() => undefined);
  }

  #check(key: Uint8Array, row: Uint8Array): void {
    if (key.length === 0 || !travels(key)) throw damaged('a row is of a family that does not travel');
    if (key[0] !== family.entry) {
      if (!sealFits(key, row)) throw damaged('the checksum of a row does not fit');
      if (key[0] === family.unsettled) this.#listed++;
      return;
    }
    if (!rowFits(key, row)) throw damaged('the checksum of an entry does not fit');
    const partition = partitionOf(row);
    const most = this.#options.head.checkpoints[partition]?.entries;
    if (most === undefined) throw damaged(`an entry belongs to partition ${partition} of ${this.#counts.length}`);
    if (++this.#counts[partition]! > most) throw damaged(`partition ${partition} has more entries than its checkpoint says, ${most}`);
    if (!isSettled(row)) this.#unsettled++;
  }

  async finish(vacate: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    this.#assertOpen();
    const { head, level } = this.#options;
    for (const [partition, { entries }] of head.checkpoints.entries()) {
      const count = this.#counts[partition];
      if (count !== entries) throw damaged(`partition ${partition} has ${count} entries, its checkpoint says ${entries}`);
    }
    if (this.#listed !== this.#unsettled) throw damaged(`${this.#unsettled} entries are unsettled, ${this.#listed} are listed as such`);
    const batch = new LevelBatch(level, this.#encoder, this.#state);
    batch.checkpoints([], head.checkpoints);
    batch.identity(head.identity);
    batch.finish();
    await this.#write(batch, true);
    await this.#writing.catch((error: unknown) => {
      throw failed(error);
    });
    await level.close().catch((error: unknown) => {
      throw failed(error);
    });
    signal?.throwIfAborted();
    await this.#options.place(vacate, signal);
    this.#over = true;
    this.#options.ended();
  }

  async abandon(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const { level } = this.#options;
    try {
      // Why it is given up is known; what its last batch came to does not matter.
      await this.#writing.catch(() => undefined);
      await level.close();
      await rm(level.location, { recursive: true, force: true });
      await rm(`${level.location}.json`, { force: true });
    } finally {
      this.#options.ended();
    }
  }

  #assertOpen(): void {
    if (this.#over) throw new BitacoraError('closed', 'the seed is over');
  }
}

function damaged(reason: string): BitacoraError {
  return new BitacoraError('store-damaged', reason);
}

/** Of a database that was empty a moment ago, whatever LevelDB says is a matter of this node's disk. */
function failed(error: unknown): BitacoraError {
  return new BitacoraError('store-failed', levelError(error).message, { cause: error });
}

/** As LevelDB compares keys: by bytes, a shorter one before what it begins. */
function isBefore(a: Uint8Array, b: Uint8Array): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return a.length < b.length;
}
