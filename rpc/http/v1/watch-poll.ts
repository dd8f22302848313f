/** A watch as a long poll: what there is, or the first that comes, or nothing at the end of the wait. */
import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import type { WatchEvent } from '../../../src/ports.ts';
import { jsonAnswer, type Told } from './answering.ts';
import { maxAnswerBytes, type V1Rooms } from './rooms.ts';
import { lineOf } from './watch-formats.ts';
import { anew } from './watch-position.ts';
import type { Watch } from './watch-route.ts';

/** Errors: those of `KeyValue.watch`; `draining`. */
export async function answerPoll(rooms: V1Rooms, response: ServerResponse, watch: Watch, waitMs: number): Promise<Told> {
  const ending = rooms.streams.open(response);
  const { signal } = ending;
  const { progress } = watch;
  let waited = false;
  /** Something was told, if only how far it is: a poll that never comes to that would begin at the same place for ever. */
  let moved = false;
  const timer = setTimeout(() => {
    waited = true;
    // A state that is being told is told to its end.
    if (progress.whole && moved) ending.abort();
  }, waitMs);
  const told: string[] = [];
  let bytes = 0;
  /** A state was told, perhaps an empty one. */
  let state = watch.startsWithState;
  rooms.observeWatch('opened', 'poll');
  const events = watch.begin(signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = events.next();
      next.catch(() => undefined);
      const enough = progress.whole && moved && (told.length > 0 || state || waited);
      // With something to tell, only what is there already is waited for.
      const result: IteratorResult<WatchEvent> | undefined = enough ? await Promise.race([next, turn(undefined)]) : await next;
      if (result === undefined || result.done) break;
      const event = result.value;
      progress.after(event);
      moved = true;
      if (event.kind === 'reset') {
        state = true;
        told.length = 0;
        bytes = 0;
      }
      if (event.kind === 'sync') continue;
      const line = lineOf(event, undefined);
      told.push(line);
      rooms.observeWatch('told', 'poll');
      bytes += line.length;
      if (bytes > maxAnswerBytes) break;
    }
    // In the middle of a state, because the node drains or the state is too large.
    if (!progress.whole) {
      signal.throwIfAborted();
      return answer(['{"event":"reset"}'], anew);
    }
    return answer(told, progress.position);
  } finally {
    clearTimeout(timer);
    ending.abort();
    rooms.observeWatch('closed', 'poll');
    // What fails now fails for nobody: the watch is over.
    void events.return?.().catch(() => undefined);
  }
}

function answer(events: readonly string[], position: string): Told {
  return { ...jsonAnswer(undefined), body: `{"events":[${events.join(',')}],"position":${JSON.stringify(position)}}\n` };
}
