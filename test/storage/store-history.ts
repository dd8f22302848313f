/** A store with a known history: what it must hold after each batch. */
import { join } from 'node:path';
import type { Offset, Store } from '../../src/ports.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { batchOf, checkpointWith, entryWith, identityWith } from '../contract/store-values.ts';

export const HISTORY_KEYS = 1000;
const PER_BATCH = 50;
/** So many batches bring new keys; the later ones change them again, which no count would notice. */
const NEW_BATCHES = HISTORY_KEYS / PER_BATCH;

/** Bytes that do not compress, the same in every run. */
function bytesOf(version: number): Buffer {
  const value = Buffer.alloc(100);
  let seed = version + 1;
  for (let i = 0; i < value.length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    value[i] = seed >>> 24;
  }
  return value;
}

const keyOf = (n: number): string => `key-${String(n % HISTORY_KEYS).padStart(6, '0')}`;

/** Writes batch number `batch` (from 0); afterwards the checkpoint says `batch + 1`. */
export async function writeBatch(store: Store, batch: number): Promise<void> {
  const first = batch * PER_BATCH;
  const versions = Array.from({ length: PER_BATCH }, (_, i) => first + i);
  await store.write(
    batchOf(
      versions.map((version) => [
        keyOf(version),
        entryWith({ version: version as Offset, newest: version as Offset, value: bytesOf(version) }),
      ]),
      { checkpoint: checkpointWith({ next: batch + 1, entries: entriesAfter(batch + 1) }) },
    ),
  );
}

/** How many entries there are after so many batches. */
export function entriesAfter(batches: number): number {
  return Math.min(batches, NEW_BATCHES) * PER_BATCH;
}

/** The version of key number `n` after so many batches; undefined: not there yet. */
function versionAfter(batches: number, n: number): number | undefined {
  const written = batches * PER_BATCH;
  const last = written - 1 - ((written - 1 - n) % HISTORY_KEYS);
  return written > n ? last : undefined;
}

/**
 * Compares each key with what the store's own checkpoint promises. `wrong`: answers with another value than promised; `missing`: absent
 * though promised; `refused`: questions that ended in an error, which is what damage should lead to.
 */
export async function compareWithHistory(store: Store): Promise<{ batches: number; wrong: number; missing: number; refused: number }> {
  const batches = store.checkpoints[0]?.next ?? 0;
  const result = { batches, wrong: 0, missing: 0, refused: 0 };
  for (let n = 0; n < HISTORY_KEYS; n++) {
    const version = versionAfter(batches, n);
    try {
      const entry = await store.get(keyOf(n));
      if (entry === undefined) result.missing += version === undefined ? 0 : 1;
      else if (version === undefined || entry.version !== version || bytesOf(version).compare(entry.value) !== 0) result.wrong++;
    } catch {
      result.refused++;
    }
  }
  return result;
}

/** A store of `tables` batches that have gone to LevelDB's tables and `late` more that are still in its write-ahead file. */
export async function makeHistory(home: string, tables: number, late: number): Promise<void> {
  const directory = join(home, 'store');
  const store = await openLevelStore({ directory });
  await store.identify(identityWith({ partitions: 1 }));
  for (let batch = 0; batch < tables; batch++) await writeBatch(store, batch);
  await store.close();
  // Opening moves the write-ahead file into a table.
  const again = await openLevelStore({ directory });
  for (let batch = tables; batch < tables + late; batch++) await writeBatch(again, batch);
  await again.close();
}
