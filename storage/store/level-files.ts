/**
 * The files around a LevelDB store: the marker that says that there is a database, and the setting aside of a damaged one.
 *
 * LevelDB makes a new database wherever it finds no CURRENT file, so a lost CURRENT would look like a fresh start with the remaining
 * files swept away. The marker `<directory>.json` stands beside the directory, is written once the database exists, and from then on the
 * database is only opened, never made.
 */
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
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
 * Renames a damaged store, which must be closed, to `<directory>.damaged-<n>`, writes the reason beside it and forgets all but the last two.
 * Resolves with the new place. Nothing there any more is no error. Errors: `directory-unusable`.
 */
export async function setAside(directory: string, reason: string): Promise<string> {
  const numbers = await damagedNumbers(directory);
  const target = damagedName(directory, (numbers.at(-1) ?? 0) + 1);
  try {
    // The marker goes first: without it, whatever is left at the old place is taken for nothing and made anew.
    await rm(markerOf(directory), { force: true });
    await rename(directory, target).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      await mkdir(target, { recursive: true });
    });
    for (const old of numbers.slice(0, Math.max(0, numbers.length + 1 - KEPT))) {
      await rm(damagedName(directory, old), { recursive: true, force: true });
      await rm(`${damagedName(directory, old)}.txt`, { force: true });
    }
    await writeReason(target, reason);
    return target;
  } catch (error) {
    throw new BitacoraError('directory-unusable', `${directory} cannot be set aside: ${(error as Error).message}`, { cause: error });
  }
}

/** A note for people. On a full disk there may be no room for it, and the setting aside must not fail for that. */
async function writeReason(target: string, reason: string): Promise<void> {
  await writeFile(`${target}.txt`, `${new Date().toISOString()} ${reason}\n`).catch(() => undefined);
}

const damagedName = (directory: string, n: number): string => `${directory}.damaged-${n}`;

/** The numbers of the stores set aside earlier, ascending. */
async function damagedNumbers(directory: string): Promise<number[]> {
  const prefix = `${basename(directory)}.damaged-`;
  const names = await readdir(dirname(join(directory))).catch(() => []);
  const numbers = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return numbers
    .filter((text) => /^\d+$/.test(text))
    .map(Number)
    .sort((a, b) => a - b);
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

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
