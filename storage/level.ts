/**
 * The one file that names `classic-level`: opening a LevelDB directory, with errors in our words.
 *
 * LevelDB opens "successfully" after its CURRENT file was lost, by making a new database in the same place, so `create` is only true for a
 * directory that is known to be new. `repair()` loses keys and is not offered. Never open a directory twice in one process: the failed
 * second open releases the first one's lock (see `data-directory.ts`, which refuses it earlier).
 */
import { ClassicLevel } from 'classic-level';
import { BitacoraError } from '../src/core/errors.ts';

export type Level = ClassicLevel<Uint8Array, Uint8Array>;

export interface LevelOptions {
  /** Make the database when it is not there. */
  readonly create: boolean;
  /** LevelDB's own block cache, bytes. */
  readonly cacheBytes?: number;
  readonly writeBufferBytes?: number;
}

/**
 * A failure of an open LevelDB in our words: `store-damaged`, `closed`, or `store-failed` for whatever the disk did. A table that has gone or
 * is too short fails with the system's "No such file" or, when it is mapped into memory, "Invalid argument".
 */
export function levelError(error: unknown): BitacoraError {
  if (error instanceof BitacoraError) return error;
  const code = (error as { code?: string }).code ?? '';
  const text = error instanceof Error ? error.message : String(error);
  if (code === 'LEVEL_CORRUPTION' || /corruption|no such file|invalid argument/i.test(text)) {
    return new BitacoraError('store-damaged', text, { cause: error });
  }
  if (/^LEVEL_\w+_NOT_OPEN$/.test(code)) return new BitacoraError('closed', 'the store is closed', { cause: error });
  return new BitacoraError('store-failed', text, { cause: error });
}

/**
 * Opens the LevelDB at `directory`. Keys and values are bytes.
 * Errors: `store-damaged` (LevelDB finds it corrupt, or it is gone though it should be there), `directory-locked`, `directory-unusable`.
 */
export async function openLevel(directory: string, options: LevelOptions): Promise<Level> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    createIfMissing: options.create,
    errorIfExists: false,
    cacheSize: options.cacheBytes ?? 8 * 1024 * 1024,
    writeBufferSize: options.writeBufferBytes ?? 4 * 1024 * 1024,
  });
  try {
    await level.open();
    return level;
  } catch (error) {
    throw openError(directory, error);
  }
}

function openError(directory: string, error: unknown): BitacoraError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: string }).code ?? '';
  const text = cause instanceof Error ? cause.message : String(cause);
  // A full disk is no reason to end: it is opened again when there is room.
  if (/no space/i.test(text)) return new BitacoraError('store-failed', `${directory}: ${text}`, { cause });
  const denied = /permission denied|read-only|not a directory/i.test(text);
  // The name of a directory says nothing: one is called `lock`.
  if (!denied && (code === 'LEVEL_LOCKED' || /lock/i.test(text.replaceAll(directory, '')))) {
    return new BitacoraError('directory-locked', `${directory} is used by another process`, { cause });
  }
  if (denied) {
    return new BitacoraError('directory-unusable', `${directory}: ${text}`, { cause });
  }
  return new BitacoraError('store-damaged', `${directory}: ${text}`, { cause });
}
