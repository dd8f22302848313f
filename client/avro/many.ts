/**
 * Many items in calls of as many as a server takes, some calls at a time; what a server refuses of them is asked again.
 *
 * A call that fails as a whole has been tried on other servers already, so its items are done with. Items that a server has refused one by
 * one go into another round, as long as that gets on: a node whose answer is full refuses the rest, which is no failure.
 */
import { ClientError } from '../errors.ts';
import type { Calls, Wait } from './calls.ts';
import type { Connection } from './connection.ts';
import type { Operation } from './operation.ts';

/** What came of one item. */
export type Outcome<T> = T | ClientError;

/** A call for several items; an outcome for each, in order. */
export interface ManyOperation<T> extends Operation<readonly Outcome<T>[]> {
  /** Who has answered last. */
  readonly answeredBy: Connection | undefined;
}

export interface Many<I, T> {
  readonly items: readonly I[];
  /** The most bytes that an item takes in a frame. */
  sizeOf(item: I): number;
  operation(items: readonly I[]): ManyOperation<T>;
}

/** The servers' own bound. */
const mostItems = 1_000;
/** What servers keep free in an answer for each item. */
const answerBytes = 500;
/** Of a frame beside its items. */
const headBytes = 128;
/** When no server has told how much it takes. */
const assumedFrameBytes = 1024 * 1024;
/** Calls under way at once. */
const atOnce = 4;

/** Outcomes in the order of the items. Errors: `closed`, `aborted`, `position-foreign`; `unsupported` when that is all there is to tell. */
export async function runMany<I, T>(
  calls: Calls,
  frameBytes: () => number | undefined,
  many: Many<I, T>,
  wait: Wait,
): Promise<Outcome<T>[]> {
  calls.check(wait.signal);
  return calls.whole(() => runParts(calls, frameBytes, many, { ...wait, part: true }));
}

async function runParts<I, T>(calls: Calls, frameBytes: () => number | undefined, many: Many<I, T>, wait: Wait): Promise<Outcome<T>[]> {
  let unsupported: ClientError | undefined;
  let isAnyTold = false;
  const outcomes: Outcome<T>[] = new Array(many.items.length);
  let left = [...many.items.keys()];
  for (let fruitless = 0; left.length > 0; ) {
    const again: number[] = [];
    const answeredBy = new Set<Connection>();
    const run = async (chunk: readonly number[]): Promise<void> => {
      const operation = many.operation(chunk.map((index) => many.items[index] as I));
      const results = await calls.run(operation, wait).catch(failed);
      for (const [at, index] of chunk.entries()) {
        const outcome = results instanceof ClientError ? results : (results[at] as Outcome<T>);
        outcomes[index] = outcome;
        if (outcome instanceof ClientError && outcome.retryable && outcome !== results) again.push(index);
      }
      if (results instanceof ClientError && results.code === 'unsupported') unsupported = results;
      else isAnyTold = true;
      if (operation.answeredBy !== undefined) answeredBy.add(operation.answeredBy);
    };
    const bytes = frameBytes() ?? assumedFrameBytes;
    const { chunks, tooLarge } = cut(left, (index) => many.sizeOf(many.items[index] as I), bytes);
    for (const index of tooLarge) outcomes[index] = new ClientError('value-too-large', `it does not fit a frame of ${bytes} bytes`);
    await inParallel(chunks, run);
    if (unsupported !== undefined && !isAnyTold) throw unsupported;
    fruitless = again.length < left.length ? 0 : fruitless + 1;
    const pauseMs = fruitless === 0 ? 0 : calls.backoffMs(fruitless);
    if (fruitless >= calls.limits.attempts || calls.clock.monotonic() + pauseMs >= wait.deadline) break;
    if (again.length > 0 && pauseMs > 0) await calls.pause(pauseMs, wait.signal);
    left = again.toSorted((a, b) => a - b);
    wait = { ...wait, avoid: [...answeredBy] };
  }
  return outcomes;
}

/** Why a call failed, for each of its items. Another log concerns all items alike, and not what became of one. */
function failed(error: unknown): ClientError {
  if (!(error instanceof ClientError) || error.code === 'position-foreign') throw error;
  return error;
}

/** Runs of items that fit a frame, and items that fit none. */
function cut(
  indices: readonly number[],
  sizeOf: (index: number) => number,
  frameBytes: number,
): { chunks: number[][]; tooLarge: number[] } {
  const chunks: number[][] = [];
  const tooLarge: number[] = [];
  const most = Math.max(1, Math.min(mostItems, Math.floor((frameBytes - headBytes) / answerBytes)));
  let chunk: number[] = [];
  let room = 0;
  for (const index of indices) {
    const size = sizeOf(index);
    if (size > frameBytes - headBytes) {
      tooLarge.push(index);
      continue;
    }
    if (size > room || chunk.length >= most) {
      chunk = [];
      chunks.push(chunk);
      room = frameBytes - headBytes;
    }
    chunk.push(index);
    room -= size;
  }
  return { chunks, tooLarge };
}

async function inParallel<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const queue = all.values();
  const worker = async (): Promise<void> => {
    for (const one of queue) await run(one);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker));
}
