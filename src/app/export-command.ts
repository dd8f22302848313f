/** `bitacora export`: all keys of a prefix as JSON lines, whole or not at all. */
import { open, rename } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ClientError } from '../../client/errors.ts';
import { type ExportOptions, exportPages } from '../../client/http/exports.ts';
import type { Consistency } from '../../client/http/types.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { checkFile } from './export-file.ts';
import {
  counted,
  endpointsOf,
  nodeHelp,
  nodeOptions,
  ProgressLine,
  type Shell,
  secondsSince,
  timeoutOf,
  UsageError,
  writer,
} from './shell.ts';

const help = `bitacora export: all keys of a prefix as JSON lines

  bitacora export [PREFIX]         to standard output
  bitacora export [PREFIX] -o FILE

  -o, --output FILE         written as FILE.part and named FILE once it is whole
  --resume                  with -o: goes on with FILE.part, if there is one
  --consistency WORD        local, session, latest (default) or linearizable: how new the export must be at least
${nodeHelp}
Nodes that go away are replaced by others of the list, from where they left off. It is no snapshot: a key written meanwhile is in it or
not. What was written is counted and summed up, so that \`bitacora import\` sees whether it is whole. More: docs/backup.md

exit code   0 done   1 other   2 asked wrongly   5 no node reached   6 no answer in time
`;

interface Asked {
  readonly prefix: string;
  readonly output: string | undefined;
  readonly resume: boolean;
  readonly consistency: Consistency;
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
}

/** Where the pages go. */
interface Target {
  readonly from: ExportOptions['from'];
  /** Nothing is missing: an earlier run has written it all. */
  readonly whole: boolean;
  /** Items that are there already. */
  readonly items: number;
  write(text: string): Promise<void>;
  /** All has been written. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Resolves with the exit code. Never rejects for what a node, a disk or a user did. */
export async function exportKeys(argv: readonly string[], shell: Shell): Promise<number> {
  const { out, err } = shell;
  let asked: Asked | undefined;
  try {
    asked = askedIn(argv, shell.env);
  } catch (error) {
    err.write(`bitacora export: ${(error as Error).message}; \`bitacora export --help\` says how\n`);
    return exitCodes.usage;
  }
  if (asked === undefined) {
    out.write(help);
    return exitCodes.done;
  }
  const progress = new ProgressLine(err);
  try {
    const said = await copy(asked, shell, progress);
    progress.clear();
    err.write(`${said}\n`);
    return exitCodes.done;
  } catch (error) {
    progress.clear();
    const { code, message } = error as ClientError & NodeJS.ErrnoException;
    if (!(error instanceof ClientError || error instanceof UsageError || (error as NodeJS.ErrnoException).syscall !== undefined))
      throw error;
    err.write(`bitacora export: ${error instanceof ClientError ? `${code}: ` : ''}${message}${hintOf(asked)}\n`);
    if (error instanceof UsageError) return exitCodes.usage;
    return error instanceof ClientError ? exitCodeOf(error) : exitCodes.other;
  }
}

function hintOf({ output }: Asked): string {
  return output === undefined ? '' : `\n${output} was not touched; the same command with --resume goes on with what there is`;
}

/** What is said of it in the end. */
async function copy(asked: Asked, { out }: Shell, progress: ProgressLine): Promise<string> {
  const { prefix, endpoints, timeoutMs, consistency, output } = asked;
  const start = performance.now();
  const target = output === undefined ? toStandardOutput(out) : await toFile(output, asked);
  let { items } = target;
  let position = '';
  let bytes = 0;
  try {
    if (!target.whole) {
      for await (const page of exportPages({ endpoints }, { prefix, consistency, timeoutMs, from: target.from })) {
        const text = `${page.lines.join('\n')}\n`;
        await target.write(text);
        items += page.items;
        bytes += text.length;
        if (page.last.kind === 'end') position = page.last.position;
        progress.show(() => `export  ${counted(items, 'item')}  ${(bytes / 1e6).toFixed(1)} MB  ${secondsSince(start)}`);
      }
    }
    await target.finish();
  } finally {
    await target.close();
  }
  const of = prefix === '' ? '' : ` of ${JSON.stringify(prefix)}`;
  return `exported ${counted(items, 'item')}${of}${position === '' ? '' : ` at ${position}`} in ${secondsSince(start)}`;
}

function toStandardOutput(out: Shell['out']): Target {
  const nothing = async (): Promise<void> => undefined;
  return { from: undefined, whole: false, items: 0, write: writer(out), finish: nothing, close: nothing };
}

/** A file of the name is a whole export at any time: the old one, or the new one. */
async function toFile(output: string, { prefix, resume }: Asked): Promise<Target> {
  const part = `${output}.part`;
  const file = await open(part, resume ? 'a+' : 'w+');
  const target = { write: async (text: string) => void (await file.appendFile(text)), close: () => file.close() };
  const finish = async (): Promise<void> => {
    await file.sync();
    await rename(part, output);
  };
  try {
    const checked = resume ? await checkFile(file) : undefined;
    const kept = checked?.kept;
    if (checked !== undefined && checked.bytes > 0 && checked.prefix !== prefix) {
      throw new UsageError(`${part} is an export of ${JSON.stringify(checked.prefix)}, not of ${JSON.stringify(prefix)}`);
    }
    // Only the name is missing.
    if (checked !== undefined && checked.damage === undefined)
      return { ...target, finish, from: undefined, whole: true, items: checked.items };
    await file.truncate(kept?.end ?? 0);
    const from = kept === undefined ? undefined : { cursor: kept.cursor, position: kept.position };
    return { ...target, finish, from, whole: false, items: kept?.items ?? 0 };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Undefined: for help. Errors: in words, for what is asked wrongly. */
function askedIn(argv: readonly string[], env: Shell['env']): Asked | undefined {
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const;
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { ...nodeOptions, output: { ...text, short: 'o' }, resume: flag, consistency: text, help: flag },
  });
  if (values.help) return undefined;
  const { consistency = 'latest', resume = false } = values;
  if (positionals.length > 1) throw new UsageError('export takes one prefix');
  if (!['local', 'session', 'latest', 'linearizable'].includes(consistency)) {
    throw new UsageError('--consistency is local, session, latest or linearizable');
  }
  const output = values.output === '-' ? undefined : values.output;
  if (resume && output === undefined) throw new UsageError('--resume goes with -o FILE');
  return {
    prefix: positionals[0] ?? '',
    output,
    resume,
    consistency: consistency as Consistency,
    endpoints: endpointsOf(values.endpoint, env),
    timeoutMs: timeoutOf(values.timeout),
  };
}
