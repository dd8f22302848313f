/** Reading the embedded log forward, and refusing to read past damage: a hole that compaction did not make, or a checksum that does not fit. */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { LogRecord, Offset, Partition } from '../../../src/ports.ts';
import type { Level } from '../../level.ts';
import type { Chunk, ReadLimits } from '../reader-shared.ts';
import type { Ends } from './ends.ts';
import { decodeRecord } from './record.ts';
import { DamagedRow, offsetOfKey, recordKey } from './rows.ts';

/** How much LevelDB hands over at a time, in bytes and rows. */
const pieceBytes = 256 * 1024;
const pieceRows = 256;

/** Reads from an offset below the end. Errors: `log-unavailable` naming the offset of the damage. */
export async function readRecords(level: Level, ends: Ends, partition: Partition, from: Offset, limits: ReadLimits): Promise<Chunk> {
  const end = ends.of(partition).next;
  const range = { gte: recordKey(partition, from), lt: recordKey(partition, end) };
  const iterator = level.iterator({ ...range, highWaterMarkBytes: Math.min(pieceBytes, limits.maxBatchBytes) });
  const records: LogRecord[] = [];
  let next: Offset | undefined;
  try {
    let bytes = 0;
    while (next === undefined) {
      const rows = await iterator.nextv(Math.min(pieceRows, limits.maxBatchRecords - records.length));
      for (const [key, row] of rows) {
        bytes += row.length;
        // At the limit the batch ends behind its last record: what follows may be a hole, and belongs to the next.
        if (records.length > 0 && bytes > limits.maxBatchBytes) {
          next = after(records);
          break;
        }
        records.push(decode(partition, key, row));
      }
      if (rows.length === 0) next = end;
      else if (records.length >= limits.maxBatchRecords || after(records) === end) next ??= after(records);
    }
  } finally {
    await iterator.close();
  }
  // Asked after the rows were read: what compaction has removed by then lies below the claim it made before.
  refuseHoles(partition, from, next, records, ends.cleaned(partition));
  return { records, next };
}

/** What a damaged row at this place means for whoever wanted to read past it. */
export function damaged(partition: Partition, offset: Offset, what: string, cause?: unknown): BitacoraError {
  const detail = `the embedded log is damaged at ${partition}:${offset}: ${what}. It is not served past this place. Stop the node and restore the log's directory from a copy; or move it away to begin an empty log, which gives up what other nodes or the node's own database do not have`;
  return new BitacoraError('log-unavailable', detail, { cause });
}

function decode(partition: Partition, key: Uint8Array, row: Uint8Array): LogRecord {
  const offset = offsetOfKey(key);
  try {
    return decodeRecord(key, offset, row);
  } catch (error) {
    if (error instanceof DamagedRow) throw damaged(partition, offset, 'the checksum of the record does not fit', error);
    throw error;
  }
}

const after = (records: readonly LogRecord[]): Offset => ((records.at(-1)?.offset ?? -1) + 1) as Offset;

function refuseHoles(partition: Partition, from: Offset, next: Offset, records: readonly LogRecord[], cleaned: Offset): void {
  if (records.length === next - from) return;
  let expected: number = Math.max(from, cleaned);
  for (const { offset } of records) {
    if (offset < expected) continue;
    if (offset > expected) break;
    expected += 1;
  }
  if (expected < next) throw damaged(partition, expected as Offset, 'a record is missing that compaction has not removed');
}
