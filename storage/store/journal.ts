/**
 * Notices a batch that LevelDB lost out of the middle of its write-ahead file.
 *
 * When a byte of that file is damaged, LevelDB drops the batch it lies in, keeps the later ones and opens as if nothing had happened. New
 * keys of the lost batch are missed by the count, but changed values would silently be old ones again. So every batch writes a numbered
 * row of its own that also says which is the oldest row left, and at open there must be all from there on. A batch lost at the very end
 * leaves an older but whole state, which the log mends, and no gap.
 *
 * Rows can be dropped once their batch has left the write-ahead files for the tables, which have other guards. LevelDB has at most two
 * such files, each as big as the write buffer and the batch that filled it; three times that many bytes later a row is not needed.
 */
import { BitacoraError } from '../../src/core/errors.ts';

/** Rows dropped with one batch at most: one is usual, and after a start there may be many. */
const MAX_DROPS = 64;
/** Dropped numbers are cut off the list in runs of this many, as each cut moves the whole list. */
const CUT = 4096;

/** What one batch has to do: write row `sequence` naming `oldest`, and delete the rows from `dropped` to before `oldest`. */
export interface JournalStep {
  readonly sequence: number;
  readonly dropped: number;
  readonly oldest: number;
}

export class Journal {
  /** Rows `#oldest` to `#next` - 1 exist. */
  #oldest: number;
  #next: number;
  /** How many bytes had been written when row `#base` + i began. */
  #beganAt: number[] = [];
  #base: number;
  #written = 0;
  #largest = 0;
  readonly #bufferBytes: number;

  /**
   * `present`: the rows found at open, ascending; `oldest`: the one that the last of them names; `bufferBytes`: LevelDB's write buffer.
   * Errors: `store-damaged` when a row is missing.
   */
  constructor(present: readonly number[], oldest: number, bufferBytes: number) {
    const last = present.at(-1);
    if (last !== undefined && (present[0] !== oldest || last - oldest + 1 !== present.length)) {
      throw new BitacoraError('store-damaged', `of the batches ${oldest} to ${last} only ${present.length} are left`);
    }
    this.#oldest = oldest;
    this.#base = oldest;
    this.#next = last === undefined ? oldest : last + 1;
    // What was there at open stands in the tables by now; it may go at any time.
    for (let i = 0; i < present.length; i++) this.#beganAt.push(Number.NEGATIVE_INFINITY);
    this.#bufferBytes = bufferBytes;
  }

  /** How many rows exist. */
  get length(): number {
    return this.#next - this.#oldest;
  }

  /** Counts in a batch of about `bytes`. It must be written, or the store not be used any more. */
  advance(bytes: number): JournalStep {
    this.#largest = Math.max(this.#largest, bytes);
    const safe = this.#written - 3 * (this.#bufferBytes + this.#largest);
    const dropped = this.#oldest;
    while (this.length > 0 && this.#oldest - dropped < MAX_DROPS && this.#beganAt[this.#oldest - this.#base]! < safe) this.#oldest++;
    if (this.#oldest - this.#base >= CUT) {
      this.#beganAt = this.#beganAt.slice(this.#oldest - this.#base);
      this.#base = this.#oldest;
    }
    this.#beganAt.push(this.#written);
    this.#written += bytes;
    return { sequence: this.#next++, dropped, oldest: this.#oldest };
  }
}
