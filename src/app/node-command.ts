/** What the commands that ask one node have in common: its address, how long it may take, and how a failure ends. */
import { parseArgs } from 'node:util';
import { exitCodes } from './exit-codes.ts';
import { endpointsOf, type Shell, timeoutOf, UsageError } from './shell.ts';

export interface NodeCommand {
  readonly name: string;
  readonly help: string;
  /** Options that are there or not. */
  readonly flags: readonly string[];
  /** Words that have to follow the name; absent: none may. */
  readonly words?: { readonly expected: string; readonly otherwise: string };
  /** `--timeout` when it is not given. */
  readonly usualTimeout: string;
}

export interface AskedOfNode {
  readonly endpoint: string;
  readonly timeoutMs: number;
  readonly has: (flag: string) => boolean;
}

/** Runs a command, or shows its help; resolves with the exit code. What `run` rejects with means that the node was not reached. */
export async function askNode(
  { name, help, flags, words, usualTimeout }: NodeCommand,
  argv: readonly string[],
  { env, out, err }: Shell,
  run: (asked: AskedOfNode) => Promise<number>,
): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: words !== undefined,
      options: {
        ...Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' as const }])),
        help: { type: 'boolean', short: 'h' },
        endpoint: { type: 'string', short: 'e' },
        timeout: { type: 'string' },
      },
    });
    if (values.help) {
      out.write(help);
      return exitCodes.done;
    }
    if (words !== undefined && positionals.join(' ') !== words.expected) throw new UsageError(words.otherwise);
    const timeoutMs = timeoutOf(values.timeout ?? usualTimeout);
    const [endpoint] = endpointsOf(values.endpoint === undefined ? undefined : [values.endpoint], env);
    const given = values as Readonly<Record<string, unknown>>;
    return await run({ endpoint: endpoint as string, timeoutMs, has: (flag) => given[flag] === true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isUsage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS') === true;
    err.write(`bitacora ${name}: ${message}${isUsage ? `; \`bitacora ${name} --help\` says how` : ''}\n`);
    return isUsage ? exitCodes.usage : exitCodes.unreachable;
  }
}
