/**
 * Compares two logs once, and writes what differs.
 *
 * A key that one log has and the other has not is deleted last: when both listings have come to their ends, and both nodes still serve the
 * logs that are moved. A listing that ended early, or of a log that has taken the old one's place, would name keys that are there.
 */
import type { ExportItem } from '../../wire/export-reader.ts';
import { bytesOf } from '../core/bytes.ts';
import { type Change, differences } from './move-log-differences.ts';
import type { Listed } from './move-log-node.ts';
import { nothingWritten, sumOf, type WriteOptions, type Written, writeChanges } from './move-log-write.ts';

/** Of keys that wait for the end, with what an array takes for each. What is beyond it is found by comparing again. */
const mostHeldBytes = 32 * 1024 * 1024;
const heldBytes = 100;
/** Clocks of nodes differ by so much: one of them may call a deadline past that is not for another. */
const skewMs = 60_000;

export interface PassOptions {
  readonly source: Listed;
  readonly target: Listed;
  /** Errors: whatever says that nothing may be deleted. */
  readonly check: () => Promise<void>;
  /** Bytes of keys that wait for the end. Default 32 MiB. */
  readonly mostHeldBytes?: number;
}

/** What comparing both logs came to. */
export interface Pass {
  readonly keys: number;
  /** Everything up to here of the old log was in what was compared. */
  readonly position: string;
  /** Keys that were not the same, other than those whose deadline is about now. */
  readonly differences: number;
  readonly written: Written;
  /** False: more was to be deleted than is kept in mind, and both have to be compared again. */
  readonly whole: boolean;
}

/** `keys`: told how many the old log had so far. Errors: those of the listings, of the writes and of `check`; nothing was deleted then. */
export async function pass(options: PassOptions, writing: WriteOptions, keys: (count: number) => void): Promise<Pass> {
  const { source, target, check } = options;
  const limit = options.mostHeldBytes ?? mostHeldBytes;
  const deletes: Change[] = [];
  let [count, differing, held, whole] = [0, 0, 0, true];
  const each = async function* (items: AsyncIterable<ExportItem>) {
    for await (const item of items) {
      keys(++count);
      yield item;
    }
  };
  const puts = async function* (): AsyncGenerator<Change> {
    for await (const change of differences(each(source.items), target.items)) {
      if (!isPassing(change)) differing++;
      if (change.op === 'put') yield change;
      else if (held < limit) {
        deletes.push(change);
        held += bytesOf(change.key).length + heldBytes;
      } else whole = false;
    }
  };
  await check();
  const put = await writeChanges(puts(), writing);
  await check();
  const deleted =
    deletes.length === 0
      ? nothingWritten
      : await writeChanges(deletes, { ...writing, progress: (written) => writing.progress(sumOf(put, written)) });
  return { keys: count, position: source.position(), differences: differing, written: sumOf(put, deleted), whole };
}

/** It becomes absent about now, and is told by one node and not by the other. */
function isPassing(change: Change): boolean {
  const expires = change.op === 'put' ? change.item.expires : change.expires;
  return expires !== undefined && expires <= Date.now() + skewMs;
}
