/** How far an import has come, in a file, so that it can be gone on with. */
import { randomUUID } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from './shell.ts';

/** What an import is of and where to; another one cannot go on with its state. */
export interface ImportIdentity {
  readonly sha256: string;
  /** In the place of the exported prefix; null: that. */
  readonly prefix: string | null;
  /** Of the log that is written to; null: the cluster did not know its log yet. */
  readonly genesis: string | null;
}

export type ImportCounts = Readonly<Record<'written' | 'unchanged' | 'skipped' | 'expired', number>>;

export interface ImportState extends ImportIdentity {
  readonly bitacora: 'import';
  readonly format: 1;
  /** Of this import, whichever process does it: its writes are known by it. */
  readonly run: string;
  /** Everything before this byte of the file is acknowledged. */
  readonly offset: number;
  readonly done: boolean;
  readonly counts: ImportCounts;
}

/** As the file has it; a new one where there is none. Errors: `UsageError` for the state of something else. */
export async function loadState(path: string | undefined, identity: ImportIdentity): Promise<ImportState> {
  const counts = { written: 0, unchanged: 0, skipped: 0, expired: 0 };
  const fresh: ImportState = { bitacora: 'import', format: 1, ...identity, run: randomUUID(), offset: 0, done: false, counts };
  if (path === undefined) return fresh;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return fresh;
    throw error;
  }
  const state = parsed(text);
  if (state === undefined) throw new UsageError(`${path} is no state of an import`);
  if (state.sha256 !== identity.sha256) throw new UsageError(`${path} is of another file, or the file has changed`);
  if (state.prefix !== identity.prefix) throw new UsageError(`${path} is of an import to the prefix ${JSON.stringify(state.prefix)}`);
  if (state.genesis !== null && identity.genesis !== null && state.genesis !== identity.genesis) {
    throw new UsageError(`${path} is of an import into another cluster, or its log was replaced`);
  }
  return { ...state, genesis: state.genesis ?? identity.genesis };
}

/** Whole at any time, and on disk when it resolves: after a power cut the file is this one, and never an empty one. */
export async function saveState(path: string, state: object): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, 'w');
  try {
    await file.writeFile(`${JSON.stringify(state)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const parent = await open(dirname(path), 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

function parsed(text: string): ImportState | undefined {
  let state: Partial<ImportState> | null;
  try {
    state = JSON.parse(text);
  } catch {
    return undefined;
  }
  const known = state?.bitacora === 'import' && state.format === 1 && typeof state.run === 'string' && typeof state.counts === 'object';
  return known && Number.isSafeInteger(state?.offset) ? (state as ImportState) : undefined;
}
