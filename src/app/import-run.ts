/** An import from its first item to its last. */
import type { FileHandle } from 'node:fs/promises';
import { type CheckedFile, type FileItem, itemsIn } from './export-file.ts';
import type { SliceOptions } from './import-slice.ts';
import { type Done, importSlices, type Placed } from './import-slices.ts';

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

/** Some items that are done with; their place is that of the file where the next one begins. */
export type Acknowledged = Done<number>;

/** In the order of the file. Errors: those of `importSlice`, `Damaged`; what is under way then is awaited. */
export function runImport(file: FileHandle, checked: CheckedFile, options: RunOptions): AsyncGenerator<Acknowledged, void, undefined> {
  return importSlices(placed(itemsIn(file, checked, options), checked.prefix, options), checked.ordered ? lanes : 1, options);
}

async function* placed(items: AsyncIterable<FileItem>, exported: string, { run, prefix }: RunOptions): AsyncGenerator<Placed<number>> {
  for await (const { start, end, ...item } of items) {
    // What no node has written may hold other keys than it says.
    const rest = item.key.startsWith(exported) ? item.key.slice(exported.length) : item.key;
    const key = prefix === undefined ? item.key : `${prefix}${rest}`;
    yield { item: { ...item, key, id: `${run}:${start}` }, place: end };
  }
}
