/**
 * The lines of an export, as nodes write them and files keep them: a header, items in the order of their keys' bytes, a cursor after every
 * page, and an end.
 *
 * Every cursor and the end tell how many items stand before them, up to the header, and the SHA-256 of their lines. So what was cut off is
 * good up to its last cursor, and what goes on from that cursor is a part of its own, with a header that names it: parts one behind another
 * are one export.
 */
import { createHash } from 'node:crypto';

/** Of what is written now. Readers refuse what is later. */
export const exportFormat = 1;

/** The first line of a part. */
export interface ExportHeader {
  readonly bitacora: 'export';
  readonly format: number;
  readonly prefix: string;
  /** Where the part goes on; null: it is the first. */
  readonly cursor: string | null;
  /** A session token: everything up to here is in what follows, newer writes may be. */
  readonly position: string;
  /** ISO 8601, by the node's clock. */
  readonly created: string;
}

/** So far the part is good, and from here it can be gone on with. */
export interface ExportCursor {
  readonly cursor: string;
  /** Since the header of the part. */
  readonly items: number;
  /** SHA-256 of the items' lines since the header, newlines included, in hexadecimal. */
  readonly checksum: string;
  /** The node has ended the part here, for this reason. */
  readonly code?: string;
}

/** The last line of the last part. */
export interface ExportEnd {
  readonly end: true;
  readonly items: number;
  readonly checksum: string;
  /** A session token: nothing in the part is newer. */
  readonly position: string;
}

/** Counts and sums up the items' lines of a part. */
export class ExportSum {
  readonly #hash = createHash('sha256');
  #items = 0;

  /** A line with its newline. */
  add(line: string | Uint8Array): void {
    this.#hash.update(line);
    this.#items++;
  }

  get told(): { readonly items: number; readonly checksum: string } {
    return { items: this.#items, checksum: this.#hash.copy().digest('hex') };
  }
}
