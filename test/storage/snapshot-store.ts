/** A store with rows of every family, and all that it holds, to be compared. */
import type { Answer, Fate, Offset, Partition, SnapshotHead, SnapshotSource, Store, StoreBatch } from '../../src/ports.ts';
import { eachRow, joinRows } from '../../wire/snapshot-rows.ts';
import { checkpointWith, entryWith, identityWith, mark, plain } from '../contract/store-values.ts';

export const partitions = 2;
export const genesis = { id: 'the-genesis', partition: 1 as Partition, offset: 0 as Offset };
export const identity = identityWith({ partitions, genesis });

const perBatch = 50;

/** Batch `n` of partition `n % 2`: new entries, one of them unsettled and every other time doubtful, a deleted one, and all that goes with them. */
export function batch(n: number): StoreBatch {
  const round = Math.floor(n / partitions) + 1;
  const offset = (i: number): Offset => ((round - 1) * perBatch + i) as Offset;
  const key = (i: number): string => `key ${n % partitions} ${String(offset(i)).padStart(6, '0')} ñ`;
  const entries = new Map(
    Array.from({ length: perBatch }, (_, i) => {
      const value = Buffer.alloc(i === 7 ? 3_000 : 20 + i, `${n}.${i}`);
      const at = { version: offset(i), newest: offset(i) };
      const entry =
        i === 3 ? { settled: false } : i === 5 ? { deleted: true, value: Buffer.alloc(0) } : { value, contentType: 'text/plain' };
      return [key(i), entryWith({ ...at, ...entry })];
    }),
  );
  return {
    partition: (n % partitions) as Partition,
    checkpoint: checkpointWith({
      next: round * perBatch,
      entries: round * perBatch,
      logTime: 1_700_000_000_000 + n,
      atEnd: 1_700_000_000_500,
    }),
    entries,
    doubtful: new Set(round % 2 === 0 ? [key(3)] : []),
    writers: new Map([[`127.0.0.1:8082/${n}`, mark(n + 1, 1_700_000_000_000)]]),
    answers: new Map<string, Answer>([
      [
        `ik-${n} ${key(1)}`,
        { offset: offset(1), time: 1_700_000_000_000 as Answer['time'], id: 'id', outcome: 'written', current: -1 as Offset },
      ],
    ]),
    fates: new Map<Offset, Fate>([
      [offset(8), 'ignored'],
      [offset(9), 'unknown'],
    ]),
  };
}

export async function fill(store: Store, from: number, to: number): Promise<void> {
  if (from === 0) await store.identify(identity);
  for (let n = from; n < to; n++) await store.write(batch(n));
}

/** Everything but the journal, in a form that `toEqual` understands. */
export async function contentsOf(store: Store): Promise<object> {
  const { entries } = await store.scan({ from: new Uint8Array(0), to: undefined, limit: 1_000_000, maxBytes: 1e9 });
  const byPartition = store.checkpoints.map(async (_, n) => ({
    writers: [...(await store.writers(n as Partition))],
    answers: [...(await store.answers(n as Partition))],
    fates: [...(await store.fates(n as Partition))],
  }));
  return {
    identity: store.identity,
    checkpoints: store.checkpoints,
    entries: entries.map(({ key, entry }) => [key, plain(entry)]),
    tables: await Promise.all(byPartition),
    unsettled: [...(await store.unsettled())].sort(),
    doubtful: [...(await store.doubtful())].sort(),
  };
}

export type Row = [Uint8Array, Uint8Array];

/** The head of a store's snapshot, and all its rows. */
export async function rowsOf(source: SnapshotSource): Promise<{ head: SnapshotHead; rows: Row[] }> {
  const snapshot = await source.snapshot();
  const rows: Row[] = [];
  for await (const run of snapshot.read(undefined)) eachRow(run.bytes, (key, row) => rows.push([key, row]));
  await snapshot.close();
  const { format, checkpoints } = snapshot;
  return { head: { format, identity: snapshot.identity, checkpoints }, rows };
}

export { joinRows };
