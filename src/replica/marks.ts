/**
 * Marks: records under a system key at which every node takes a digest of its state. Because all see them at the same place of the log, all
 * take it of the same state, however differently the log was cut into batches for them.
 */
import { looseTextOf } from '../core/bytes.ts';
import { isMarkKey } from '../core/keys.ts';
import type { DecodedRun } from '../core/machine.ts';
import type { LogBatch, LogRecord, Millis, Position } from '../ports.ts';

export interface Mark {
  readonly position: Position;
  /** Log time. */
  readonly time: Millis;
  /** The verification that it belongs to. */
  readonly run: string;
}

/** A batch as several, each but the last with a mark at its end. */
export function cutAtMarks(batch: LogBatch, run: DecodedRun): readonly { readonly batch: LogBatch; readonly run: DecodedRun }[] {
  const cuts: number[] = [];
  // Of the millions of records of a restore none is a mark: nothing is made for those that are not.
  for (let i = 0; i < run.length - 1; i++) {
    const decoded = run[i];
    if (decoded !== undefined && typeof decoded !== 'string' && isMarkKey(decoded.key)) cuts.push(i + 1);
  }
  if (cuts.length === 0) return [{ batch, run }];
  const ends = [...cuts, run.length];
  return ends.map((end, i) => {
    const start = cuts[i - 1] ?? 0;
    const [before, last] = [batch.records[start - 1], batch.records[end - 1] as LogRecord];
    const first = before === undefined ? batch.first : ((before.offset + 1) as typeof batch.first);
    const next = i < cuts.length ? ((last.offset + 1) as typeof batch.next) : batch.next;
    return { batch: { ...batch, first, next, records: batch.records.slice(start, end) }, run: run.slice(start, end) };
  });
}

/** Undefined: the batch does not end with one. */
export function markAtEnd({ partition, records }: LogBatch, run: DecodedRun): Mark | undefined {
  const [record, decoded] = [records.at(-1), run.at(-1)];
  if (record === undefined || decoded === undefined || typeof decoded === 'string' || !isMarkKey(decoded.key)) return undefined;
  if (record.value === null || record.value.length > 64) return undefined;
  return { position: { partition, offset: record.offset }, time: record.time, run: looseTextOf(record.value) };
}
