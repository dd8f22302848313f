/**
 * Entries: what is held under a key, and what each kind of record makes of it. Pure; which record has its effect is decided in deciding.ts.
 */
import type { Entry, LogRecord, Millis, Offset } from '../ports.ts';
import { never } from './position.ts';
import type { Condition, Decoded, Stated } from './record.ts';

/** True when the entry is there to be read at `now`: neither deleted nor past its deadline. */
export function isLive(entry: Entry, now: Millis): boolean {
  return !entry.deleted && (entry.expires === 0 || entry.expires > now);
}

/** What a put or delete leaves under its key where it has its effect. */
export function written(record: LogRecord, decoded: Decoded, settled: boolean): Entry {
  const deleted = decoded.operation === 'delete' || decoded.operation === 'conditional-delete';
  return {
    version: record.offset,
    newest: record.offset,
    settled,
    deleted,
    value: deleted || record.value === null ? nothing : record.value,
    time: record.time,
    expires: deleted ? (0 as Millis) : decoded.expires,
    id: decoded.id,
    by: decoded.by,
    contentType: deleted ? '' : decoded.contentType,
  };
}

/** The record changes nothing, but it is now the newest of its key, so the value must be stated again. */
export function ignored(record: LogRecord, held: Entry | undefined): Entry {
  return unsettled(held ?? absent, record.offset);
}

/** Field by field: a put of the same batch (logged-put.ts) cannot be copied otherwise. */
function unsettled(held: Entry, newest: Offset): Entry {
  const { version, deleted, value, time, expires, id, by, contentType } = held;
  return { version, newest, settled: false, deleted, value, time, expires, id, by, contentType };
}

/** A condition is decided against the state at the record's place, at the record's own log time. */
export function met(condition: Condition | undefined, held: Entry | undefined, at: Millis): boolean {
  if (condition === undefined) return true;
  const live = held !== undefined && isLive(held, at);
  if (condition === 'absent') return !live;
  if (condition === 'never') return false;
  return live && (condition === 'present' || held.version === condition);
}

/** What a statement leaves: its value if the key is no newer than its author knew; otherwise what was held, which is to be stated again. */
export function stated(record: LogRecord, decoded: Decoded, held: Entry | undefined, compactionLagMs: number): Entry {
  const statement = decoded.stated;
  if (statement === undefined) throw new Error('a statement without its headers was let through by decodeRecord');
  const late = record.time - statement.at > compactionLagMs / 2;
  if (late || isOfAnotherLog(record, statement) || (held !== undefined && held.version > statement.asof))
    return unsettled(held ?? absent, (held ?? absent).newest);
  const newest = held === undefined ? statement.version : held.newest;
  return {
    version: statement.version,
    newest,
    settled: statement.asof >= newest,
    deleted: statement.deleted,
    value: statement.deleted || record.value === null ? nothing : record.value,
    time: statement.time,
    expires: statement.deleted ? (0 as Millis) : decoded.expires,
    id: statement.id,
    by: statement.by,
    contentType: statement.deleted ? '' : decoded.contentType,
  };
}

/** Its author knew what this log does not hold yet: it was on its way when the topic was made anew. */
export function isOfAnotherLog({ offset }: LogRecord, { version, asof }: Stated): boolean {
  return asof >= offset || version >= offset;
}

const nothing = new Uint8Array(0);

/** What is held under a key that was never written but has a record: needed to remember that the record waits for a statement. */
const absent: Entry = {
  version: never,
  newest: never as Offset,
  settled: true,
  deleted: true,
  value: nothing,
  time: 0 as Millis,
  expires: 0 as Millis,
  id: '',
  by: '',
  contentType: '',
};
