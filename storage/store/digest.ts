/**
 * A hash over the values of one partition, in byte order of their keys, that is the same on every node that holds the same: of what
 * depends on a node's own past (settled or not, markers and what was swept) nothing goes in.
 *
 *     digest = SHA-256 over: for each entry that is not deleted, and not the system's
 *              version i64, expires i64, key n u32, type n u32, id n u32, value n u32, key, type, id, value      (little-endian, UTF-8)
 */
import { createHash } from 'node:crypto';
import { isSystemKey } from '../../src/core/keys.ts';
import type { Entry, StateDigest } from '../../src/ports.ts';
import type { Level } from '../level.ts';
import { writeInteger } from './fields.ts';
import { family, rangeOf, textAfter } from './keys.ts';
import { entryOf, partitionOf, rowFits } from './row.ts';

const headBytes = 8 + 8 + 4 * 4;
/** Rows and bytes taken at a time; between two the event loop runs. */
const chunkRows = 500;
const chunkBytes = 256 * 1024;

export class Digest {
  readonly #hash = createHash('sha256');
  #entries = 0;

  /** Keys must come in byte order. */
  add(key: string, { deleted, version, expires, contentType, id, value }: Entry): void {
    if (deleted || isSystemKey(key)) return;
    const texts = [key, contentType, id].map((text) => Buffer.from(text));
    const head = Buffer.allocUnsafe(headBytes);
    let at = writeInteger(head, writeInteger(head, 0, version), expires);
    for (const { length } of [...texts, value]) at = head.writeUInt32LE(length, at);
    this.#hash.update(Buffer.concat([head, ...texts, value]));
    this.#entries++;
  }

  end(): StateDigest {
    return { entries: this.#entries, hash: this.#hash.digest('hex') };
  }
}

/** Of a snapshot, which it closes. Undefined: an entry is damaged. `over` ends it early (undefined). */
export async function digestLevel(
  level: Level,
  snapshot: ReturnType<Level['snapshot']>,
  partition: number,
  over: () => boolean,
): Promise<StateDigest | undefined> {
  const digest = new Digest();
  const rows = level.iterator({ ...rangeOf(family.entry), snapshot, fillCache: false, highWaterMarkBytes: chunkBytes });
  try {
    while (!over()) {
      const chunk = await rows.nextv(chunkRows);
      if (chunk.length === 0) return digest.end();
      for (const [key, row] of chunk) {
        if (!rowFits(key, row)) return undefined;
        if (partitionOf(row) === partition) digest.add(textAfter(key), entryOf(row));
      }
    }
    return undefined;
  } finally {
    await rows.close();
    await snapshot.close();
  }
}
