/**
 * A snapshot in a file: the same frames that travel between nodes (wire/snapshot-frames.ts), one behind the other, so that what a node sends is
 * such a file as it is. It is written under a name of its own, `<path>.<8 digits>.part`, and gets its name when it is whole and on the disk; rows are looked at as they come
 * (snapshot-check.ts), as nobody can mend a backup that is found bad when it is needed.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { BitacoraError } from '../../src/core/errors.ts';
import type { SeedPlace, SnapshotHead, StoreSeed } from '../../src/ports.ts';
import { jsonFrame, rowsFrameHead, snapshotFormat } from '../../wire/snapshot-frames.ts';
import { syncDirectory } from './level-files.ts';
import { SnapshotCheck } from './snapshot-check.ts';

/** Takes a snapshot into the file at `path`, in the place of one that is there. Errors of all that it does: `store-damaged`, `store-failed`. */
export function snapshotFilePlace(path: string): SeedPlace {
  return {
    async begin(head) {
      const check = new SnapshotCheck(head);
      // Two at once do not write into one another.
      const part = `${path}.${randomUUID().slice(0, 8)}.part`;
      const file = await open(part, 'wx').catch(failed(part));
      const seed = new FileSeed(path, part, file, check);
      try {
        await seed.head(head);
        return seed;
      } catch (error) {
        await seed.abandon();
        throw error;
      }
    },
  };
}

class FileSeed implements StoreSeed {
  readonly #path: string;
  readonly #part: string;
  readonly #file: FileHandle;
  readonly #check: SnapshotCheck;
  /** Of all rows so far. */
  #checksum = 0;
  #over = false;

  constructor(path: string, part: string, file: FileHandle, check: SnapshotCheck) {
    this.#path = path;
    this.#part = part;
    this.#file = file;
    this.#check = check;
  }

  get rows(): number {
    return this.#check.rows;
  }

  get last(): Uint8Array | undefined {
    return this.#check.last;
  }

  /** The name is the file's own: nobody keeps the snapshot by that of its giver. */
  async head({ format, identity, checkpoints }: SnapshotHead): Promise<void> {
    await this.#write(jsonFrame('head', { snapshot: snapshotFormat, name: randomUUID(), format, identity, checkpoints }));
  }

  async take(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    this.#check.take(bytes);
    this.#checksum = crc32(bytes, this.#checksum);
    await this.#write(rowsFrameHead(bytes.length, this.#checksum), bytes);
  }

  async finish(vacate: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    this.#assertOpen();
    this.#check.end();
    await this.#write(jsonFrame('end', { rows: this.rows, checksum: this.#checksum }));
    signal?.throwIfAborted();
    await vacate();
    try {
      await this.#file.sync();
      await this.#file.close();
      await rename(this.#part, this.#path);
      await syncDirectory(dirname(resolve(this.#path)));
    } catch (error) {
      failed(this.#path)(error);
    }
    this.#over = true;
  }

  async abandon(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      await this.#file.close();
      await rm(this.#part, { force: true });
    } catch (error) {
      failed(this.#part)(error);
    }
  }

  async #write(...pieces: readonly Uint8Array[]): Promise<void> {
    try {
      // All of it: a short write goes on where it ended.
      for (const piece of pieces) await this.#file.appendFile(piece);
    } catch (error) {
      failed(this.#part)(error);
    }
  }

  #assertOpen(): void {
    if (this.#over) throw new BitacoraError('closed', 'the backup is over');
  }
}

function failed(path: string): (error: unknown) => never {
  return (error) => {
    throw new BitacoraError('store-failed', `${path}: ${(error as Error).message}`, { cause: error });
  };
}
