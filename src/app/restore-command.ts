/** `bitacora restore`: the store of a backup in the data directory of a node that is not running. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDataDirectory } from '../../storage/data-directory.ts';
import type { KeptSnapshot } from '../../storage/store/kept-snapshot.ts';
import { setAside } from '../../storage/store/level-files.ts';
import { openSeedPlace } from '../../storage/store/snapshot-place.ts';
import { openSnapshotFile } from '../../storage/store/snapshot-reading.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, type Shell, type Speaking, secondsSince, UsageError } from './shell.ts';
import { wordsOf } from './snapshot-words.ts';
import { InTheWay, runStoreCommand } from './store-command.ts';
import { copyStore } from './store-copy.ts';

const help = `bitacora restore: makes a node's store from a backup

  bitacora restore FILE --data DIR

  --data DIR                the DATA_DIR of the node, which must not be running; made if it is not there
  --force                   also where there is a store already: that is set aside as DIR/store.replaced-<n>, and stays there

The file is checked row by row; until all of it is there, nothing is put in its place. A node that is started with this DATA_DIR, and with the
same log, follows that from the position of the backup. Where the log is another one, or has gone on for too long without this store, the
node says so, sets it aside and reads the log; to write a backup into another log: \`bitacora republish\`. More: docs/backup.md

exit code   0 done   1 other, the file is damaged, a node is running   2 asked wrongly   4 there is a store already
`;

interface Asked {
  readonly file: string;
  readonly data: string;
  readonly force: boolean;
}

/** Resolves with the exit code. */
export function restore(argv: readonly string[], shell: Shell): Promise<number> {
  return runStoreCommand({ name: 'restore', help, asked: askedIn, run: restoreFile }, argv, shell);
}

function askedIn(argv: readonly string[]): Asked | undefined {
  const options = { data: { type: 'string' }, force: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options });
  if (values.help) return undefined;
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError('restore takes one file');
  if (values.data === undefined) throw new UsageError('restore needs the data directory of the node: --data DIR');
  return { file, data: values.data, force: values.force ?? false };
}

async function restoreFile(asked: Asked, speaking: Speaking): Promise<number> {
  const file = await openSnapshotFile(asked.file);
  try {
    const directory = await openDataDirectory(asked.data);
    try {
      await putInPlace(file, join(directory.path, 'store'), asked, speaking);
    } finally {
      await directory.close();
    }
  } finally {
    await file.close();
  }
  return exitCodes.done;
}

async function putInPlace(file: KeptSnapshot, store: string, asked: Asked, { progress, say }: Speaking): Promise<void> {
  const start = performance.now();
  const there = (await namesIn(store)).length > 0;
  if (there && !asked.force) {
    throw new InTheWay(`there is a store in ${asked.data}; choose an empty directory, or set that store aside with --force`);
  }
  let aside: string | undefined;
  const vacate = async (): Promise<void> => {
    if (there) aside = await setAside(store, `replaced by ${asked.file}`, 'replaced');
  };
  const show = (part: number): void => progress.show(() => `restore  ${Math.floor(part * 100)} % of the entries  ${secondsSince(start)}`);
  const rows = await copyStore(file, await openSeedPlace(store), { vacate, progress: show });
  if (aside !== undefined) say(`the store that was there is kept as ${aside}`);
  say(`restored ${asked.file} to ${asked.data}: ${counted(rows, 'row')}, in ${secondsSince(start)}\n${wordsOf(file)}`);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
