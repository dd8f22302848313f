/** `POST` that makes a key what it was. */
import { BitacoraError } from '../../../src/core/errors.ts';
import { readBody } from '../body.ts';
import type { Route } from '../exchange.ts';
import { withDeadline } from '../wait.ts';
import { answering, type CallOf, type Told } from './answering.ts';
import { deadlineOf } from './deadline.ts';
import { revertKey } from './history-operations.ts';
import { momentOf } from './moment.ts';
import { expectationOf } from './preconditions.ts';
import { patience, readingOf } from './reading.ts';
import type { V1Rooms } from './rooms.ts';
import { keyOf } from './target.ts';
import { removedAnswer, writtenAnswer } from './written.ts';

/** How long the log is read when the caller does not say, in milliseconds: as `KeyValue.history` has it. */
const usualReadMs = 5_000;

export function revertRoute(rooms: V1Rooms): Route {
  const { keyValue, limits } = rooms;

  async function post({ request, response, query, headers, session }: CallOf<typeof revertKey>): Promise<Told> {
    const key = keyOf(request.url ?? '', revertKey.path);
    const now = Date.now();
    const at = momentOf(query.at, 'at', now);
    const expires = deadlineOf(query, now);
    const condition = expectationOf(headers, session.log);
    checkAsked(request.headers.origin, headers);
    await readBody(request, { maxBytes: 0, tooLarge: () => new BitacoraError('bad-request', 'a revert takes no body') });
    const { consistency, waitMs } = readingOf(query.consistency, headers.Prefer);
    const patiently = patience(response, waitMs);
    const { seen } = session;
    const written = await patiently(({ waitMs: left }) =>
      withDeadline(response, limits.writeTimeoutMs + (left ?? usualReadMs), (signal) =>
        keyValue.revert(key, at, { signal, waitMs: left, consistency, seen, condition, expires }),
      ),
    );
    session.note(written.position);
    return written.found === undefined ? removedAnswer : writtenAnswer(key, written, expires, condition, session.log);
  }

  return { path: revertKey.path, pattern: /^\/v1\/revert\//, methods: { POST: answering(rooms, revertKey, post) } };
}

/** A page of another site can have a browser send a POST, with an `Origin`, but without headers that it would have to ask for first. */
const unaskable = ['If-Match', 'If-None-Match', 'Bitacora-Min-Position', 'Prefer'] as const;

function checkAsked(origin: string | undefined, headers: CallOf<typeof revertKey>['headers']): void {
  if (origin === undefined || unaskable.some((name) => headers[name] !== undefined)) return;
  throw new BitacoraError('bad-request', 'from a page a revert needs If-Match: other sites could send it otherwise');
}
