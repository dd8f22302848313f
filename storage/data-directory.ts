/**
 * The directory of one node, and the lock that keeps it to one.
 *
 * The lock is a LevelDB of its own at `lock/`, held open: LevelDB locks with `fcntl`, which the kernel releases with the process however
 * it ends, and which holds between containers that share a volume. But a second open in the same process releases the first one's lock, so
 * within the process a registry refuses before LevelDB is asked. `owner.json` only says who it is; nothing is decided by it.
 */
import { mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { BitacoraError, codeOf } from '../src/core/errors.ts';
import { type Level, openLevel } from './level.ts';

export interface DataDirectory {
  /** With symbolic links resolved. */
  readonly path: string;
  /** Releases the lock. Idempotent. */
  close(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
}

/** One for the whole process, even if this file was loaded twice (as source and as build, say). */
const registryName = Symbol.for('bitacora.data-directories');
const shared = globalThis as { [registryName]?: Map<string, Owner> };
shared[registryName] ??= new Map();
const registry = shared[registryName];

/**
 * Makes the directory if need be, and takes it for this process until `close`.
 * Errors: `directory-locked` (saying by whom), `directory-unusable` (with path and reason).
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const real = await prepare(path);
  const holder = registry.get(real);
  if (holder !== undefined) throw locked(path, holder);
  const owner: Owner = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  // No await between looking and entering.
  registry.set(real, owner);
  try {
    const lock = await takeLock(path, join(real, 'lock'));
    await probe(path, real, owner).catch(async (error: unknown) => {
      await lock.close();
      throw error;
    });
    return { path: real, close: closing(real, lock) };
  } catch (error) {
    registry.delete(real);
    throw error;
  }
}

async function prepare(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true });
    return await realpath(path);
  } catch (error) {
    throw unusable(path, error);
  }
}

function closing(real: string, lock: Level): () => Promise<void> {
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= rm(join(real, 'owner.json'), { force: true })
      // What is left of it would only be an old name in a message.
      .catch(() => undefined)
      .then(() => lock.close())
      .finally(() => registry.delete(real));
    return closed;
  };
}

async function takeLock(path: string, directory: string): Promise<Level> {
  try {
    return await openLock(directory);
  } catch (error) {
    if (codeOf(error) === 'directory-locked') throw locked(path, await ownerOf(path), error);
    throw unusable(path, error);
  }
}

/**
 * A power cut can leave the lock's own files damaged. LevelDB reads them only after it has the lock, so then nobody else has it, and they
 * hold nothing: all but the LOCK file itself, which others may have open, can be made anew.
 */
async function openLock(directory: string): Promise<Level> {
  const options = { create: true, cacheBytes: 0, writeBufferBytes: 64 * 1024 };
  try {
    return await openLevel(directory, options);
  } catch (error) {
    if (codeOf(error) !== 'store-damaged') throw error;
    for (const name of await readdir(directory)) {
      if (name !== 'LOCK') await rm(join(directory, name), { recursive: true, force: true });
    }
    return openLevel(directory, options);
  }
}

/** Writing the owner's name shows at once that the directory can be written. */
async function probe(path: string, real: string, owner: Owner): Promise<void> {
  try {
    await writeFile(join(real, 'owner.json'), `${JSON.stringify(owner)}\n`, { flush: true });
  } catch (error) {
    throw unusable(path, error);
  }
}

async function ownerOf(path: string): Promise<Partial<Owner>> {
  try {
    return JSON.parse(await readFile(join(path, 'owner.json'), 'utf8')) as Partial<Owner>;
  } catch {
    // Not written yet, or half: the lock holds all the same.
    return {};
  }
}

function locked(path: string, owner: Partial<Owner>, cause?: unknown): BitacoraError {
  const { pid = 'unknown', host = 'unknown', since = 'an unknown time' } = owner;
  return new BitacoraError(
    'directory-locked',
    `${path} is used by process ${pid} on host ${host} since ${since}: stop it, or choose another DATA_DIR`,
    { cause },
  );
}

function unusable(path: string, error: unknown): BitacoraError {
  const reason = error instanceof Error ? error.message : String(error);
  return new BitacoraError(
    'directory-unusable',
    `${path} cannot be used: ${reason}. Let this user write there, or choose another DATA_DIR`,
    {
      cause: error,
    },
  );
}
