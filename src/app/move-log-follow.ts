/**
 * Keeps the new log behind the old one: what changed since a position is asked for again and again, and written. Between two questions only
 * the newest change of a key counts.
 *
 * Invariant: everything up to `position` is in the new log.
 */
import { ClientError } from '../../client/errors.ts';
import { type ExportItem, itemOf } from '../../wire/export-reader.ts';
import { bytesOf } from '../core/bytes.ts';
import { parseToken } from '../core/position.ts';
import type { Change } from './move-log-differences.ts';
import type { MoveNode } from './move-log-node.ts';
import { nothingWritten, sumOf, type WriteOptions, type Written, writeChanges } from './move-log-write.ts';

/** How long one question waits when nothing changes. */
const waitMs = 200;
/** The node has lost its place in the log, or the log has: only the whole state can be told. */
export const lost = 'reset';

export interface Followed {
  readonly position: string;
  /** True: some changes cannot be told any more, and everything has to be compared. */
  readonly lost: boolean;
  readonly written: Written;
}

/** From a position until it covers another. Errors: those of the node and of the writes; `timeout` when it does not come nearer. */
export async function follow(source: MoveNode, from: string, until: string, options: WriteOptions): Promise<Followed> {
  let position = from;
  let written = nothingWritten;
  let movedAt = performance.now();
  while (!covers(position, until)) {
    const told = await source.changes(position, waitMs);
    if (told.position !== position) movedAt = performance.now();
    else if (performance.now() - movedAt > options.timeoutMs) throw new ClientError('timeout', `${source.url} does not come to ${until}`);
    if (told.position === lost || told.events.some(({ event }) => event === 'reset')) return { position, lost: true, written };
    written = sumOf(written, await writeChanges(newest(told.events).values(), options));
    position = told.position;
  }
  return { position, lost: false, written };
}

/** Of each key what it is last. */
export function newest(events: readonly Record<string, unknown>[]): ReadonlyMap<string, Change> {
  const changes = new Map<string, Change>();
  for (const event of events) {
    const key = event['key'] as string;
    if (event['event'] === 'delete') changes.set(key, { op: 'delete', key, expires: undefined });
    else if (event['event'] === 'put') changes.set(key, { op: 'put', item: itemOf(bytesOf(JSON.stringify(event))) as ExportItem });
  }
  return changes;
}

/** Who has seen the one has seen the other. Both are tokens of one log. */
export function covers(position: string, other: string): boolean {
  const seen = new Map(parseToken(position)?.positions.map(({ partition, offset }) => [partition, offset]));
  return (parseToken(other)?.positions ?? []).every(({ partition, offset }) => (seen.get(partition) ?? -1) >= offset);
}
