/** `GET /v1/watch`: the changes of a key or a prefix, as a stream or by long poll. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BitacoraError } from '../../../src/core/errors.ts';
import type { KeyValue, WatchEvent } from '../../../src/ports.ts';
import type { Route } from '../exchange.ts';
import { answering, type CallOf, type Told } from './answering.ts';
import { durationMs } from './deadline.ts';
import { isSet } from './parameters.ts';
import { checkPrefix } from './reading.ts';
import { accepts } from './representation.ts';
import type { V1Rooms } from './rooms.ts';
import { json, ndjson } from './shapes.ts';
import { lines, serverSentEvents } from './watch-formats.ts';
import { eventStream, watchKeys } from './watch-operations.ts';
import { answerPoll } from './watch-poll.ts';
import { Progress, seenIn } from './watch-position.ts';
import { tellStream } from './watch-stream.ts';

const longestWaitMs = 60_000;

/** A watch that is about to begin. */
export interface Watch {
  begin(signal: AbortSignal): AsyncIterable<WatchEvent>;
  readonly progress: Progress;
  /** The state comes first, without a `reset`. */
  readonly startsWithState: boolean;
}

export function watchRoute(rooms: V1Rooms): Route {
  const { keyValue, freshness } = rooms;

  async function watch({ request, response, query, headers }: CallOf<typeof watchKeys>): Promise<Told | undefined> {
    const waitMs = query.wait === undefined ? undefined : Math.min(durationMs(query.wait, 'wait'), longestWaitMs);
    const planned = plan(keyValue, query, headers['Last-Event-ID'] ?? query.from);
    checkReady(keyValue);
    const byLine = accepts(headers.Accept, ndjson);
    const type = waitMs !== undefined ? json : byLine ? ndjson : eventStream;
    const streamHeaders = ['Content-Type', type, 'Cache-Control', 'no-store', 'X-Accel-Buffering', 'no', ...freshness()];
    if (request.method === 'HEAD') return headersAlone(rooms, response, streamHeaders);
    if (waitMs !== undefined) return answerPoll(rooms, response, planned, waitMs);
    const [transport, format] = byLine ? (['ndjson', lines] as const) : (['sse', serverSentEvents] as const);
    await tellStream(rooms, response, planned, { transport, format, headers: streamHeaders });
    return undefined;
  }

  return { path: watchKeys.path, methods: { GET: answering(rooms, watchKeys, watch) } };
}

/** Errors: `bad-request`, `key-invalid`. */
function plan(keyValue: KeyValue, query: CallOf<typeof watchKeys>['query'], text: string | undefined): Watch {
  const { key, prefix } = query;
  if ((key === undefined) === (prefix === undefined)) {
    throw new BitacoraError('bad-request', 'either key or prefix is needed, and not both; prefix= stands for all keys');
  }
  // The service says what a key may be.
  if (key !== undefined) keyValue.peek(key);
  else checkPrefix(prefix ?? '');
  const seen = text === undefined ? undefined : seenIn(text, keyValue, key);
  const initial = isSet(query.initial);
  return {
    begin: (signal) => keyValue.watch({ key, prefix, from: seen?.from, initial, signal }),
    progress: new Progress(keyValue, seen?.token),
    startsWithState: initial && seen === undefined,
  };
}

/** What a node tells that is still catching up would be old, and half of it. Errors: `draining`, `position-not-reached`. */
function checkReady(keyValue: KeyValue): void {
  const { ready, state } = keyValue.status;
  if (ready) return;
  if (state === 'draining' || state === 'stopped') throw new BitacoraError('draining', 'the node is going away: watch another');
  throw new BitacoraError('position-not-reached', `this node is ${state}, and not at the end of the log yet`);
}

/** As the stream would begin. */
function headersAlone({ streams }: V1Rooms, response: ServerResponse<IncomingMessage>, headers: readonly string[]): undefined {
  response.writeHead(200, [...headers, ...(streams.begin(response) ? ['Connection', 'close'] : [])]);
  response.end();
}
