/** `bitacora import`: writes what was exported, once it is known to be whole. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientError } from '../../client/errors.ts';
import { Bitacora } from '../../client/http/bitacora.ts';
import type { NodeReport } from '../../client/http/types.ts';
import { Damaged } from '../../wire/export-reader.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { type CheckedFile, checkFile, checkPartly } from './export-file.ts';
import { type Asked, askedIn, help } from './import-asked.ts';
import { type Acknowledged, runImport } from './import-run.ts';
import type { Came } from './import-slice.ts';
import { type ImportState, loadState, saveState } from './import-state.ts';
import { counted, type Shell, type Speaking, secondsSince, speakingTo, UsageError, writer } from './shell.ts';

/** Nodes that are named either listen or do not. */
const reachMs = 900;
/** Keys in the way that are named. */
const shownConflicts = 10;

/** Resolves with the exit code. Never rejects for what a node, a file or a user did. */
export async function importKeys(argv: readonly string[], shell: Shell): Promise<number> {
  const { out, err } = shell;
  const speaking = speakingTo(err);
  const { say } = speaking;
  let asked: Asked | undefined;
  try {
    asked = askedIn(argv, shell.env);
    if (asked !== undefined) return await importFile(asked, shell, speaking);
    out.write(help);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof ClientError) {
      say(`bitacora import: ${error.code}: ${error.message}${hintOf(asked)}`);
      return exitCodeOf(error);
    }
    const { message, syscall, code } = error as NodeJS.ErrnoException;
    if (error instanceof Damaged || syscall !== undefined) {
      say(`bitacora import: ${asked?.file ?? ''}: ${message}`);
      return exitCodes.other;
    }
    const wrong = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS');
    if (!wrong) throw error;
    say(`bitacora import: ${message}; \`bitacora import --help\` says how`);
    return exitCodes.usage;
  }
}

function hintOf(asked: Asked | undefined): string {
  return asked?.stateFile === undefined ? '' : '\nthe same command goes on from where it was';
}

async function importFile(asked: Asked, { input, out }: Shell, speaking: Speaking): Promise<number> {
  const file = asked.file === '-' ? await keptOnDisk(input) : await open(asked.file, 'r');
  const kv = new Bitacora({ endpoints: asked.endpoints, timeoutMs: asked.timeoutMs });
  try {
    const checked = asked.partial ? await checkPartly(file) : await checkFile(file);
    if (checked.damage !== undefined) throw new Damaged(`${checked.damage}; nothing was written, --partial takes what is good`);
    const node = await reach(kv, asked.timeoutMs);
    const identity = { sha256: checked.sha256, prefix: asked.prefix ?? null, genesis: node.genesis ?? null };
    const state = await loadState(asked.dryRun ? undefined : asked.stateFile, identity);
    if (state.done) {
      speaking.say(`${asked.file} was imported already, says ${asked.stateFile}; remove that to do it again`);
      return exitCodes.done;
    }
    const batch = { kv, maxBatchedBytes: Math.floor(node.limits.batchBytes / 8) };
    return await carryOut({ ...asked, ...batch, file, checked, state, name: asked.file }, writer(out), speaking);
  } finally {
    await Promise.all([file.close(), kv.close()]);
  }
}

/** Standard input is gone through twice: checked, then written. Nobody else sees the copy, and it goes with the process. */
async function keptOnDisk(input: Shell['input']): Promise<FileHandle> {
  const path = join(tmpdir(), `bitacora-import-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  for await (const chunk of input) await file.appendFile(chunk);
  return file;
}

/** What a node says of itself. Errors: `connection` within a second when nobody listens. */
async function reach(kv: Bitacora, timeoutMs: number): Promise<NodeReport> {
  try {
    return await kv.node({ timeoutMs: Math.min(reachMs, timeoutMs) });
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === 'connection') throw error;
    return await kv.node({ timeoutMs });
  }
}

interface Work extends Omit<Asked, 'file'> {
  readonly kv: Bitacora;
  readonly maxBatchedBytes: number;
  readonly file: FileHandle;
  readonly name: string;
  readonly checked: CheckedFile;
  readonly state: ImportState;
}

async function carryOut(work: Work, print: (text: string) => Promise<void>, { progress, say }: Speaking): Promise<number> {
  const { file, checked, dryRun, stateFile, partial, name } = work;
  const start = performance.now();
  const counts: Record<Came, number> = { created: 0, replaced: 0, conflict: 0, ...work.state.counts };
  let { state } = work;
  const conflicts: string[] = [];
  const save = async (offset: number, done: boolean): Promise<void> => {
    const { written, unchanged, skipped, expired } = counts;
    state = { ...state, offset, done, counts: { written, unchanged, skipped, expired } };
    if (stateFile !== undefined && !dryRun) await saveState(stateFile, state);
  };
  const options = { ...work, run: state.run, partly: partial, from: state.offset };
  for await (const { items, place: offset } of runImport(file, checked, options)) {
    for (const { key, came } of items) {
      counts[came]++;
      if (came === 'conflict' && conflicts.push(key) <= shownConflicts) say(`conflict: ${JSON.stringify(key)} is there, and is another`);
    }
    if (dryRun) await print(changesOf(items));
    else if (conflicts.length > 0) break;
    else await save(offset, false);
    progress.show(() => shareOf(offset, checked.bytes, start));
  }
  const said = `${summaryOf(counts, dryRun)}${checked.unreadable > 0 ? `, ${counted(checked.unreadable, 'line')} could not be read` : ''}`;
  const took = `in ${secondsSince(start)}`;
  if (conflicts.length > 0) {
    const stopped = `stopped: --on-conflict skip leaves what is there, overwrite writes over it, --dry-run tells of all`;
    say(`${dryRun ? 'would import' : 'imported'} ${name} not to its end: ${said}, ${took}${dryRun ? '' : `\n${stopped}`}`);
    return exitCodes.conflict;
  }
  await save(checked.bytes, true);
  say(`${dryRun ? 'would import' : 'imported'} ${name}: ${said}, ${took}`);
  return exitCodes.done;
}

/** One line for each key that would be another afterwards, or is in the way. */
function changesOf(items: Acknowledged['items']): string {
  const would: Partial<Record<Came, string>> = { created: 'create', replaced: 'replace', skipped: 'skip', conflict: 'conflict' };
  return items.map(({ key, came }) => (would[came] === undefined ? '' : `${JSON.stringify({ would: would[came], key })}\n`)).join('');
}

function summaryOf(counts: Readonly<Record<Came, number>>, dryRun: boolean): string {
  const told: readonly Came[] = dryRun ? ['created', 'replaced'] : ['written'];
  const also: readonly Came[] = ['unchanged', 'skipped', 'expired', 'conflict'];
  const words = { ...wordsOf, ...(dryRun ? { created: 'to create', replaced: 'to replace' } : {}) };
  return [...told, ...also.filter((each) => counts[each] > 0)]
    .map((each) => `${counts[each].toLocaleString('en-US')} ${words[each]}`)
    .join(', ');
}

const wordsOf: Readonly<Record<Came, string>> = {
  created: 'created',
  replaced: 'replaced',
  written: 'written',
  unchanged: 'the same already',
  skipped: 'skipped',
  expired: 'expired',
  conflict: 'in the way',
};

function shareOf(offset: number, bytes: number, start: number): string {
  const share = offset / Math.max(1, bytes);
  const blocks = Math.floor(share * 12);
  return `import  ${'█'.repeat(blocks)}${'░'.repeat(12 - blocks)} ${Math.floor(share * 100)} %  ${(offset / 1e6).toFixed(1)} MB  ${secondsSince(start)}`;
}
