/** Positions as text, `partition:offset`, as they travel in headers and on terminals. */
import type { Offset, Partition, Position, Seen } from '../ports.ts';

/** The offset of what never was. */
export const never = -1 as Offset;

export function formatPosition(position: Position): string {
  return `${position.partition}:${position.offset}`;
}

/**
 * The newest position that an answer reflects, given that everything before `applied` is applied; undefined: an empty partition. This,
 * like the position of a write, may be waited for: both name a record.
 */
export function newestSeen(applied: Position): Position | undefined {
  return applied.offset === 0 ? undefined : { partition: applied.partition, offset: (applied.offset - 1) as Offset };
}

/** What of `seen` must be applied before a partition may be read; undefined: nothing. */
export function seenOf(partition: Partition, seen: Seen): Position | undefined {
  return seen.positions.find((position) => position.partition === partition);
}

/** An answer from `applied` (everything before it) reflects what was seen of the same log. */
export function reflects(applied: Position, seen: Seen): boolean {
  const position = seenOf(applied.partition, seen);
  return position === undefined || position.offset < applied.offset;
}

/** Undefined for anything that is not two non-negative safe integers with a colon between. */
export function parsePosition(text: string): Position | undefined {
  const match = /^(\d{1,10}):(\d{1,16})$/.exec(text);
  if (match === null) return undefined;
  const partition = Number(match[1]);
  const offset = Number(match[2]);
  if (!Number.isSafeInteger(offset)) return undefined;
  return { partition: partition as Partition, offset: offset as Offset };
}
