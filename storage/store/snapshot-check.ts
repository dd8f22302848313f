/**
 * What the rows of a snapshot must be to be those of a sound store, whoever has sent or kept them: each fits its checksum and key and stands
 * behind the one before, no partition has more entries than its checkpoint says nor in the end fewer, and as many keys are listed as
 * unsettled as there are unsettled entries.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { SnapshotHead } from '../../src/ports.ts';
import { eachRow } from '../../wire/snapshot-rows.ts';
import { checkpointsFor } from './identity.ts';
import { family, travels } from './keys.ts';
import { STORE_FORMAT } from './level-files.ts';
import { isSettled, partitionOf, rowFits } from './row.ts';
import { sealFits } from './sealed.ts';

/** Beside its entry a record of the log is named by at most a mark, an answer, a fate, and a row of a family still to come. */
const ROWS_PER_RECORD = 4;

export class SnapshotCheck {
  readonly #head: SnapshotHead;
  readonly #counts: number[];
  readonly #mostRows: number;
  #unsettled = 0;
  #listed = 0;
  #rows = 0;
  /** A copy: the run that it came with goes. */
  #last: Uint8Array | undefined;

  /** Errors: `store-damaged`: no store of this format can have such a head. */
  constructor(head: SnapshotHead) {
    const { format, identity, checkpoints } = head;
    if (format !== STORE_FORMAT) throw damaged(`it is of format ${format}; this version reads format ${STORE_FORMAT}`);
    if (expected(head) !== checkpoints.length) {
      throw damaged(`there are ${checkpoints.length} checkpoints for ${identity.partitions} partitions`);
    }
    this.#head = head;
    this.#counts = checkpoints.map(() => 0);
    this.#mostRows = checkpoints.reduce((sum, { entries, next }) => sum + entries + ROWS_PER_RECORD * next, 0);
  }

  /** Seen so far. */
  get rows(): number {
    return this.#rows;
  }

  /** The key of the last one. */
  get last(): Uint8Array | undefined {
    return this.#last;
  }

  /** Shows each row of a run, as views of `bytes`, once it is known to be sound. Errors: `store-damaged`. */
  take(bytes: Uint8Array, visit: (key: Uint8Array, row: Uint8Array) => void = () => undefined): void {
    let last = this.#last;
    this.#rows += eachRow(bytes, (key, row) => {
      if (last !== undefined && !isBefore(last, key)) throw damaged('the rows are not in order');
      this.#check(key, row);
      visit(key, row);
      last = key;
    });
    if (this.#rows > this.#mostRows) throw damaged(`there are more rows than the log can have given, ${this.#mostRows}`);
    this.#last = last?.slice();
  }

  /** No row is missing. Errors: `store-damaged`. */
  end(): void {
    for (const [partition, { entries }] of this.#head.checkpoints.entries()) {
      const count = this.#counts[partition];
      if (count !== entries) throw damaged(`partition ${partition} has ${count} entries, its checkpoint says ${entries}`);
    }
    if (this.#listed !== this.#unsettled) throw damaged(`${this.#unsettled} entries are unsettled, ${this.#listed} are listed as such`);
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
    const most = this.#head.checkpoints[partition]?.entries;
    if (most === undefined) throw damaged(`an entry belongs to partition ${partition} of ${this.#counts.length}`);
    if (++this.#counts[partition]! > most) throw damaged(`partition ${partition} has more entries than its checkpoint says, ${most}`);
    if (!isSettled(row)) this.#unsettled++;
  }
}

/** How many checkpoints there must be. */
function expected({ identity, checkpoints }: SnapshotHead): number {
  try {
    return checkpointsFor(identity, checkpoints).length;
  } catch (error) {
    throw new BitacoraError('store-damaged', (error as Error).message, { cause: error });
  }
}

function damaged(reason: string): BitacoraError {
  return new BitacoraError('store-damaged', reason);
}

/** As LevelDB compares keys: by bytes, a shorter one before what it begins. */
function isBefore(a: Uint8Array, b: Uint8Array): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return a.length < b.length;
}
