/**
 * The files around a LevelDB store: the marker that says that there is a database, and the setting aside of one that is not used any more.
 *
 * LevelDB makes a new database wherever it finds no CURRENT file, so a lost CURRENT would look like a fresh start with the remaining
 * files swept away. The marker `<directory>.json` stands beside the directory, is written once the database exists, and from then on the
 * database is only opened, never made.
 */
import { copyFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BitacoraError } from '../../src/core/errors.ts';

/** Of the layout of keys and rows. A store of a newer format is not touched; one of an older is refused too, and rebuilt. */
export const STORE_FORMAT = 1;
/** How many damaged stores are kept for whoever wants to look into them. */
const KEPT = 2;

const markerOf = (directory: string): string => `${directory}.json`;

/** Whether a database was made at `directory`. Errors: `store-damaged` when its format is not ours or the marker cannot be read. */
export async function readMarker(directory: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(markerOf(directory), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new BitacoraError('store-damaged', `${markerOf(directory)} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const format = formatIn(text);
  if (format === STORE_FORMAT) return true;
  const found = format === undefined ? 'an unknown format' : `format ${format}${format > STORE_FORMAT ? ', made by a newer version' : ''}`;
  throw new BitacoraError('store-damaged', `${directory} has ${found}; this version reads format ${STORE_FORMAT}`);
}

/**
 * Clears the way for a new database where no marker stands: nothing there was ever vouched for, as the making of a store was cut short, or
 * the setting aside of one. Errors: `directory-unusable` when it holds what LevelDB does not make, which may be dear to someone.
 */
export async function clearUnmarked(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new BitacoraError('directory-unusable', `${directory}: ${error.message}`, { cause: error });
  });
  const foreign = names.find((name) => !/^(LOCK|LOG|LOG\.old|CURRENT|MANIFEST-\d+|\d+\.(ldb|sst|log|dbtmp))$/.test(name));
  if (foreign !== undefined) {
    throw new BitacoraError('directory-unusable', `${directory} is to hold the database, but there is already "${foreign}" in it`);
  }
  await rm(directory, { recursive: true, force: true });
}

/** Written whole or not at all: an empty marker after a power cut would condemn a good store. */
export async function writeMarker(directory: string): Promise<void> {
  const temporary = `${markerOf(directory)}.new`;
  await writeFile(temporary, `${JSON.stringify({ format: STORE_FORMAT })}\n`, { flush: true });
  await rename(temporary, markerOf(directory));
  await syncDirectory(dirname(directory));
}

/** What is vouched for at `from` is so at `to`, where it has been moved; this takes no room on the disk. */
export async function moveMarker(from: string, to: string): Promise<void> {
  await rename(markerOf(from), markerOf(to));
  await syncDirectory(dirname(to));
}

/** From then on nothing at `directory` is vouched for. Errors: `directory-unusable`. */
export async function removeMarker(directory: string): Promise<void> {
  await rm(markerOf(directory), { force: true }).catch((error: unknown) => {
    throw new BitacoraError('directory-unusable', `${markerOf(directory)}: ${(error as Error).message}`, { cause: error });
  });
}

/**
 * Why a store is out of use, as the name of its new place says it. `damaged`: whatever the reason, the log has it all. The others may be the
 * last copy of what is in them: `other-log`: the log that it was made from is gone; `replaced`: by one that was restored. `stale`: whole, read
 * while another is made, and forgotten then (`forgetStale`) or kept (`keepStale`).
 */
export type Aside = 'damaged' | 'other-log' | 'replaced' | 'stale';

/**
 * Renames a store, which must be closed, to `<directory>.<why>-<n>` and writes the reason beside it. Of the damaged ones all but the last two
 * are forgotten; the others stay as they are, marker and all, until a person removes them. Resolves with the new place. That nothing is
 * left of a damaged one is no error. Errors: `directory-unusable`.
 */
export async function setAside(directory: string, reason: string, why: Aside = 'damaged'): Promise<string> {
  try {
    const numbers = await numbersOf(directory, why);
    const target = asideName(directory, why, (numbers.at(-1) ?? 0) + 1);
    if (why === 'damaged') {
      await moveDamaged(directory, target);
      for (const old of numbers.slice(0, Math.max(0, numbers.length + 1 - KEPT))) await forget(asideName(directory, why, old));
    } else {
      await moveWhole(directory, target);
    }
    await writeReason(target, reason);
    return target;
  } catch (error) {
    throw new BitacoraError('directory-unusable', `${directory} cannot be set aside: ${(error as Error).message}`, { cause: error });
  }
}

/** The marker goes first: without it, whatever is left at the old place is taken for nothing and made anew. */
async function moveDamaged(directory: string, target: string): Promise<void> {
  await rm(markerOf(directory), { force: true });
  await rename(directory, target).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    await mkdir(target, { recursive: true });
  });
}

/** The marker is at the new place before the data go there, and at the old one until they are gone: at no moment are they taken for nothing. */
async function moveWhole(directory: string, target: string): Promise<void> {
  await copyFile(markerOf(directory), markerOf(target)).catch((error: NodeJS.ErrnoException) => {
    // What nobody vouched for is not vouched for there either.
    if (error.code !== 'ENOENT') throw error;
  });
  await syncDirectory(dirname(target));
  await rename(directory, target);
  await syncDirectory(dirname(target));
  await rm(markerOf(directory), { force: true });
}

/** Removes a store that was set aside as `stale`; it must be closed. */
export async function forgetStale(place: string): Promise<void> {
  await rm(markerOf(place), { force: true });
  await forget(place);
}

/** Makes those that were set aside as `stale`, which must be closed, ones that are kept until a person removes them; resolves with their places. */
export async function keepStale(directory: string, reason: string): Promise<readonly string[]> {
  const places: string[] = [];
  for (const number of await numbersOf(directory, 'stale')) {
    const place = asideName(directory, 'stale', number);
    const target = asideName(directory, 'other-log', ((await numbersOf(directory, 'other-log')).at(-1) ?? 0) + 1);
    await moveWhole(place, target);
    await rm(`${place}.txt`, { force: true });
    await writeReason(target, reason);
    places.push(target);
  }
  return places;
}

async function forget(place: string): Promise<void> {
  await rm(place, { recursive: true, force: true });
  await rm(`${place}.txt`, { force: true });
}

/** A note for people. On a full disk there may be no room for it, and the setting aside must not fail for that. */
async function writeReason(target: string, reason: string): Promise<void> {
  await writeFile(`${target}.txt`, `${new Date().toISOString()} ${reason}\n`).catch(() => undefined);
}

const asideName = (directory: string, why: Aside, n: number): string => `${directory}.${why}-${n}`;

/** The numbers that are taken, ascending; also those of which only a marker or a note is there. */
async function numbersOf(directory: string, why: Aside): Promise<number[]> {
  const prefix = `${basename(directory)}.${why}-`;
  const names = await readdir(dirname(join(directory)));
  const numbers = names
    .filter((name) => name.startsWith(prefix))
    .map((name) => /^(\d+)(?:\.json|\.txt)?$/.exec(name.slice(prefix.length))?.[1]);
  return [...new Set(numbers.filter((text) => text !== undefined).map(Number))].sort((a, b) => a - b);
}

function formatIn(text: string): number | undefined {
  try {
    const format: unknown = (JSON.parse(text) as { format?: unknown } | null)?.format;
    return typeof format === 'number' ? format : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** So that a rename in it is there after a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
