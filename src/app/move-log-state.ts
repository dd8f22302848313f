/** How far a move has come, in a file: the only thing that lets a move write to a log in which there are keys already. */
import { readFile } from 'node:fs/promises';
import { saveState } from './import-state.ts';
import { UsageError } from './shell.ts';

/** `copying`: the old log takes writes. `sealed`: it does not. `done`: the new log is the one; nothing is to be moved any more. */
export type MovePhase = 'copying' | 'sealed' | 'done';

export interface MoveState {
  readonly bitacora: 'move-log';
  readonly format: 1;
  /** The genesis of the old log, and of the new one. */
  readonly from: string;
  readonly to: string;
  readonly phase: MovePhase;
}

/** Undefined: there is no such file. Errors: `UsageError` for what is no state of this move. */
export async function loadMove(path: string, { from, to }: Pick<MoveState, 'from' | 'to'>): Promise<MoveState | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const state = parsed(text);
  if (state === undefined) throw new UsageError(`${path} is no state of a move`);
  if (state.from !== from) throw new UsageError(`${path} is of a move from another log: ${state.from}, and --from is of ${from}`);
  if (state.to !== to) throw new UsageError(`${path} is of a move to another log: ${state.to}, and --to is of ${to}`);
  return state;
}

/** Whole at any time. */
export async function saveMove(path: string, state: MoveState): Promise<void> {
  await saveState(path, state);
}

function parsed(text: string): MoveState | undefined {
  let state: Partial<MoveState> | null;
  try {
    state = JSON.parse(text);
  } catch {
    return undefined;
  }
  const known = state?.bitacora === 'move-log' && state.format === 1 && ['copying', 'sealed', 'done'].includes(state.phase ?? '');
  return known && typeof state?.from === 'string' && typeof state.to === 'string' ? (state as MoveState) : undefined;
}
