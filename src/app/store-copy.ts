/** A whole store from where it is kept to where it is wanted. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openDataDirectory } from '../../storage/data-directory.ts';
import type { KeptSnapshot } from '../../storage/store/kept-snapshot.ts';
import { isStore, openStoppedStore } from '../../storage/store/stopped-store.ts';
import { BitacoraError } from '../core/errors.ts';
import type { SeedPlace, SnapshotHead } from '../ports.ts';

/** Row by row, each of them checked; resolves with their number. Nothing is left of what fails. Errors: those of both ends. */
export async function copyStore(
  from: KeptSnapshot,
  to: SeedPlace,
  { vacate, progress }: { readonly vacate: () => Promise<void>; readonly progress: (part: number) => void },
): Promise<number> {
  const seed = await to.begin(from);
  const entries = entriesIn(from);
  try {
    for await (const run of from.runs()) {
      await seed.take(run);
      progress(Math.min(1, seed.rows / Math.max(1, entries)));
    }
    await seed.finish(vacate);
    return seed.rows;
  } catch (error) {
    await seed.abandon();
    throw error;
  }
}

export function entriesIn({ checkpoints }: SnapshotHead): number {
  return checkpoints.reduce((sum, { entries }) => sum + entries, 0);
}

/**
 * The store of a stopped node by its data directory, which is taken until `close`, or one that was set aside by its own directory.
 * Errors: `directory-locked` (its node is running), those of `openStoppedStore`.
 */
export async function openKeptStore(path: string): Promise<KeptSnapshot> {
  if (await isStore(path)) return openStoppedStore(path);
  const inside = join(path, 'store');
  if (!(await isDirectory(path)) || !(await isStore(inside))) {
    throw new BitacoraError('directory-unusable', `there is no store at ${path}, nor in it`);
  }
  const directory = await openDataDirectory(path);
  try {
    const kept = await openStoppedStore(inside);
    return { ...kept, close: () => kept.close().finally(() => directory.close()) };
  } catch (error) {
    await directory.close();
    throw error;
  }
}

function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
