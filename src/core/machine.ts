/**
 * The key-value machine: what a run of the log does to the state of its partition. Pure: records and the entries they touch go in, the
 * new entries come out; the caller reads, writes and waits.
 *
 * The place in the log decides, never a clock: the only times used are the records' own log times. The rules of conditional records and
 * statements exist because compaction keeps the newest *record* of a key, not the newest *accepted* one (docs/consistency.md):
 *
 *   - a key is *unsettled* while its newest record is conditional or was ignored; a statement settles it;
 *   - a statement is adopted if the key's version is at or below its `asof`, and settles if `asof` is at or beyond every record of the key
 *     that is no statement;
 *   - a statement that comes more than half the compaction lag after its `at` is ignored by all;
 *   - a writer's sequence numbers count for half the compaction lag of log time.
 */
import type { Entry, LogRecord, Millis, Offset, Partition, WriterMark } from '../ports.ts';
import { genesisKey } from './keys.ts';
import { LoggedPut } from './logged-put.ts';
import { partitionOf } from './partitioner.ts';
import { never } from './position.ts';
import { type Condition, type Decoded, decodeRecord, type UnreadableReason } from './record.ts';

export interface Rules {
  readonly partition: Partition;
  readonly partitions: number;
  readonly compactionLagMs: number;
}

/** A record of a batch as understood, side by side with the record itself. */
export type DecodedRun = readonly (Decoded | UnreadableReason)[];

export interface Skip {
  readonly record: LogRecord;
  readonly reason: UnreadableReason;
}

/** What a batch came to. */
export interface Step {
  /** Final entry of each key touched; undefined: swept. */
  readonly entries: Map<string, Entry | undefined>;
  /** Change in the number of entries. */
  readonly added: number;
  readonly writers: Map<string, WriterMark>;
  readonly skipped: readonly Skip[];
  /** Log time of the newest record, or the one given when there was none. */
  readonly logTime: Millis;
  /** How many records of each operation were applied. */
  readonly applied: ReadonlyMap<string, number>;
}

/** Understands a batch. Keys that belong to another partition are not served: their order against it is undefined. */
export function decodeRun(records: readonly LogRecord[], rules: Rules): DecodedRun {
  return records.map((record) => {
    const decoded = decodeRecord(record);
    if (typeof decoded === 'string') return decoded;
    return partitionOf(record.key as Uint8Array, rules.partitions) === rules.partition ? decoded : 'wrong-partition';
  });
}

/** True when `holds` is true of the key of every record that was understood. */
export function everyKey(run: DecodedRun, holds: (key: string) => boolean): boolean {
  return run.every((decoded) => typeof decoded === 'string' || holds(decoded.key));
}

/** The distinct keys whose entries `step` will look up. */
export function keysOf(run: DecodedRun): string[] {
  const keys = new Set<string>();
  for (const decoded of run) if (typeof decoded !== 'string') keys.add(decoded.key);
  return [...keys];
}

/** True when the entry is there to be read at `now`: neither deleted nor past its deadline. */
export function isLive(entry: Entry, now: Millis): boolean {
  return !entry.deleted && (entry.expires === 0 || entry.expires > now);
}

/**
 * Applies records, in order. `current` holds the entry of every key of `keysOf(run)` that the store has; `marks` the partition's writer
 * marks. Neither is changed.
 */
export function step(
  records: readonly LogRecord[],
  run: DecodedRun,
  current: ReadonlyMap<string, Entry>,
  marks: ReadonlyMap<string, WriterMark>,
  before: Millis,
  rules: Rules,
): Step {
  const entries = new Map<string, Entry | undefined>();
  const writers = new Map<string, { sequence: number; time: Millis }>();
  const skipped: Skip[] = [];
  const applied = new Map<string, number>();
  let logTime = before;
  // The writer of the record before, who is nearly always the next one's too, with the mark before this run and the one in `writers`.
  let writer = '';
  let old: WriterMark | undefined;
  let mark: { sequence: number; time: Millis } | undefined;
  let operation: string | undefined;
  let count = 0;
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as LogRecord;
    const decoded = run[i] as Decoded | UnreadableReason;
    if (record.time > logTime) logTime = record.time;
    if (typeof decoded === 'string') {
      skipped.push({ record, reason: decoded });
      continue;
    }
    const key = decoded.key;
    if (decoded.writer !== writer) {
      writer = decoded.writer;
      old = writer === '' ? undefined : marks.get(writer);
      mark = writer === '' ? undefined : writers.get(writer);
    }
    const duplicate = isDuplicate(record, decoded.sequence, mark ?? old, rules);
    if (mark !== undefined && !duplicate) {
      mark.sequence = decoded.sequence;
      mark.time = record.time;
    } else if (writer !== '' && !duplicate) {
      mark = { sequence: decoded.sequence, time: record.time };
      writers.set(writer, mark);
    }
    // A plain write is what it is, whatever was there before: most of the work of a restore is here.
    const plain = !duplicate && (decoded.operation === 'put' || decoded.operation === 'delete') && key !== genesisKey;
    if (plain) entries.set(key, decoded instanceof LoggedPut ? decoded : written(record, decoded, true));
    else entries.set(key, next(record, decoded, entries.has(key) ? entries.get(key) : current.get(key), duplicate, rules));
    if (decoded.operation !== operation) {
      if (operation !== undefined) applied.set(operation, (applied.get(operation) ?? 0) + count);
      operation = decoded.operation;
      count = 0;
    }
    count++;
  }
  if (operation !== undefined) applied.set(operation, (applied.get(operation) ?? 0) + count);
  let added = 0;
  for (const [key, entry] of entries) added += (entry === undefined ? 0 : 1) - (current.has(key) ? 1 : 0);
  return { entries, added, writers, skipped, logTime, applied };
}

/** The writer has written this before: its sequence number is not above the mark, and that is not long ago. */
function isDuplicate(record: LogRecord, sequence: number, mark: WriterMark | undefined, rules: Rules): boolean {
  return mark !== undefined && sequence <= mark.sequence && record.time - mark.time <= rules.compactionLagMs / 2;
}

function next(record: LogRecord, decoded: Decoded, held: Entry | undefined, duplicate: boolean, rules: Rules): Entry | undefined {
  switch (decoded.operation) {
    case 'put':
    case 'delete':
      // Nobody may give the topic another identity: it is stated again, or compaction would leave only this record.
      return duplicate || decoded.key === genesisKey ? ignored(record, held) : written(record, decoded, true);
    case 'conditional-put':
    case 'conditional-delete': {
      const holds = !duplicate && met(decoded.condition as Condition, held, record.time);
      return holds ? written(record, decoded, false) : ignored(record, held);
    }
    case 'statement':
      return stated(record, decoded, held, rules);
    case 'tombstone':
      return held === undefined || !isLive(held, record.time) ? undefined : ignored(record, held);
  }
}

function written(record: LogRecord, decoded: Decoded, settled: boolean): Entry {
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
function ignored(record: LogRecord, held: Entry | undefined): Entry {
  return unsettled(held ?? absent, record.offset);
}

/** Field by field: a put of the same batch (logged-put.ts) cannot be copied otherwise. */
function unsettled(held: Entry, newest: Offset): Entry {
  const { version, deleted, value, time, expires, id, by, contentType } = held;
  return { version, newest, settled: false, deleted, value, time, expires, id, by, contentType };
}

/** A condition is decided against the state at the record's place, at the record's own log time. */
function met(condition: Condition, held: Entry | undefined, at: Millis): boolean {
  const live = held !== undefined && isLive(held, at);
  return condition === 'absent' ? !live : live && held.version === condition;
}

function stated(record: LogRecord, decoded: Decoded, held: Entry | undefined, rules: Rules): Entry {
  const statement = decoded.stated;
  if (statement === undefined) throw new Error('a statement without its headers was let through by decodeRecord');
  const late = record.time - statement.at > rules.compactionLagMs / 2;
  if (late || (held !== undefined && held.version > statement.asof)) return unsettled(held ?? absent, (held ?? absent).newest);
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
