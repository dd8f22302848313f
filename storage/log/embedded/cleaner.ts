/**
 * Key compaction of one step at a time, by Kafka's rules.
 *
 * A step goes forward from where the last one stopped, over records that are older than the compaction lag, and keeps a row per key: its
 * newest record so far. The record that stood there before is superseded by one that is itself old enough, and goes. A tombstone gets a
 * due row, `deleteRetentionMs` from when it was first seen here, and goes with its key's row then. One atomic batch per step; it need not
 * be synced, for a step that is lost is done again.
 *
 * Invariant: the key rows describe exactly the records before `cleaned` that are left.
 */
import type { LogRecord, Millis, Offset, Partition } from '../../../src/ports.ts';
import type { Level } from '../../level.ts';
import type { Ends } from './ends.ts';
import { damaged, readRecords } from './records.ts';
import {
  cleanedKey,
  DamagedRow,
  dueKey,
  newestKey,
  offsetOfDueKey,
  recordKey,
  sealBytes,
  sealNumbers,
  unseal,
  unsealNumbers,
} from './rows.ts';

/** One step's size: small enough that an append never waits long behind it. */
const stepLimits = { maxBatchRecords: 256, maxBatchBytes: 1024 * 1024 };

export interface CleanerRules {
  readonly compactionLagMs: number;
  readonly deleteRetentionMs: number;
}

type Batch = ReturnType<Level['batch']>;

/** The newest record of a key that compaction has seen; `due` 0: not a tombstone. */
interface Newest {
  readonly offset: Offset;
  readonly due: number;
}

/** Goes one step forward. Returns how many records were looked at; 0: nothing is old enough. Throws on damage and on failed writes. */
export async function cleanStep(level: Level, ends: Ends, partition: Partition, now: Millis, rules: CleanerRules): Promise<number> {
  const from = ends.cleaned(partition);
  if (from >= ends.of(partition).next) return 0;
  const chunk = await readRecords(level, ends, partition, from, stepLimits);
  const young = chunk.records.findIndex((record) => record.time > now - rules.compactionLagMs);
  const old = young === -1 ? chunk.records : chunk.records.slice(0, young);
  if (old.length === 0) return 0;
  const batch = level.batch();
  const newest = await loadNewest(level, partition, old);
  for (const record of old) {
    const key = Buffer.from(record.key ?? []);
    const before = newest.get(key.toString('latin1'));
    if (before !== undefined) remove(batch, partition, before);
    const state = { offset: record.offset, due: record.value === null ? now + rules.deleteRetentionMs : 0 };
    newest.set(key.toString('latin1'), state);
    keep(batch, partition, key, state);
  }
  const cleaned = ((old.at(-1) as LogRecord).offset + 1) as Offset;
  batch.put(cleanedKey(partition), sealNumbers(cleanedKey(partition), cleaned));
  ends.claim(partition, cleaned);
  await batch.write();
  return old.length;
}

/** Removes tombstones whose time has come. Returns how many. */
export async function sweepStep(level: Level, partition: Partition, now: Millis): Promise<number> {
  const range = { gte: dueKey(partition, 0, 0 as Offset), lt: dueKey(partition, now + 1, 0 as Offset) };
  const rows = await level.iterator({ ...range, limit: stepLimits.maxBatchRecords }).all();
  if (rows.length === 0) return 0;
  const batch = level.batch();
  for (const [dueRow, sealed] of rows) {
    const offset = offsetOfDueKey(dueRow);
    const key = checked(partition, offset, () => unseal(dueRow, sealed));
    batch.del(dueRow).del(recordKey(partition, offset)).del(newestKey(partition, key));
  }
  await batch.write();
  return rows.length;
}

function keep(batch: Batch, partition: Partition, key: Buffer, { offset, due }: Newest): void {
  const row = newestKey(partition, key);
  batch.put(row, sealNumbers(row, offset, due));
  if (due === 0) return;
  const dueRow = dueKey(partition, due, offset);
  batch.put(dueRow, sealBytes(dueRow, key));
}

function remove(batch: Batch, partition: Partition, { offset, due }: Newest): void {
  batch.del(recordKey(partition, offset));
  if (due !== 0) batch.del(dueKey(partition, due, offset));
}

async function loadNewest(level: Level, partition: Partition, records: readonly LogRecord[]): Promise<Map<string, Newest>> {
  const keys = new Map(
    records.map(({ key }) => [Buffer.from(key ?? []).toString('latin1'), newestKey(partition, key ?? new Uint8Array())]),
  );
  const rows = await level.getMany([...keys.values()]);
  const newest = new Map<string, Newest>();
  for (const [index, [text, rowKey]] of [...keys].entries()) {
    const row = rows[index];
    if (row === undefined) continue;
    const [offset = 0, due = 0] = checked(partition, 0 as Offset, () => unsealNumbers(rowKey, row));
    newest.set(text, { offset: offset as Offset, due });
  }
  return newest;
}

/** Compaction must not delete by a row that is damaged. */
function checked<T>(partition: Partition, offset: Offset, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamagedRow) throw damaged(partition, offset, "compaction's own rows do not fit their checksums", error);
    throw error;
  }
}
