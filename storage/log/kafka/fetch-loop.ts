/**
 * Fetches from one broker what it leads of a subscription's partitions, with one request under way at a time, for as long as its connection
 * is the one that counts.
 *
 * A request asks for all partitions that can take more. A broker stops filling an answer at its size, but gives the first partition that has
 * anything a whole batch, however large: so those that got something go to the back of the order, and none starves. It waits for a record
 * when there is none; while a partition waits for its subscriber the request must be back soon, because that partition is not in it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FetchRequest } from './client.ts';
import type { FetchedPartition } from './fetched.ts';
import type { Lane } from './lane.ts';

export interface FetchLoop {
  /** Those that the broker leads. */
  readonly lanes: readonly Lane[];
  /** Nothing that comes from now on counts. */
  ended(): boolean;
  fetch(request: FetchRequest): Promise<readonly FetchedPartition[]>;
  /** Takes what came from `lane.fetched` on; true: that was something. A rejection leaves the partition to other connections. */
  take(lane: Lane, fetched: FetchedPartition): Promise<boolean>;
  /** From `lane.fetched` up to `to` nothing is left in the log. */
  stepOver(lane: Lane, to: number): void;
  failed(lane: Lane, error: unknown): void;
}

const longestWaitMs = 500;
const shortestWaitMs = 5;
/** Of an answer. Small enough that what one fetch decodes into dies young. */
const answerBytes = 1024 * 1024;
/** Of a partition, at least. */
const shareBytes = 128 * 1024;
/** Before the next request, when an answer came at once and brought nothing. */
const breathMs = 20;

/** Ends with the connection, or when no partition is left. Errors: those of `fetch`. */
export async function runFetchLoop(loop: FetchLoop): Promise<void> {
  let order = [...loop.lanes];
  while (!loop.ended() && order.length > 0) {
    const asked = order.filter((lane) => lane.fullSince === undefined);
    if (asked.length === 0) {
      await Promise.race(order.map((lane) => lane.handled));
      continue;
    }
    const began = performance.now();
    const maxWaitMs = waitMs(order, began);
    const answer = await ask(loop, asked, maxWaitMs);
    if (loop.ended()) return;
    const gained = new Set<Lane>();
    const failed = new Set<Lane>();
    for (const lane of asked) {
      const fetched = answer.get(lane);
      if (fetched === undefined) continue;
      try {
        if (await loop.take(lane, fetched)) gained.add(lane);
      } catch (error) {
        failed.add(lane);
        loop.failed(lane, error);
      }
      if (loop.ended()) return;
    }
    await stepOverEmpty(loop, asked, answer, failed);
    order = order.filter((lane) => !failed.has(lane) && !gained.has(lane)).concat(asked.filter((lane) => gained.has(lane)));
    const nothing = gained.size === 0 && performance.now() - began < maxWaitMs / 2;
    if (nothing && maxWaitMs > breathMs) await sleep(breathMs);
  }
}

/** A partition that has been full for a while may stay so as long again: nobody waits for less. */
function waitMs(lanes: readonly Lane[], now: number): number {
  const since = Math.min(...lanes.map((lane) => lane.fullSince ?? Number.POSITIVE_INFINITY));
  return since === Number.POSITIVE_INFINITY ? longestWaitMs : Math.round(Math.min(longestWaitMs, Math.max(shortestWaitMs, now - since)));
}

async function ask(loop: FetchLoop, lanes: readonly Lane[], maxWaitMs: number): Promise<ReadonlyMap<Lane, FetchedPartition>> {
  const maxBytes = Math.max(shareBytes, Math.floor(answerBytes / loop.lanes.length));
  const partitions = lanes.map(({ partition, fetched }) => ({ partition, fetchOffset: String(fetched), maxBytes }));
  const came = await loop.fetch({ maxWaitMs, maxBytes: answerBytes, partitions });
  const found = new Map<Lane, FetchedPartition>();
  for (const fetched of came) {
    const lane = lanes.find(({ partition }) => partition === fetched.partition);
    if (lane !== undefined) found.set(lane, fetched);
  }
  return found;
}

/**
 * A partition that was the first to get anything and got nothing, though it can be read further: what stood there was removed, up to the
 * end. To be certain it is asked again, alone; what it is stepped over to was known before that request was sent.
 */
async function stepOverEmpty(
  loop: FetchLoop,
  asked: readonly Lane[],
  answer: ReadonlyMap<Lane, FetchedPartition>,
  failed: ReadonlySet<Lane>,
): Promise<void> {
  const first = asked.find((lane) => {
    const fetched = answer.get(lane);
    return fetched !== undefined && !failed.has(lane) && (fetched.batches.length > 0 || isEmpty(lane, fetched));
  });
  const before = first && answer.get(first);
  if (first === undefined || before === undefined || !isEmpty(first, before)) return;
  const again = (await ask(loop, [first], 0)).get(first);
  if (again === undefined || loop.ended() || again.errorCode !== 0 || !isEmpty(first, again)) return;
  loop.stepOver(first, Math.min(before.lastStableOffset, again.lastStableOffset));
}

function isEmpty(lane: Lane, { batches, errorCode, preferredReplica, lastStableOffset }: FetchedPartition): boolean {
  return batches.length === 0 && errorCode === 0 && preferredReplica < 0 && lastStableOffset > lane.fetched;
}
