/** A whole store that no node is running on: in a file, or in a directory. It is read from its first row to its last, as often as one likes. */
import type { SnapshotHead } from '../../src/ports.ts';

export interface KeptSnapshot extends SnapshotHead {
  /** Of the file, or of the database's tables, as good as it knows. */
  readonly bytes: number;
  /**
   * All rows in the order of their keys, some at a time (wire/snapshot-rows.ts). Of the rows themselves nothing has been checked.
   * Errors: `store-damaged` (it is cut off, or changed), `store-failed`.
   */
  runs(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}
