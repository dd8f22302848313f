/** An import from its first item to its last: slices side by side, acknowledged in their order. */
import type { FileHandle } from 'node:fs/promises';
import { bytesOf } from '../core/bytes.ts';
import { type CheckedFile, type FileItem, itemsIn } from './export-file.ts';
import { type Came, type ImportItem, importSlice, type SliceOptions } from './import-slice.ts';

/** Items of a slice, and bytes of their keys and values unless it is one item alone: escaped they are six times as many at most. */
const sliceItems = 1_000;
const sliceBytes = 1024 * 1024;
/** Slices under way, when no key is there twice. */
const lanes = 4;

export interface RunOptions extends SliceOptions {
  /** Begins the ids of the items. */
  readonly run: string;
  /** In the place of the exported prefix; undefined: that. */
  readonly prefix: string | undefined;
  /** What cannot be understood is left out. */
  readonly partly: boolean;
  /** Where to begin. */
  readonly from: number;
}

/** Some items that are done with. */
export interface Acknowledged {
  readonly items: readonly { readonly key: string; readonly came: Came }[];
  /** Of the file: everything before is done with, unless something was in the way. */
  readonly offset: number;
}

interface Slice {
  readonly items: ImportItem[];
  offset: number;
  bytes: number;
}

/** In the order of the file. Errors: those of `importSlice`, `Damaged`; what is under way then is awaited. */
export async function* runImport(
  file: FileHandle,
  checked: CheckedFile,
  options: RunOptions,
): AsyncGenerator<Acknowledged, void, undefined> {
  const width = checked.ordered ? lanes : 1;
  const underWay: Promise<Acknowledged>[] = [];
  try {
    for await (const slice of slicesOf(itemsIn(file, checked, options), checked.prefix, options)) {
      const done = importSlice(slice.items, options).then((came) => acknowledged(slice, came));
      // A failure is met when its turn comes.
      done.catch(() => undefined);
      underWay.push(done);
      if (underWay.length >= width) yield await (underWay.shift() as Promise<Acknowledged>);
    }
    while (underWay.length > 0) yield await (underWay.shift() as Promise<Acknowledged>);
  } finally {
    await Promise.allSettled(underWay);
  }
}

function acknowledged({ items, offset }: Slice, came: readonly Came[]): Acknowledged {
  return { items: items.map(({ key }, index) => ({ key, came: came[index] as Came })), offset };
}

async function* slicesOf(items: AsyncIterable<FileItem>, exported: string, { run, prefix }: RunOptions) {
  let slice: Slice = { items: [], offset: 0, bytes: 0 };
  for await (const { start, end, ...item } of items) {
    // What no node has written may hold other keys than it says.
    const rest = item.key.startsWith(exported) ? item.key.slice(exported.length) : item.key;
    const key = prefix === undefined ? item.key : `${prefix}${rest}`;
    const bytes = bytesOf(key).length + item.value.length;
    if (slice.items.length >= sliceItems || (slice.items.length > 0 && slice.bytes + bytes > sliceBytes)) {
      yield slice;
      slice = { items: [], offset: 0, bytes: 0 };
    }
    slice.items.push({ ...item, key, id: `${run}:${start}` });
    slice.bytes += bytes;
    slice.offset = end;
  }
  if (slice.items.length > 0) yield slice;
}
