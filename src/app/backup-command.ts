/** `bitacora backup`: a whole store in a file, from a node that runs or one that is stopped, and whether such a file is whole. */
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { surveyOf } from '../../storage/store/kept-values.ts';
import { snapshotFilePlace } from '../../storage/store/snapshot-file.ts';
import { openSnapshotFile } from '../../storage/store/snapshot-reading.ts';
import { backUpFrom } from './backup-node.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, endpointsOf, nodeHelp, nodeOptions, type Shell, type Speaking, secondsSince, timeoutOf, UsageError } from './shell.ts';
import { megabytes, surveyWords, wordsOf } from './snapshot-words.ts';
import { runStoreCommand } from './store-command.ts';
import { copyStore, entriesIn, openKeptStore } from './store-copy.ts';

const help = `bitacora backup: a whole store, as it is at one position of the log

  bitacora backup -o FILE [-e URL]         of a running node
  bitacora backup -o FILE --data DIR       of a stopped node, by its data directory
  bitacora backup --check FILE             whether a backup is whole and undamaged

  -o, --output FILE         written under a name of its own and named FILE once it is whole
  --data DIR                the node's DATA_DIR, or a store that was set aside in it; nothing is changed there
  --check FILE              reads every row, restores nothing
${nodeHelp}
A node gives its store at SEED_RATE at most, to two at once. When the connection breaks it is gone on with, or begun anew; each node that is
named is asked in turn. The position, the log and the number of rows are told. \`bitacora restore\` makes a store of it for the same log,
\`bitacora republish\` writes it into another. More: docs/backup.md

exit code   0 done   1 other, the file is damaged   2 asked wrongly   5 no node reached   6 too slow
`;

type Asked = { readonly timeoutMs: number } & (
  | { readonly check: string }
  | { readonly output: string; readonly data: string }
  | { readonly output: string; readonly endpoints: readonly string[] }
);

/** Resolves with the exit code. */
export function backup(argv: readonly string[], shell: Shell): Promise<number> {
  const run = (asked: Asked, speaking: Speaking): Promise<number> =>
    'check' in asked ? checkFile(asked.check, shell, speaking) : backUp(asked, speaking);
  return runStoreCommand({ name: 'backup', help, asked: (given) => askedIn(given, shell.env), run }, argv, shell);
}

function askedIn(argv: readonly string[], env: Shell['env']): Asked | undefined {
  const text = { type: 'string' } as const;
  const own = { output: { ...text, short: 'o' }, data: text, check: text, help: { type: 'boolean' } } as const;
  const { values } = parseArgs({ args: [...argv], options: { ...nodeOptions, ...own } });
  if (values.help) return undefined;
  const { output, data, check, endpoint } = values;
  const timeoutMs = timeoutOf(values.timeout);
  if (check !== undefined) {
    if (output !== undefined || data !== undefined || endpoint !== undefined) throw new UsageError('--check goes alone');
    return { check, timeoutMs };
  }
  if (output === undefined || output === '-') throw new UsageError('a backup needs a file: -o FILE');
  if (data === undefined) return { output, endpoints: endpointsOf(endpoint, env), timeoutMs };
  if (endpoint !== undefined) throw new UsageError('it is of a running node (-e), or of a stopped one (--data)');
  return { output, data, timeoutMs };
}

async function backUp(asked: Exclude<Asked, { check: string }>, { progress, say }: Speaking): Promise<number> {
  const start = performance.now();
  const show = (part: number): void =>
    progress.show(() => `backup  at least ${Math.floor(part * 100)} % of the entries  ${secondsSince(start)}`);
  const place = snapshotFilePlace(asked.output);
  const rows =
    'data' in asked ? await backUpStopped(asked.data, place, show) : await backUpFrom({ ...asked, place, progress: show, said: say });
  const file = await openSnapshotFile(asked.output);
  await file.close();
  say(`backed up to ${asked.output}: ${counted(rows, 'row')}, ${megabytes(file.bytes)}, in ${secondsSince(start)}\n${wordsOf(file)}`);
  return exitCodes.done;
}

async function backUpStopped(data: string, place: ReturnType<typeof snapshotFilePlace>, progress: (part: number) => void) {
  const kept = await openKeptStore(data);
  try {
    return await copyStore(kept, place, { vacate: async () => undefined, progress });
  } finally {
    await kept.close();
  }
}

async function checkFile(path: string, { out }: Shell, { progress }: Speaking): Promise<number> {
  const file = await openSnapshotFile(path);
  try {
    const entries = Math.max(1, entriesIn(file));
    const survey = await surveyOf(file, (rows) => progress.show(() => `check  ${Math.floor(Math.min(1, rows / entries) * 100)} %`));
    progress.clear();
    const { mtime } = await stat(path);
    const head = `${path} is whole: ${counted(survey.rows, 'row')}, ${megabytes(file.bytes)}, written ${mtime.toISOString()}`;
    out.write(`${head}\n${wordsOf(file)}\n${surveyWords(survey)}\n`);
    return exitCodes.done;
  } finally {
    await file.close();
  }
}
