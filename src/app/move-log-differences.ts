/** What has to be written so that one log holds what another one does: both are listed in the order of their keys, and go by side by side. */

import type { ExportItem } from '../../wire/export-reader.ts';
import { bytesOf } from '../core/bytes.ts';

/** One key's difference. */
export type Change =
  | { readonly op: 'put'; readonly item: ExportItem }
  /** `expires`: the deadline of what is there, in ms since 1970. */
  | { readonly op: 'delete'; readonly key: string; readonly expires: number | undefined };

/** Each key that is not the same, once, in their order. Both sides must be in the byte order of their keys. */
export async function* differences(
  source: AsyncIterable<ExportItem>,
  target: AsyncIterable<ExportItem>,
): AsyncGenerator<Change, void, undefined> {
  const sides = [source[Symbol.asyncIterator](), target[Symbol.asyncIterator]()] as const;
  const next = async (side: AsyncIterator<ExportItem>): Promise<ExportItem | undefined> => {
    const { done, value } = await side.next();
    return done === true ? undefined : value;
  };
  try {
    let [wanted, there] = await Promise.all(sides.map(next));
    while (wanted !== undefined || there !== undefined) {
      const order = orderOf(wanted, there);
      if (order < 0) yield { op: 'put', item: wanted as ExportItem };
      else if (order > 0) yield { op: 'delete', key: (there as ExportItem).key, expires: (there as ExportItem).expires };
      else if (!isSame(wanted as ExportItem, there as ExportItem)) yield { op: 'put', item: wanted as ExportItem };
      [wanted, there] = await Promise.all([order <= 0 ? next(sides[0]) : wanted, order >= 0 ? next(sides[1]) : there]);
    }
  } finally {
    await Promise.all(sides.map((side) => side.return?.()));
  }
}

/** Below 0: the first side's key comes first, or alone. */
function orderOf(one: ExportItem | undefined, other: ExportItem | undefined): number {
  if (one === undefined) return 1;
  if (other === undefined) return -1;
  return one.key === other.key ? 0 : Buffer.compare(bytesOf(one.key), bytesOf(other.key));
}

function isSame(one: ExportItem, other: ExportItem): boolean {
  return one.contentType === other.contentType && one.expires === other.expires && Buffer.compare(one.value, other.value) === 0;
}
