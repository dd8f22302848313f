/**
 * A store that no node is running on, opened to be read: a stopped node's, or one that was set aside. Unlike a node it makes nothing where
 * there is nothing, and asks for no marker, which a store that was set aside has lost; LevelDB's own list of its files must be there.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BitacoraError } from '../../src/core/errors.ts';
import { type Level, levelError, openLevel } from '../level.ts';
import type { KeptSnapshot } from './kept-snapshot.ts';
import { readMarker } from './level-files.ts';
import { readState } from './level-state.ts';
import { openLevelSnapshot } from './snapshot-giver.ts';
import { checkDirectory } from './table-check.ts';

const BUFFER_BYTES = 4 * 1024 * 1024;

/** Whether there is a LevelDB at `directory`. */
export function isStore(directory: string): Promise<boolean> {
  return stat(join(directory, 'CURRENT')).then(
    () => true,
    () => false,
  );
}

/**
 * Opens it, with the checks of a node. What a killed node left in LevelDB's journal goes into tables: no row changes.
 * Errors: `directory-unusable` (there is no store, or nothing was ever applied), `directory-locked`, `store-damaged`, `store-failed`.
 */
export async function openStoppedStore(directory: string): Promise<KeptSnapshot> {
  if (!(await isStore(directory))) throw new BitacoraError('directory-unusable', `there is no store at ${directory}`);
  await readMarker(directory);
  const faultOf = await checkDirectory(directory);
  const level = await openLevel(directory, { create: false, cacheBytes: 0, writeBufferBytes: BUFFER_BYTES });
  try {
    return await snapshotOf(level, directory, await faultOf(level));
  } catch (error) {
    await level.close();
    throw levelError(error);
  }
}

async function snapshotOf(level: Level, directory: string, fault: string | undefined): Promise<KeptSnapshot> {
  if (fault !== undefined) throw new BitacoraError('store-damaged', `${directory}: ${fault}`);
  const { identity } = await readState(level, BUFFER_BYTES);
  if (identity === undefined) throw new BitacoraError('directory-unusable', `nothing was ever applied to the store at ${directory}`);
  const snapshot = await openLevelSnapshot(level);
  const { format, checkpoints } = snapshot;
  const bytes = await level.approximateSize(Uint8Array.of(0), Uint8Array.of(255), {});
  return {
    format,
    identity,
    checkpoints,
    bytes,
    async *runs() {
      for await (const run of snapshot.read(undefined)) yield run.bytes;
    },
    async close() {
      await snapshot.close();
      await level.close();
    },
  };
}
