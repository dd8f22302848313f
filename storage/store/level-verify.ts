/** The reading of a whole LevelDB store, to find what a single `get` cannot: rows that are lost, or hidden behind older ones. */
import type { Level } from '../level.ts';
import { family, rangeOf } from './keys.ts';
import { readCheckpoints } from './level-state.ts';
import { isSettled, partitionOf, rowFits } from './row.ts';
import { checkTables } from './table-check.ts';

/** Rows and bytes taken at a time; between two the event loop runs. */
const CHUNK_ROWS = 1000;
const CHUNK_BYTES = 256 * 1024;

/**
 * Looks at LevelDB's tables and then at all entries of one snapshot. Resolves with the reason of the first disagreement, or undefined;
 * undefined too when `signal` ends it early. Errors: `store-damaged` from a checkpoint row, and whatever LevelDB throws.
 */
export async function verifyLevel(level: Level, partitions: number, signal?: AbortSignal): Promise<string | undefined> {
  return (await checkTables(level, signal)) ?? (await checkEntries(level, partitions, signal));
}

async function checkEntries(level: Level, partitions: number, signal?: AbortSignal): Promise<string | undefined> {
  const snapshot = level.snapshot();
  const rows = level.iterator({ ...rangeOf(family.entry), snapshot, fillCache: false, highWaterMarkBytes: CHUNK_BYTES });
  try {
    const checkpoints = await readCheckpoints(level, partitions, snapshot);
    const counts = new Array<number>(partitions).fill(0);
    let unsettled = 0;
    let seen = 0;
    for (;;) {
      if (signal?.aborted) return undefined;
      const chunk = await rows.nextv(CHUNK_ROWS);
      if (chunk.length === 0) break;
      for (const [key, row] of chunk) {
        if (!rowFits(key, row)) return `the checksum of entry ${seen} does not fit`;
        const partition = partitionOf(row);
        if (partition >= partitions) return `entry ${seen} belongs to partition ${partition} of ${partitions}`;
        counts[partition]!++;
        if (!isSettled(row)) unsettled++;
        seen++;
      }
    }
    for (const [partition, { entries }] of checkpoints.entries()) {
      if (entries !== counts[partition]) return `partition ${partition} has ${counts[partition]} entries, its checkpoint says ${entries}`;
    }
    const marked = await level.keys({ ...rangeOf(family.unsettled), snapshot }).all();
    return marked.length === unsettled ? undefined : `${unsettled} entries are unsettled, ${marked.length} are listed as such`;
  } finally {
    await rows.close();
    await snapshot.close();
  }
}
