/** `GET` and `HEAD` of a key's versions. */
import { formatPosition } from '../../../src/core/position.ts';
import type { History, Version } from '../../../src/ports.ts';
import type { Route } from '../exchange.ts';
import { answering, type CallOf, jsonAnswer, type Told } from './answering.ts';
import { isoOf } from './deadline.ts';
import { getHistory } from './history-operations.ts';
import type { HistoryBody, HistoryItem } from './history-shapes.ts';
import { momentOf, placeOf } from './moment.ts';
import { patience, readingOf } from './reading.ts';
import { valueOr64 } from './representation.ts';
import type { V1Rooms } from './rooms.ts';
import type { Static } from './schema.ts';
import { keyOf } from './target.ts';

const usualLimit = 100;

export function historyRoute(rooms: V1Rooms): Route {
  async function get({ request, response, query, headers, session }: CallOf<typeof getHistory>): Promise<Told> {
    const key = keyOf(request.url ?? '', getHistory.path);
    const since = query.since === undefined ? undefined : momentOf(query.since, 'since', Date.now());
    const before = query.before === undefined ? undefined : placeOf(query.before, 'before');
    const { consistency, waitMs } = readingOf(query.consistency, headers.Prefer);
    const asked = { limit: query.limit ?? usualLimit, before, since, consistency, seen: session.seen };
    const history = await patience(response, waitMs)((options) => rooms.keyValue.history(key, { ...options, ...asked }));
    // What is shown is seen, and the newest is the first.
    session.note(history.versions[0]?.version);
    return jsonAnswer(bodyOf(key, history));
  }

  return { path: getHistory.path, pattern: /^\/v1\/history\//, methods: { GET: answering(rooms, getHistory, get) } };
}

function bodyOf(key: string, { versions, completeSince, next }: History): Static<typeof HistoryBody> {
  const { position, time } = completeSince;
  return {
    key,
    versions: versions.map(itemOf),
    complete_since: { position: formatPosition(position), time: isoOf(time ?? 0) ?? null },
    cursor: next === undefined ? null : formatPosition(next),
  };
}

function itemOf({ version, time, found, id, by }: Version): Static<typeof HistoryItem> {
  const told = { version: formatPosition(version), time: isoOf(time) ?? null, id, by };
  if (found === undefined) return { ...told, op: 'delete', content_type: null, expires: null, size: 0 };
  const { value, contentType, expires } = found;
  const about = { content_type: contentType === '' ? null : contentType, expires: isoOf(expires) ?? null, size: value.length };
  return { ...told, op: 'put', ...valueOr64(value), ...about };
}
