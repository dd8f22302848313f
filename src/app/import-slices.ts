/** Items of any origin, written from the first to the last: slices side by side, acknowledged in their order. */
import { bytesOf } from '../core/bytes.ts';
import { type Came, type ImportItem, importSlice, type SliceOptions } from './import-slice.ts';

/** Items of a slice, and bytes of their keys and values unless it is one item alone: escaped they are six times as many at most. */
const sliceItems = 1_000;
const sliceBytes = 1024 * 1024;

/** An item, and where its origin goes on behind it. */
export interface Placed<P> {
  readonly item: ImportItem;
  readonly place: P;
}

/** Some items that are done with. */
export interface Done<P> {
  readonly items: readonly { readonly key: string; readonly came: Came }[];
  /** Everything before it is done with, unless something was in the way. */
  readonly place: P;
}

interface Slice<P> {
  readonly items: ImportItem[];
  place: P | undefined;
  bytes: number;
}

/** `width`: slices under way at a time; 1 where a key may come twice. Errors: those of `items` and `importSlice`; what is under way then is awaited. */
export async function* importSlices<P>(
  items: AsyncIterable<Placed<P>>,
  width: number,
  options: SliceOptions,
): AsyncGenerator<Done<P>, void, undefined> {
  const underWay: Promise<Done<P>>[] = [];
  try {
    for await (const slice of slicesOf(items)) {
      const done = importSlice(slice.items, options).then((came) => doneWith(slice, came));
      // A failure is met when its turn comes.
      done.catch(() => undefined);
      underWay.push(done);
      if (underWay.length >= width) yield await (underWay.shift() as Promise<Done<P>>);
    }
    while (underWay.length > 0) yield await (underWay.shift() as Promise<Done<P>>);
  } finally {
    await Promise.allSettled(underWay);
  }
}

function doneWith<P>({ items, place }: Slice<P>, came: readonly Came[]): Done<P> {
  return { items: items.map(({ key }, index) => ({ key, came: came[index] as Came })), place: place as P };
}

async function* slicesOf<P>(items: AsyncIterable<Placed<P>>): AsyncGenerator<Slice<P>, void, undefined> {
  const empty = (): Slice<P> => ({ items: [], place: undefined, bytes: 0 });
  let slice = empty();
  for await (const { item, place } of items) {
    const bytes = bytesOf(item.key).length + item.value.length;
    if (slice.items.length >= sliceItems || (slice.items.length > 0 && slice.bytes + bytes > sliceBytes)) {
      yield slice;
      slice = empty();
    }
    slice.items.push(item);
    slice.bytes += bytes;
    slice.place = place;
  }
  if (slice.items.length > 0) yield slice;
}
