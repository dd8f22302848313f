/**
 * How far a move has come, in a file: the only thing that lets a move write to a log in which there are keys already.
 *
 * The file belongs to one run at a time, the one that wrote it last. A run that was stopped and wakes up finds that another has gone on, and
 * ends: callers may write to the new log by then.
 */
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
  /** Where callers should go, as the seal says it: the node of the new log that the first run was given. */
  readonly url: string;
  /** The run that writes. */
  readonly run: string;
  readonly phase: MovePhase;
}

/** Something stands in the way, and going on might destroy what somebody else has written; in words, with the way out. */
export class MoveConflict extends Error {}

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

/** One run's hold on its move. */
export class MoveHold {
  /** Undefined: how far it came is not kept, and nobody can take it over. */
  readonly #path: string | undefined;
  readonly #own: Omit<MoveState, 'phase'>;
  /** The run that the file is expected to be of; undefined: there is none yet. */
  #holder: string | undefined;

  /** `found`: the file when this run began. */
  constructor(path: string | undefined, own: Omit<MoveState, 'phase'>, found: MoveState | undefined) {
    this.#path = path;
    this.#own = own;
    this.#holder = found?.run;
  }

  /** Errors: `MoveConflict` when another run goes on with the move, or has ended it. */
  async check(): Promise<void> {
    if (this.#path === undefined) return;
    const found = await loadMove(this.#path, this.#own);
    if (found?.run === this.#holder) return;
    const what =
      found === undefined ? 'it is gone' : found.phase === 'done' ? 'another run has ended this move' : 'another run goes on with it';
    throw new MoveConflict(`${this.#path} is not of this run any more, ${what}: this run writes nothing from here on`);
  }

  /** From the first call on the move is this run's. Errors: as `check`. */
  async save(phase: MovePhase): Promise<void> {
    await this.check();
    if (this.#path !== undefined) await saveState(this.#path, { ...this.#own, phase } satisfies MoveState);
    this.#holder = this.#own.run;
  }
}

function parsed(text: string): MoveState | undefined {
  let state: Partial<MoveState> | null;
  try {
    state = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (state?.bitacora !== 'move-log' || state.format !== 1 || !['copying', 'sealed', 'done'].includes(state.phase ?? '')) return undefined;
  return [state.from, state.to, state.url, state.run].every((field) => typeof field === 'string') ? (state as MoveState) : undefined;
}
