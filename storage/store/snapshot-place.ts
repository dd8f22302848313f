/**
 * Where a seed is made, `<directory>.seed` beside the store, and how it takes the store's place: only when it is complete and has been opened
 * once, with all the checks of any store. A process that dies leaves at most the directory of the seed, which the next one removes, or, between
 * the two renames, no store, which is made anew: never half a store.
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BitacoraError, codeOf } from '../../src/core/errors.ts';
import type { SeedPlace, SnapshotHead, StoreSeed } from '../../src/ports.ts';
import { type Level, openLevel } from '../level.ts';
import { clearUnmarked, moveMarker, removeMarker, writeMarker } from './level-files.ts';
import { openLevelStore } from './level-store.ts';
import { LevelSeed } from './snapshot-seed.ts';

const BUFFER_BYTES = 16 * 1024 * 1024;

/** For the store at `directory`; `open` is given by tests that need a database that fails. Removes what a process that died has left of a seed. Errors: `directory-unusable`. */
export async function openSeedPlace(directory: string, open: typeof openLevel = openLevel): Promise<SeedPlace> {
  const beside = `${directory}.seed`;
  let busy = false;
  await clear(beside);
  return {
    async begin(head) {
      if (busy) throw new BitacoraError('internal', 'a seed is under way');
      busy = true;
      try {
        await clear(beside);
        return await beginSeed(directory, beside, head, open, () => {
          busy = false;
        });
      } catch (error) {
        busy = false;
        throw error;
      }
    },
  };
}

async function beginSeed(
  directory: string,
  beside: string,
  head: SnapshotHead,
  open: typeof openLevel,
  ended: () => void,
): Promise<StoreSeed> {
  await mkdir(dirname(directory), { recursive: true }).catch(unusable(directory));
  const level: Level = await open(beside, { create: true, cacheBytes: 0, writeBufferBytes: BUFFER_BYTES }).catch((error: unknown) => {
    // There was nothing that could be damaged.
    throw codeOf(error) === 'store-damaged' ? new BitacoraError('store-failed', (error as Error).message, { cause: error }) : error;
  });
  try {
    const place = (vacate: () => Promise<void>, signal: AbortSignal | undefined) => takePlace(directory, beside, vacate, signal);
    return new LevelSeed({ head, level, bufferBytes: BUFFER_BYTES, place, ended });
  } catch (error) {
    await level.close();
    await clear(beside);
    throw error;
  }
}

async function takePlace(directory: string, beside: string, vacate: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  await writeMarker(beside).catch((error: unknown) => {
    throw new BitacoraError('store-failed', `${beside}: ${(error as Error).message}`, { cause: error });
  });
  // Opening reads every table for its checksums, and finds a batch that is missing. What `verify` would see beyond it was seen when the rows
  // came: their checksums and numbers. Reading all of them again would cost as much as their coming did, and is due in a minute anyway.
  await (await openLevelStore({ directory: beside })).close();
  signal?.throwIfAborted();
  await vacate();
  // The marker goes first and comes last: without one, whatever lies there is taken for nothing.
  await removeMarker(directory);
  await clearUnmarked(directory);
  await rename(beside, directory).catch(unusable(directory));
  await moveMarker(beside, directory).catch(unusable(directory));
}

async function clear(beside: string): Promise<void> {
  await rm(beside, { recursive: true, force: true }).catch(unusable(beside));
  await removeMarker(beside);
}

function unusable(directory: string): (error: unknown) => never {
  return (error) => {
    throw new BitacoraError('directory-unusable', `${directory}: ${(error as Error).message}`, { cause: error });
  };
}
