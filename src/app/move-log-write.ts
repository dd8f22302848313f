/** Changes on their way into a log: in slices side by side, each asked again until it has come to something. */
import type { BitacoraSession } from '../../client/http/index.ts';
import type { ExportItem } from '../../wire/export-reader.ts';
import { bytesOf } from '../core/bytes.ts';
import { type ImportItem, importSlice } from './import-slice.ts';
import type { Change } from './move-log-differences.ts';
import { settle } from './patient-batch.ts';

/**
 * Changes of a slice, and bytes of their keys and values unless it is one alone. A slice is one request, which has to come to its end in a part
 * of the time in which nothing may move: on a node that is busy, a thousand would not.
 */
const sliceChanges = 250;
const sliceBytes = 1024 * 1024;
/** Slices under way. */
const lanes = 4;

export interface WriteOptions {
  /** The log that is written to. */
  readonly kv: BitacoraSession;
  readonly timeoutMs: number;
  /** The largest value that goes into a batch. */
  readonly maxBatchedBytes: number;
  /** Called before every slice: its rejection ends the writing, and nothing of the slice is written. */
  readonly check: () => Promise<void>;
  /** Called after every slice. */
  readonly progress: (written: Written) => void;
}

/** What changes came to. */
export interface Written {
  readonly puts: number;
  readonly deletes: number;
  /** Their deadline had passed before they were written: deleted, so that nothing older is left under them. */
  readonly expired: number;
}

export const nothingWritten: Written = { puts: 0, deletes: 0, expired: 0 };

export const sumOf = (one: Written, other: Written): Written => ({
  puts: one.puts + other.puts,
  deletes: one.deletes + other.deletes,
  expired: one.expired + other.expired,
});

/**
 * No key may be in them twice. Each is done at least once, and twice is as once. Errors: those of `check`; what a node says that will not change,
 * with the key; the last one when nothing moves; what is under way then is awaited.
 */
export async function writeChanges(changes: AsyncIterable<Change> | Iterable<Change>, options: WriteOptions): Promise<Written> {
  let all = nothingWritten;
  const underWay = new Set<Promise<void>>();
  let failed: { readonly error: unknown } | undefined;
  try {
    for await (const slice of slicesOf(changes)) {
      const writing = writeSlice(slice, options).then(
        (written) => {
          all = sumOf(all, written);
          options.progress(all);
        },
        (error: unknown) => {
          failed ??= { error };
        },
      );
      underWay.add(writing);
      void writing.then(() => underWay.delete(writing));
      if (underWay.size >= lanes) await Promise.race(underWay);
      if (failed !== undefined) break;
    }
  } finally {
    await Promise.all(underWay);
  }
  if (failed !== undefined) throw failed.error;
  return all;
}

async function writeSlice(slice: readonly Change[], { kv, timeoutMs, maxBatchedBytes, check }: WriteOptions): Promise<Written> {
  await check();
  const puts: ImportItem[] = slice.flatMap((change) => (change.op === 'put' ? [{ ...change.item, id: '' }] : []));
  const deletes = slice.flatMap((change) => (change.op === 'delete' ? [{ op: 'del', key: change.key } as const] : []));
  const [came, results] = await Promise.all([
    puts.length === 0 ? [] : importSlice(puts, { kv, onConflict: 'overwrite', dryRun: false, timeoutMs, maxBatchedBytes }),
    deletes.length === 0 ? [] : settle(kv, deletes, { timeoutMs }),
  ]);
  for (const { error } of results) if (error !== undefined) throw error;
  // What was there before is gone, too: written over by a value whose time was short.
  const expired = puts.filter((_, index) => came[index] === 'expired').map(({ key }) => ({ op: 'del', key }) as const);
  for (const { error } of expired.length === 0 ? [] : await settle(kv, expired, { timeoutMs })) if (error !== undefined) throw error;
  return { puts: puts.length - expired.length, deletes: deletes.length, expired: expired.length };
}

async function* slicesOf(changes: AsyncIterable<Change> | Iterable<Change>): AsyncGenerator<readonly Change[], void, undefined> {
  let slice: Change[] = [];
  let bytes = 0;
  for await (const change of changes) {
    const size = change.op === 'put' ? sizeOf(change.item) : bytesOf(change.key).length;
    if (slice.length >= sliceChanges || (slice.length > 0 && bytes + size > sliceBytes)) {
      yield slice;
      slice = [];
      bytes = 0;
    }
    slice.push(change);
    bytes += size;
  }
  if (slice.length > 0) yield slice;
}

function sizeOf({ key, value }: ExportItem): number {
  return bytesOf(key).length + value.length;
}
