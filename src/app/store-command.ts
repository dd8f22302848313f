/** What the commands on whole stores have in common: how a failure is told, and with which code it ends. */
import { ClientError } from '../../client/errors.ts';
import { SeedFailure } from '../../cluster/seed-failure.ts';
import { BitacoraError, type ErrorCode } from '../core/errors.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { type Shell, type Speaking, speakingTo, UsageError } from './shell.ts';

export interface StoreCommand<T> {
  readonly name: string;
  readonly help: string;
  /** What is asked; undefined: for help. Errors: in words, for what is asked wrongly. */
  readonly asked: (argv: readonly string[]) => T | undefined;
  /** Resolves with the exit code. */
  readonly run: (asked: T, speaking: Speaking) => Promise<number>;
}

/** In the way is something that the user has to decide about. */
export class InTheWay extends Error {}

/** Resolves with the exit code. Never rejects for what a node, a disk or a user did. */
export async function runStoreCommand<T>(command: StoreCommand<T>, argv: readonly string[], { out, err }: Shell): Promise<number> {
  const { name, help } = command;
  const speaking = speakingTo(err);
  try {
    const asked = command.asked(argv);
    if (asked !== undefined) return await command.run(asked, speaking);
    out.write(help);
    return exitCodes.done;
  } catch (error) {
    const code = exitCodeFor(error);
    if (code === undefined) throw error;
    const { message } = error as Error;
    const prefix = error instanceof ClientError || error instanceof BitacoraError ? `${error.code}: ` : '';
    speaking.say(`bitacora ${name}: ${prefix}${message}${code === exitCodes.usage ? `; \`bitacora ${name} --help\` says how` : ''}`);
    return code;
  }
}

/** Undefined: a mistake of ours. */
function exitCodeFor(error: unknown): number | undefined {
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof InTheWay) return exitCodes.conflict;
  if (error instanceof ClientError) return exitCodeOf(error);
  if (error instanceof SeedFailure) return byTrouble[error.trouble];
  if (error instanceof BitacoraError) return byCode[error.code] ?? (error.code === 'internal' ? undefined : exitCodes.other);
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code?.startsWith('ERR_PARSE_ARGS')) return exitCodes.usage;
  return syscall === undefined ? undefined : exitCodes.other;
}

const byCode: Readonly<Partial<Record<ErrorCode, number>>> = { 'position-not-reached': exitCodes.timeout };

const byTrouble: Readonly<Record<SeedFailure['trouble'], number>> = {
  broken: exitCodes.unreachable,
  slow: exitCodes.timeout,
  refused: exitCodes.other,
  lied: exitCodes.other,
};
