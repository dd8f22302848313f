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
import type { Answer, Entry, Fate, LogRecord, Millis, Offset, Partition, WriterMark } from '../ports.ts';
import { type Basis, type Change, Deciding, type Decision } from './deciding.ts';
import { genesisKey } from './keys.ts';
import { partitionOf } from './partitioner.ts';
import { type Decoded, decodeRecord, type UnreadableReason } from './record.ts';

export { answerKey, type Change, type Decision } from './deciding.ts';
export { isLive, met } from './entries.ts';

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
  /** Of the keys touched, those whose value this node does not know for certain; all are unsettled. */
  readonly doubtful: ReadonlySet<string>;
  /** Change in the number of entries. */
  readonly added: number;
  readonly writers: Map<string, WriterMark>;
  /** New answers to idempotency keys, by `answerKey`. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** What those who wait for it have to hear. */
  readonly decisions: readonly Decision[];
  /** In the log's order; none unless they are watched. */
  readonly changes: readonly Change[];
  /** Of the records that did not simply have their effect, in the log's order. */
  readonly fates: ReadonlyMap<Offset, Fate>;
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

/** What a partition has come to, and whether this node may judge what follows. */
export interface State extends Omit<Basis, 'compactionLagMs'> {
  /** The entry of every key of `keysOf(run)` that the store has. */
  readonly current: ReadonlyMap<string, Entry>;
  readonly marks: ReadonlyMap<string, WriterMark>;
  /** Log time of the newest record. */
  readonly logTime: Millis;
}

/** Applies records, in order, to a state, which is not changed. A run does not end inside an atomic batch (`wholeUntil`). */
export function step(records: readonly LogRecord[], run: DecodedRun, state: State, rules: Rules): Step {
  const { current, marks } = state;
  const deciding = new Deciding({ ...state, compactionLagMs: rules.compactionLagMs });
  const writers = new Map<string, { sequence: number; time: Millis }>();
  const skipped: Skip[] = [];
  const applied = new Map<string, number>();
  let logTime = state.logTime;
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
      deciding.interrupted();
      skipped.push({ record, reason: decoded });
      continue;
    }
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
    if (!duplicate && isPlain(decoded)) deciding.write(record, decoded);
    else deciding.decide(record, decoded, duplicate);
    if (decoded.operation !== operation) {
      if (operation !== undefined) applied.set(operation, (applied.get(operation) ?? 0) + count);
      operation = decoded.operation;
      count = 0;
    }
    count++;
  }
  if (operation !== undefined) applied.set(operation, (applied.get(operation) ?? 0) + count);
  deciding.interrupted();
  const { entries, answers, decisions, changes, fates, doubtful } = deciding;
  let added = 0;
  for (const [key, entry] of entries) added += (entry === undefined ? 0 : 1) - (current.has(key) ? 1 : 0);
  return { entries, doubtful, added, writers, answers, decisions, changes, fates, skipped, logTime, applied };
}

function isPlain({ operation, key, idempotencyKey, batch }: Decoded): boolean {
  return (operation === 'put' || operation === 'delete') && idempotencyKey === '' && batch === undefined && key !== genesisKey;
}

/**
 * How many of the records can be applied now: not those of an atomic batch at the run's end whose others are still to come. They stand side
 * by side and came into the log together, so all are there once the log is known up to `next`.
 */
export function wholeUntil(records: readonly LogRecord[], run: DecodedRun, next: Offset): number {
  const decoded = run.at(-1);
  if (decoded === undefined || typeof decoded === 'string' || decoded.batch === undefined) return records.length;
  const { id, index, count } = decoded.batch;
  const last = (records.at(-1) as LogRecord).offset + count - 1 - index;
  if (last < next) return records.length;
  return run.findIndex((each) => typeof each !== 'string' && each.batch?.id === id);
}

/** The writer has written this before: its sequence number is not above the mark, and that is not long ago. */
function isDuplicate(record: LogRecord, sequence: number, mark: WriterMark | undefined, rules: Rules): boolean {
  return mark !== undefined && sequence <= mark.sequence && record.time - mark.time <= rules.compactionLagMs / 2;
}
