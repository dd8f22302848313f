/** How far a republishing has come, in a file, so that it can be gone on with. */
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SnapshotHead } from '../ports.ts';
import { saveState } from './import-state.ts';
import { UsageError } from './shell.ts';

export type RepublishCounts = Readonly<Record<'written' | 'unchanged' | 'kept' | 'expired', number>>;

export interface RepublishState {
  readonly bitacora: 'republish';
  readonly format: 1;
  /** What is republished: a log at one position, whichever copy of it. */
  readonly source: string;
  /** Of the log that is written to. */
  readonly genesis: string;
  /** Of this republishing, whichever process does it: its writes are known by it. */
  readonly run: string;
  /** Everything up to this key is acknowledged; null: nothing. */
  readonly after: string | null;
  readonly done: boolean;
  readonly counts: RepublishCounts;
}

/** What is of the same log and as far along holds the same. */
export function sourceOf({ identity, checkpoints }: SnapshotHead): string {
  const { clusterId, topic, partitions, genesis } = identity;
  const said = [clusterId, topic, partitions, genesis?.id ?? null, checkpoints.map(({ next, entries }) => [next, entries])];
  return createHash('sha256').update(JSON.stringify(said)).digest('hex');
}

/** As the file has it, and whether it was there; a new one otherwise. Errors: `UsageError` for the state of something else. */
export async function loadRepublish(
  path: string | undefined,
  { source, genesis }: Pick<RepublishState, 'source' | 'genesis'>,
): Promise<{ readonly state: RepublishState; readonly begun: boolean }> {
  const counts = { written: 0, unchanged: 0, kept: 0, expired: 0 };
  const run = randomUUID();
  const fresh: RepublishState = { bitacora: 'republish', format: 1, source, genesis, run, after: null, done: false, counts };
  const text = path === undefined ? undefined : await textIn(path);
  if (text === undefined) return { state: fresh, begun: false };
  const state = parsed(text);
  if (state === undefined) throw new UsageError(`${path} is no state of a republishing`);
  if (state.source !== source) throw new UsageError(`${path} is of another store, or of this one at another position`);
  if (state.genesis !== genesis) throw new UsageError(`${path} is of a republishing into another log`);
  return { state, begun: true };
}

/** Whole at any time. */
export const saveRepublish = (path: string, state: RepublishState): Promise<void> => saveState(path, state);

async function textIn(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parsed(text: string): RepublishState | undefined {
  let state: Partial<RepublishState> | null;
  try {
    state = JSON.parse(text);
  } catch {
    return undefined;
  }
  const known = state?.bitacora === 'republish' && state.format === 1 && typeof state.run === 'string' && typeof state.counts === 'object';
  return known && (state?.after === null || typeof state?.after === 'string') ? (state as RepublishState) : undefined;
}
