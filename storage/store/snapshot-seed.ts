/**
 * A LevelDB store that is made from a snapshot, another node's or a backup's. Nothing of it is trusted (snapshot-check.ts).
 *
 * Rows go in as they came; the journal is this store's own, and identity and checkpoints are written with the last batch.
 */
import { rm } from 'node:fs/promises';
import { BitacoraError } from '../../src/core/errors.ts';
import type { SnapshotHead, StoreSeed } from '../../src/ports.ts';
import { type Level, levelError } from '../level.ts';
import { Journal } from './journal.ts';
import { LevelBatch } from './level-batch.ts';
import type { LevelState } from './level-state.ts';
import { RowEncoder } from './row.ts';
import { SnapshotCheck } from './snapshot-check.ts';

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
  readonly #check: SnapshotCheck;
  /** The batch under way: one is written while the next is looked at. */
  #writing: Promise<void> = Promise.resolve();
  #over = false;

  /** Errors: `store-damaged`: no store can have such a head. */
  constructor(options: LevelSeedOptions) {
    this.#options = options;
    this.#check = new SnapshotCheck(options.head);
    const journal = new Journal([], 0, options.bufferBytes);
    this.#state = { identity: undefined, checkpoints: [], unsettled: new Set(), doubtful: new Set(), journal, empty: true };
  }

  get rows(): number {
    return this.#check.rows;
  }

  get last(): Uint8Array | undefined {
    return this.#check.last;
  }

  async take(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    const batch = new LevelBatch(this.#options.level, this.#encoder, this.#state);
    try {
      this.#check.take(bytes, (key, row) => batch.row(key, row));
      batch.finish();
    } catch (error) {
      await batch.close();
      throw error;
    }
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

  async finish(vacate: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    this.#assertOpen();
    const { head, level } = this.#options;
    this.#check.end();
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

/** Of a database that was empty a moment ago, whatever LevelDB says is a matter of this node's disk. */
function failed(error: unknown): BitacoraError {
  return new BitacoraError('store-failed', levelError(error).message, { cause: error });
}
