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

// ---------------------------------------------------------------- session tokens

/**
 * What a caller has seen of a log, small enough for a header: at most one position a partition, in their order.
 *
 * ```
 * token     = [position *("," position)] ["@" log]     0:1204,3:77@8f14e45f
 * position  = partition ":" offset
 * log       = the first 8 hexadecimal digits of the genesis id; absent: not compared
 * ```
 */
export interface Token {
  readonly positions: readonly Position[];
  /** Undefined: of whichever log. */
  readonly log: string | undefined;
}

/** More than this are refused: a log has at most so many partitions. */
export const maxTokenPositions = 1_000;

const longestToken = maxTokenPositions * 28 + 9;
const logPattern = /^[0-9a-f]{8}$/;

/** Undefined for anything that is not a token. Of two positions in one partition the larger counts. */
export function parseToken(text: string): Token | undefined {
  if (text.length > longestToken) return undefined;
  const at = text.indexOf('@');
  const log = at < 0 ? undefined : text.slice(at + 1).toLowerCase();
  if (log !== undefined && !logPattern.test(log)) return undefined;
  const list = at < 0 ? text : text.slice(0, at);
  const parts = list === '' ? [] : list.split(',');
  if (parts.length > maxTokenPositions) return undefined;
  const positions: Position[] = [];
  for (const part of parts) {
    const position = parsePosition(part);
    if (position === undefined) return undefined;
    positions.push(position);
  }
  return { positions: mergePositions(positions), log };
}

/** Empty when nothing was seen: there is then nothing to wait for in any log. */
export function formatToken(token: Token): string {
  if (token.positions.length === 0) return '';
  const log = token.log === undefined ? '' : `@${token.log}`;
  return `${token.positions.map(formatPosition).join(',')}${log}`;
}

/** The larger offset of each partition, in the order of the partitions. */
export function mergePositions(...lists: readonly (readonly Position[])[]): readonly Position[] {
  const newest = new Map<Partition, Position>();
  for (const position of lists.flat()) {
    const known = newest.get(position.partition);
    if (known === undefined || known.offset < position.offset) newest.set(position.partition, position);
  }
  return [...newest.values()].sort((one, other) => one.partition - other.partition);
}

/** What a token says of a genesis id; undefined for an id that no token can tell. */
export function logOf(genesis: string): string | undefined {
  const log = genesis.slice(0, 8).toLowerCase();
  return logPattern.test(log) ? log : undefined;
}

/** False: the token is of another log. A token that names none may be of this one. */
export function isOfLog(token: Token, genesis: string): boolean {
  return token.log === undefined || token.log === logOf(genesis);
}
