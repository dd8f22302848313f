/** What `bitacora import` is asked, and its help. */
import { parseArgs } from 'node:util';
import type { OnConflict } from './import-slice.ts';
import { endpointsOf, nodeHelp, nodeOptions, type Shell, timeoutOf, UsageError } from './shell.ts';

export const help = `bitacora import: writes what \`bitacora export\` has written

  bitacora import FILE             \`-\`: standard input

  --on-conflict fail        stops at a key that is there, unless it is the same (default)
                skip        leaves keys that are there
                overwrite   writes over them
  --prefix P                in the place of the exported prefix: of cfg/, cfg/a becomes Pa
  --dry-run                 writes nothing; prints a JSON line for each key that would change
  --resume STATE_FILE       keeps there how far it came; run again with it, the import goes on
  --partial                 takes what is good of a file that is cut off or damaged, or that no node has written
${nodeHelp}
A file is checked before anything is written. An item whose deadline has passed is left out. An item may be written twice, when an
answer was lost or an import is gone on with: the same value both times. More: docs/backup.md

exit code   0 done   1 other, the file is damaged   2 asked wrongly, or an item that nodes refuse   4 conflict   5 no node reached
            6 no answer in time   8 log unavailable
`;

export interface Asked {
  readonly file: string;
  readonly onConflict: OnConflict;
  readonly prefix: string | undefined;
  readonly dryRun: boolean;
  /** Undefined: how far it came is not kept. */
  readonly stateFile: string | undefined;
  readonly partial: boolean;
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
}

/** Undefined: for help. Errors: in words, for what is asked wrongly. */
export function askedIn(argv: readonly string[], env: Shell['env']): Asked | undefined {
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const;
  const own = { 'on-conflict': text, prefix: text, 'dry-run': flag, resume: text, partial: flag, help: flag };
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...nodeOptions, ...own } });
  if (values.help) return undefined;
  const [file, ...more] = positionals;
  if (file === undefined) throw new UsageError('import needs a file, or - for standard input');
  if (more.length > 0) throw new UsageError('import takes one file');
  const onConflict = values['on-conflict'] ?? 'fail';
  if (onConflict !== 'fail' && onConflict !== 'skip' && onConflict !== 'overwrite') {
    throw new UsageError('--on-conflict is fail, skip or overwrite');
  }
  return {
    file,
    onConflict,
    prefix: values.prefix,
    dryRun: values['dry-run'] ?? false,
    stateFile: values.resume,
    partial: values.partial ?? false,
    endpoints: endpointsOf(values.endpoint, env),
    timeoutMs: timeoutOf(values.timeout),
  };
}
