/** `GET /v1/kv`: pages of keys and counts; `DELETE /v1/kv`: all keys under a prefix. */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Route } from '../exchange.ts';
import { answering, type CallOf, jsonAnswer, type Told } from './answering.ts';
import { afterCursor, cursorOf } from './cursor.ts';
import { Footing } from './footing.ts';
import { deletePrefix, listKeys, maxCount } from './list-operations.ts';
import { readPage } from './page.ts';
import { isSet } from './parameters.ts';
import { deleteUnder, deletingFrom } from './prefix-delete.ts';
import { checkPrefix, type Patiently, patience, readingOf } from './reading.ts';
import { listedItem } from './representation.ts';
import type { V1Rooms } from './rooms.ts';
import type { Session } from './session.ts';
import { ndjson } from './shapes.ts';

const usualLimit = 100;

export function listRoute(rooms: V1Rooms): Route {
  const { keyValue } = rooms;

  async function list(call: CallOf<typeof listKeys>): Promise<Told> {
    const { response, query, headers, session } = call;
    const { prefix = '', delimiter, limit = usualLimit, cursor } = query;
    checkPrefix(prefix);
    const { consistency, waitMs } = readingOf(query.consistency, headers.Prefer);
    const patiently = patience(response, waitMs);
    const keysOnly = isSet(query.keys_only);
    const footing = new Footing(keyValue, { consistency, seen: session.seen });
    const options = { prefix, delimiter, footing, patiently, withValues: !keysOnly };
    if (isSet(query.count)) {
      if (delimiter !== undefined || cursor !== undefined || query.format === 'ndjson') {
        throw new BitacoraError('bad-request', 'count goes with prefix and consistency alone');
      }
      // A count cannot wait for what its caller has seen; a page can.
      if (consistency !== 'local' || session.seen !== undefined) await readPage(rooms, session, { ...options, after: undefined, limit: 1 });
      return jsonAnswer(await counted(session, prefix, footing, patiently));
    }
    const page = await readPage(rooms, session, { ...options, after: afterCursor(cursor, prefix), limit });
    const items = page.items.map((item) => listedItem(item, keysOnly));
    const end = { cursor: page.next === undefined ? null : cursorOf(page.next), position: session.token };
    if (query.format !== 'ndjson') return jsonAnswer({ items, prefixes: page.prefixes, ...end });
    const lines = [...items, ...page.prefixes.map((each) => ({ prefix: each })), end];
    return { ...jsonAnswer(undefined), type: ndjson, body: lines.map((line) => `${JSON.stringify(line)}\n`).join('') };
  }

  async function counted(
    session: Session,
    prefix: string,
    footing: Footing,
    patiently: Patiently,
  ): Promise<{ count: number; more: boolean }> {
    // From here on it is of one store, or fails.
    footing.holds(keyValue.status.applied);
    // One beyond the bound tells whether there are more.
    const count = await patiently(({ signal }) => keyValue.count(prefix, maxCount + 1, signal));
    // All that could have been counted, and so perhaps more than was.
    session.noteApplied(keyValue.status.applied);
    return { count: Math.min(count, maxCount), more: count > maxCount };
  }

  async function remove(call: CallOf<typeof deletePrefix>): Promise<Told> {
    const { prefix, confirm } = call.query;
    checkPrefix(prefix);
    if (isSet(call.query.dry_run)) return jsonAnswer(await wouldDelete(call, prefix));
    if (confirm !== prefix) {
      throw new BitacoraError('bad-request', 'confirm must be the prefix once more; dry_run=1 tells how many keys it is about');
    }
    return jsonAnswer(await deleteUnder(rooms, call, prefix));
  }

  async function wouldDelete({ response, session }: CallOf<typeof deletePrefix>, prefix: string): ReturnType<typeof counted> {
    const patiently = patience(response, undefined);
    const footing = deletingFrom(keyValue, session);
    await readPage(rooms, session, { prefix, after: undefined, delimiter: undefined, limit: 1, footing, patiently, withValues: false });
    return counted(session, prefix, footing, patiently);
  }

  return { path: listKeys.path, methods: { GET: answering(rooms, listKeys, list), DELETE: answering(rooms, deletePrefix, remove) } };
}
