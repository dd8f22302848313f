/** `bitacora move-log`: from one log to another, while callers write. */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { ClientError } from '../../client/errors.ts';
import { Bitacora } from '../../client/http/bitacora.ts';
import { Damaged } from '../../wire/export-reader.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { type Moved, move } from './move-log.ts';
import { MoveNode, type NodeWord } from './move-log-node.ts';
import { loadMove, MoveConflict, MoveHold } from './move-log-state.ts';
import { counted, type Shell, type Speaking, speakingTo, timeoutOf, UsageError } from './shell.ts';

const help = `bitacora move-log: everything from one log to another, while callers write to the old one

  bitacora move-log --from URL --to URL [--resume STATE_FILE]
  bitacora move-log --from URL --undo

  --from URL                a node of the old log; itself, and not a balancer
  --to URL                  a node of the new log, in which there is no key yet
  --resume STATE_FILE       keeps there how far it came; run again with it, the move goes on
  --quick                   compares everything once more before the old log is sealed, not after
  --undo                    opens the old log again
  --timeout TIME            how long nothing may move before it is given up: 500ms, 30s, 2m (default 30s)

All keys are copied, and changes followed, until the new log is close behind. Then the old log is sealed: it takes no write any more, from
nobody, and says where it went. When the rest is copied and both are compared, callers go to the nodes of the new log; nobody may write
there before. Positions and versions of the old log are refused by the new one. More: docs/moving.md

exit code   0 done   1 other   2 asked wrongly   4 writes of others might be lost   5 no node reached   6 no answer in time   8 log unavailable
            4 is: there are keys in the new log; another run has the move; one of the logs was replaced; the old log was sealed for
            another place, or is open again after the move was done
`;

/** Between this machine's clock and those of the nodes. */
const mostSkewMs = 5_000;

interface Asked {
  readonly from: string;
  readonly to: string | undefined;
  /** Undefined: how far it came is not kept. */
  readonly stateFile: string | undefined;
  readonly quick: boolean;
  readonly undo: boolean;
  readonly timeoutMs: number;
}

/** Resolves with the exit code. Never rejects for what a node, a file or a user did. */
export async function moveLog(argv: readonly string[], { out, err }: Shell): Promise<number> {
  const speaking = speakingTo(err);
  const { say } = speaking;
  let asked: Asked | undefined;
  try {
    asked = askedIn(argv);
    if (asked === undefined) {
      out.write(help);
      return exitCodes.done;
    }
    return asked.to === undefined ? await undo(asked, say) : await carryOut({ ...asked, to: asked.to }, speaking);
  } catch (error) {
    if (error instanceof ClientError) {
      say(`bitacora move-log: ${error.code}: ${error.message}${hintOf(asked)}`);
      return exitCodeOf(error);
    }
    if (error instanceof MoveConflict) {
      say(`bitacora move-log: ${error.message}`);
      return exitCodes.conflict;
    }
    const { message, syscall, code } = error as NodeJS.ErrnoException;
    if (error instanceof Damaged || syscall !== undefined) {
      say(`bitacora move-log: ${message}${hintOf(asked)}`);
      return exitCodes.other;
    }
    if (!(error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS'))) throw error;
    say(`bitacora move-log: ${message}; \`bitacora move-log --help\` says how`);
    return exitCodes.usage;
  }
}

function hintOf(asked: Asked | undefined): string {
  if (asked === undefined || asked.undo) return '';
  const on = asked.stateFile === undefined ? '' : '\nthe same command goes on with it';
  return `${on}\nif the old log is sealed, \`bitacora move-log --from ${asked.from} --undo\` opens it again`;
}

async function undo({ from, timeoutMs }: Asked, say: Speaking['say']): Promise<number> {
  const node = new MoveNode(from, timeoutMs);
  await node.unseal();
  say(`${node.url} takes writes again, and the other nodes of its log within seconds; what was written elsewhere since is not in it`);
  return exitCodes.done;
}

async function carryOut(asked: Asked & { readonly to: string }, { progress, say }: Speaking): Promise<number> {
  const { timeoutMs, stateFile, quick } = asked;
  const [from, to] = [new MoveNode(asked.from, timeoutMs), new MoveNode(asked.to, timeoutMs)];
  const [old, fresh] = await Promise.all([from.word(false), to.word(false)]);
  const logs = { from: logOf(from, old), to: logOf(to, fresh) };
  if (logs.from === logs.to) throw new UsageError('--from and --to are nodes of one and the same log');
  for (const node of [from, to]) checkClock(node);
  if (!old.supports.includes('seal')) throw new UsageError(`${from.url} is of a version that cannot seal its log`);
  const state = stateFile === undefined ? undefined : await loadMove(stateFile, logs);
  if (state?.phase === 'done' && old.sealed !== true) {
    const wayOut = `end the old nodes, if callers are on the new ones; or move once more, to an empty log and with another file`;
    throw new MoveConflict(
      `it was moved already, says ${stateFile}, but ${from.url} takes writes again, and they are not in the new log: ${wayOut}`,
    );
  }
  if (state?.phase === 'done') {
    say(`it was moved already, says ${stateFile}; what was written to ${to.url} since would be lost if it were moved again`);
    return exitCodes.done;
  }
  // Only of a log that was empty, or that this move has filled, it is known that nobody else's keys are deleted.
  if (state === undefined && (await to.keys(1)) > 0) {
    const begun = stateFile === undefined ? '' : `, and ${stateFile} knows of no move to it`;
    throw new MoveConflict(`there are keys in the log of ${to.url}${begun}: a move goes to an empty log`);
  }
  const url = state?.url ?? to.url;
  const hold = new MoveHold(stateFile, { bitacora: 'move-log', format: 1, ...logs, url, run: randomUUID() }, state);
  const start = performance.now();
  const kv = new Bitacora({ endpoints: [to.url], timeoutMs });
  try {
    const sides = { from, to, logs, url, hold };
    const maxBatchedBytes = Math.floor(fresh.limits.batch_bytes / 8);
    const moved = await move({ ...sides, kv, timeoutMs, maxBatchedBytes, quick, say, show: (line) => progress.show(line) });
    say(summaryOf(moved, performance.now() - start, from, to));
    return exitCodes.done;
  } finally {
    await kv.close();
  }
}

/** Errors: `UsageError` for a node that does not know its log, or not all of it. */
function logOf({ url }: MoveNode, { genesis, ready }: NodeWord): string {
  if (genesis === null || !ready) throw new UsageError(`${url} is not ready yet`);
  return genesis;
}

/** What has passed its deadline by this machine's clock is not written, and what is about to is not missed. Errors: `UsageError`. */
function checkClock({ url, aheadMs }: MoveNode): void {
  if (Math.abs(aheadMs) <= mostSkewMs) return;
  const apart = `${Math.round(Math.abs(aheadMs) / 1_000).toLocaleString('en-US')} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of ${url}`;
  throw new UsageError(`the clock of this machine is ${apart}: deadlines are judged by it, so set it right`);
}

function summaryOf({ keys, written, refusedMs }: Moved, ms: number, from: MoveNode, to: MoveNode): string {
  const seconds = (time: number): string => `${(time / 1_000).toFixed(1)} s`;
  const writes = `${counted(written.puts, 'value')} written, ${written.deletes.toLocaleString('en-US')} deleted`;
  return `moved ${counted(keys, 'key')} from ${from.url} to ${to.url} in ${seconds(ms)}: ${writes}
writes were refused for ${seconds(refusedMs)}, and are until callers go to ${to.url}; ${from.url} goes on answering reads, of what was`;
}

/** Undefined: for help. Errors: in words, for what is asked wrongly. */
function askedIn(argv: readonly string[]): Asked | undefined {
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const;
  const { values } = parseArgs({
    args: [...argv],
    options: { from: text, to: text, resume: text, quick: flag, undo: flag, timeout: text, help: { ...flag, short: 'h' } },
  });
  if (values.help) return undefined;
  const { from, to, resume: stateFile, quick = false, undo = false } = values;
  if (from === undefined) throw new UsageError('--from URL is needed, a node of the old log');
  if (undo && (to !== undefined || stateFile !== undefined || quick)) throw new UsageError('--undo goes with --from alone');
  if (!undo && to === undefined) throw new UsageError('--to URL is needed, a node of the new log');
  if ([from, to].some((url) => url?.startsWith('https:'))) throw new UsageError('nodes are asked over http:, without anything between');
  return { from, to, stateFile, quick, undo, timeoutMs: timeoutOf(values.timeout) };
}
