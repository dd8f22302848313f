/** What the tests of the record codec and of the machine share: keys of one partition, authors, and a log of one partition. */
import { asciiBytes, bytesOf } from '../../src/core/bytes.ts';
import { decodeRun, keysOf, type Rules, type Step, step } from '../../src/core/machine.ts';
import {
  type Authorship,
  type Condition,
  conditionalPutRecord,
  deleteRecord,
  putRecord,
  type Stated,
  statementRecord,
  type WriteDetails,
} from '../../src/core/record.ts';
import type { Answer, Entry, LogRecord, Millis, NewRecord, Offset, Partition, WriterMark } from '../../src/ports.ts';

export const lagMs = 3_600_000;
/** One partition, so that every key belongs to it. */
export const rules: Rules = { partition: 0 as Partition, partitions: 1, compactionLagMs: lagMs };
export const startMs = 1_700_000_000_000;

/** A record at its place. `atMs` counts from the start of the log. */
export function at(offset: number, record: NewRecord, atMs = offset): LogRecord {
  return { ...record, offset: offset as Offset, time: (startMs + atMs) as Millis };
}

export const by = (sequence: number, writer = 'n1/a'): Authorship => ({ id: `id-${writer}-${sequence}`, by: `${writer}/${sequence}` });
export const put = (key: string, value: string, author = by(0, ''), more?: WriteDetails): NewRecord =>
  bare(putRecord(bytesOf(key), bytesOf(value), author, more), author);
export const del = (key: string, author = by(0, '')): NewRecord => bare(deleteRecord(bytesOf(key), author), author);
export const ifMatch = (key: string, value: string, condition: Condition, author: Authorship): NewRecord =>
  conditionalPutRecord(bytesOf(key), bytesOf(value), condition, author);
/** A conditional delete: read by every node, though no face of ours writes it yet. */
export const ifDelete = (key: string, condition: Condition, author: Authorship): NewRecord => {
  const record = conditionalPutRecord(bytesOf(key), new Uint8Array(0), condition, author);
  return { ...record, headers: { ...record.headers, op: asciiBytes('cd') } };
};
export const tombstone = (key: string): NewRecord => ({ key: bytesOf(key), value: null, headers: { op: asciiBytes('t') } });
/** Another producer's null. */
export const foreignNull = (key: string): NewRecord => ({ key: bytesOf(key), value: null, headers: {} });

/** States a value, or absence when `value` is undefined. */
export function state(key: string, value: string | undefined, stated: Partial<Stated>, author = by(0, '')): NewRecord {
  const whole = { deleted: value === undefined, version: 0, asof: 0, at: startMs, id: 'vid', by: 'n1/a/1', time: startMs, ...stated };
  return bare(statementRecord(bytesOf(key), bytesOf(value ?? ''), whole as Stated, author, {}), author);
}

/** A record of nobody in particular has no author's headers. */
function bare(record: NewRecord, author: Authorship): NewRecord {
  if (author.by !== '/0') return record;
  const { id: _id, by: _by, ...headers } = record.headers as Record<string, Uint8Array>;
  return { ...record, headers };
}

/** A partition's state, as a node holds it. */
export interface PartitionState {
  readonly entries: Map<string, Entry>;
  readonly writers: Map<string, WriterMark>;
  readonly answers: Map<string, Answer>;
  readonly doubtful: Set<string>;
  /** A jump in offsets is unresolved. */
  inDoubt: boolean;
  logTime: Millis;
  count: number;
}

export const fresh = (): PartitionState => ({
  ...{ entries: new Map(), writers: new Map(), answers: new Map(), doubtful: new Set() },
  ...{ inDoubt: false, logTime: 0 as Millis, count: 0 },
});

/** Applies a run of the log to a state, as the apply loop does. */
export function apply(held: PartitionState, records: readonly LogRecord[], by: Rules = rules): Step {
  const run = decodeRun(records, by);
  const current = new Map<string, Entry>();
  for (const key of keysOf(run)) {
    const entry = held.entries.get(key);
    if (entry !== undefined) current.set(key, entry);
  }
  const { writers: marks, answers, logTime, inDoubt } = held;
  const state = { current, marks, answers, doubtful: (key: string) => held.doubtful.has(key), inDoubt, watched: true, logTime };
  const result = step(records, run, state, by);
  for (const [key, entry] of result.entries) {
    if (entry === undefined) held.entries.delete(key);
    else held.entries.set(key, entry);
  }
  for (const [writer, mark] of result.writers) held.writers.set(writer, mark);
  for (const [id, answer] of result.answers) held.answers.set(id, answer);
  for (const key of result.entries.keys()) {
    if (result.doubtful.has(key)) held.doubtful.add(key);
    else held.doubtful.delete(key);
  }
  held.logTime = result.logTime;
  held.count += result.added;
  return result;
}

/** The entry under a key after a whole log. */
export function entryAfter(records: readonly LogRecord[], key = 'k'): Entry | undefined {
  const held = fresh();
  apply(held, records);
  return held.entries.get(key);
}

export const textIn = (entry: Entry | undefined): string | undefined =>
  entry === undefined || entry.deleted ? undefined : Buffer.from(entry.value).toString();
