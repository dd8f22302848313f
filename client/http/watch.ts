/**
 * A watch that outlives its connections. Invariant: it is resumed from the position of the last event that its reader was given, so that
 * whatever breaks, and whichever node goes on, nothing is missed and nothing is told twice; what had come and was not taken yet is told again.
 */
import { parseToken } from '../../src/core/position.ts';
import { ClientConnectionError, ClientError, type Tried } from '../errors.ts';
import { refused } from '../options.ts';
import { foreignLog } from '../session.ts';
import { queryOf } from './ask.ts';
import type { Calls } from './calls.ts';
import { checkedKey } from './checks.ts';
import type { Endpoint } from './endpoint.ts';
import { Lost } from './exchange.ts';
import { Malformed } from './fields.ts';
import { linesOf } from './lines.ts';
import { timeoutOf } from './options.ts';
import { Rounds } from './rounds.ts';
import type { Seen } from './seen.ts';
import type { Wait } from './wait.ts';
import { lineOf, type WatchEvent } from './watch-events.ts';

export interface WatchOptions {
  /** The one key to watch; or what the keys begin with. Default: all keys. */
  readonly key?: string | undefined;
  readonly prefix?: string | undefined;
  /** Only what came after this: the `position` of an event, or of a session. Default: from now on. */
  readonly from?: string | undefined;
  /** Without `from`: the state first, as puts, then `sync`. */
  readonly initial?: boolean | undefined;
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** A node that is not heard of for so long is taken for dead, in ms. Default 20,000; they show every 10 to 15 s that they live. */
  readonly silenceMs?: number | undefined;
  /** How long no node may be reachable before the watch fails, in ms. Default: it keeps trying. */
  readonly patienceMs?: number | undefined;
}

/** To be gone through with `for await`. Leaving the loop ends the watch, `return()` also while an event is awaited. */
export interface Watching extends AsyncIterableIterator<WatchEvent, void, undefined> {
  return(): Promise<IteratorResult<WatchEvent, void>>;
}

const usualSilenceMs = 20_000;
const longestPauseMs = 5_000;
/** A connection that has lasted so long was a good one. */
const steadyMs = 1_000;
/** When a node goes, all its watchers go on elsewhere, and not all in the same moment. */
const scatterMs = 100;

/** Nobody is asked before the first event is. Errors: those of `follow`, `closed`, `overloaded`; of what is asked: `bad-request`, `key-invalid`. */
export function watch(calls: Calls, seen: Seen, options: WatchOptions): Watching {
  let wait: Wait | undefined;
  async function* begin(): AsyncGenerator<WatchEvent, void, undefined> {
    const watched = watchedOf(options);
    wait = calls.stream(options.signal);
    try {
      yield* follow(calls, seen, watched, wait);
    } finally {
      calls.letGo(wait);
    }
  }
  const events = begin();
  return {
    next: () => events.next(),
    async return() {
      wait?.end(new ClientError('aborted', 'the watch was left'));
      return events.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** What is watched, checked. */
export interface Watched {
  readonly key: string | undefined;
  readonly prefix: string | undefined;
  readonly from: string | undefined;
  readonly initial: boolean;
  readonly silenceMs: number;
  readonly patienceMs: number;
}

/** Errors: `bad-request`, `key-invalid`. */
export function watchedOf({ key, prefix, from, initial = false, silenceMs, patienceMs }: WatchOptions): Watched {
  if (key !== undefined && prefix !== undefined) throw refused('either key or prefix, not both');
  if (key !== undefined) checkedKey(key);
  if (from !== undefined && from !== 'reset' && parseToken(String(from)) === undefined) throw refused('from is the position of an event');
  return {
    key,
    prefix: key === undefined ? (prefix ?? '') : undefined,
    from,
    initial,
    silenceMs: timeoutOf(silenceMs, usualSilenceMs),
    patienceMs: patienceMs === undefined ? Number.POSITIVE_INFINITY : timeoutOf(patienceMs, 0),
  };
}

/** Ends when nobody waits any more. Errors: what a node says that will not change; `connection` when there was nobody for `patienceMs`. */
export async function* follow(calls: Calls, seen: Seen, watched: Watched, wait: Wait): AsyncGenerator<WatchEvent, void, undefined> {
  const { endpoints, clock, chance, limits } = calls.world;
  const begin = () => new Rounds(calls.world, { candidates: endpoints.all, load: 'streams', longestPauseMs });
  let rounds = begin();
  let { from } = watched;
  /** When the last connection broke; undefined: there is one, or there was none yet. */
  let brokenAt: number | undefined = clock.monotonic();
  const tried = new Map<string, Tried>();
  while (wait.over === undefined) {
    const endpoint = rounds.pick();
    const openedAt = clock.monotonic();
    const { epoch } = seen;
    let failure: ClientError;
    try {
      const { silenceMs } = watched;
      const openMs = Math.min(silenceMs, limits.timeoutMs);
      const lines = linesOf(endpoint, pathOf(watched, from), { wait, clock, openMs, silenceMs, maxLineBytes: limits.maxAnswerBytes });
      for await (const line of lines) {
        if (wait.over !== undefined) return;
        brokenAt = undefined;
        const { event, position } = lineOf(line);
        from = position ?? from;
        if (event === undefined) continue;
        see(seen, event, epoch, endpoint.name);
        yield event;
        if (wait.over !== undefined) return;
      }
      failure = new ClientConnectionError(`${endpoint.name}: the node has ended the watch`, [], { server: endpoint.name });
    } catch (error) {
      failure = failureOf(error, endpoint);
    }
    if (wait.over !== undefined) return;
    if (!failure.retryable) throw failure;
    if (failure.retryAfterMs > 0) endpoint.asksForRest(failure.retryAfterMs);
    brokenAt ??= clock.monotonic();
    if (clock.monotonic() - openedAt >= steadyMs) {
      rounds = begin();
      tried.clear();
      await wait.pause(scatterMs * chance.random());
    }
    tried.set(endpoint.name, { server: endpoint.name, reason: failure.message });
    rounds.asked(endpoint, failure.retryAfterMs);
    const patientMs = brokenAt + watched.patienceMs - clock.monotonic();
    if (patientMs <= 0) throw unreachable([...tried.values()], failure);
    const pauseMs = rounds.pauseMs();
    if (pauseMs > patientMs) {
      // A last try, whoever wanted to be left alone for longer.
      rounds = begin();
      await wait.pause(patientMs);
    } else if (pauseMs > 0) await rounds.next(pauseMs, wait);
  }
}

function pathOf({ key, prefix, initial }: Watched, from: string | undefined): string {
  return `/v1/watch${queryOf({ key, prefix, from, initial: from === undefined && initial ? 1 : undefined })}`;
}

/** What was told is seen: later reads of the session are not older. */
function see(seen: Seen, event: WatchEvent, epoch: number, server: string): void {
  const place = event.position ?? ('version' in event ? event.version : undefined);
  if (!seen.take(place, epoch)) seen.owe(foreignLog(server));
}

/** Throws what does not come of the connection. */
function failureOf(error: unknown, endpoint: Endpoint): ClientError {
  const { name: server } = endpoint;
  if (error instanceof ClientError) return error;
  if (error instanceof Malformed) return new ClientError('internal', `${server}: ${error.message}`, { server });
  if (!(error instanceof Lost)) throw error;
  endpoint.failed();
  return new ClientConnectionError(`${server}: ${error.message}`, [], { server, cause: error.cause });
}

function unreachable(tried: readonly Tried[], cause: ClientError): ClientConnectionError {
  const message = `no node can be watched; tried ${tried.map(({ reason }) => reason).join(', ')}`;
  return new ClientConnectionError(message, tried, { server: cause.server, cause });
}
