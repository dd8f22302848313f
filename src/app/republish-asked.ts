/** What `bitacora republish` is asked, and its help. */
import { parseArgs } from 'node:util';
import { endpointsOf, nodeHelp, nodeOptions, type Shell, timeoutOf, UsageError } from './shell.ts';

export const help = `bitacora republish: writes a store into another log, when its own is lost

  bitacora republish --store DIR [-e URL]        a store that was set aside (DATA_DIR/store.other-log-<n>), or a stopped node's DATA_DIR
  bitacora republish --backup FILE [-e URL]      what \`bitacora backup\` has written

  --resume STATE_FILE       keeps there how far it came; run again with it, it goes on
  --merge                   also into a log that holds keys: those stay as they are, deleted ones are written again
  --dry-run                 checks the store, tells what is in it and in the log, writes nothing
${nodeHelp}
Every key that has a value is written with its type and its deadline, only if it is absent, as the log decides: nothing newer is written over.
Deleted keys stay deleted, expired values are left out. All rows are checked before anything is written. Versions, tokens and ids of the
old log are not of the new one. Write nothing else meanwhile, deletes above all: a key that is deleted meanwhile may be written behind that.
More: docs/backup.md

exit code   0 done   1 other, the store is damaged   2 asked wrongly, or an item that nodes refuse
            4 the log holds keys, or is the store's own   5 no node reached   6 no answer in time   8 log unavailable
`;

export interface Asked {
  /** Of a backup, or of a store. */
  readonly path: string;
  readonly isBackup: boolean;
  /** Undefined: how far it came is not kept. */
  readonly stateFile: string | undefined;
  readonly merge: boolean;
  readonly dryRun: boolean;
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
}

/** Undefined: for help. Errors: in words, for what is asked wrongly. */
export function askedIn(argv: readonly string[], env: Shell['env']): Asked | undefined {
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const;
  const own = { backup: text, store: text, resume: text, merge: flag, 'dry-run': flag, help: flag };
  const { values } = parseArgs({ args: [...argv], options: { ...nodeOptions, ...own } });
  if (values.help) return undefined;
  const { backup, store } = values;
  const path = backup ?? store;
  if (path === undefined) throw new UsageError('republish needs a store (--store DIR) or a backup (--backup FILE)');
  if (backup !== undefined && store !== undefined) throw new UsageError('republish takes a store or a backup, not both');
  return {
    path,
    isBackup: backup !== undefined,
    stateFile: values.resume,
    merge: values.merge ?? false,
    dryRun: values['dry-run'] ?? false,
    endpoints: endpointsOf(values.endpoint, env),
    timeoutMs: timeoutOf(values.timeout),
  };
}
