/** The reading of a range of entries from LevelDB, in byte order of their keys. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Entry, Scan, ScanRange } from '../../src/ports.ts';
import type { Level } from '../level.ts';
import { family, textAfter } from './keys.ts';
import { entryOf, rowFits } from './row.ts';

/** Rows and bytes taken at a time; between two the event loop runs. */
const CHUNK_ROWS = 1000;
const CHUNK_BYTES = 256 * 1024;

const nothing = new Uint8Array(0);

/**
 * As `Store.scan`, of what is written when it is called. The values are views of rows that LevelDB has copied for us alone; its block
 * cache is left to those who read single keys. Errors: `store-damaged` (a checksum does not fit), and whatever LevelDB throws.
 */
export async function scanLevel(level: Level, { from, to, limit, maxBytes, keysOnly = false }: ScanRange): Promise<Scan> {
  const range = { gte: inFamily(from), lt: to === undefined ? Uint8Array.of(family.entry + 1) : inFamily(to) };
  const rows = level.iterator({ ...range, fillCache: false, highWaterMarkBytes: CHUNK_BYTES });
  const entries: { key: string; entry: Entry }[] = [];
  let bytes = 0;
  try {
    for (;;) {
      // One beyond the limit tells whether there are more.
      const chunk = await rows.nextv(Math.min(CHUNK_ROWS, limit - entries.length + 1));
      if (chunk.length === 0) return { entries, more: false };
      for (const [key, row] of chunk) {
        if (entries.length >= limit || bytes >= maxBytes) return { entries, more: true };
        if (!rowFits(key, row)) throw new BitacoraError('store-damaged', 'the checksum of an entry does not fit');
        const entry = entryOf(row);
        bytes += keysOnly ? 0 : entry.value.length;
        entries.push({ key: textAfter(key), entry: keysOnly ? { ...entry, value: nothing } : entry });
      }
    }
  } finally {
    await rows.close();
  }
}

function inFamily(key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + key.length);
  bytes[0] = family.entry;
  bytes.set(key, 1);
  return bytes;
}
