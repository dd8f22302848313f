/** What a watcher has been told, so that nothing is told twice and nothing is left out. */
import { never } from '../core/position.ts';
import type { Offset, Partition, Position, Seen, WatchChange, WatchEvent } from '../ports.ts';

export class Told {
  /** By partition: the newest offset that was told of, whatever the key. */
  #until = new Map<Partition, number>();
  /** By key: versions told with the state that came after the moment of the state. */
  #newer = new Map<string, number>();

  constructor(seen: Seen | undefined) {
    for (const { partition, offset } of seen?.positions ?? [])
      this.#until.set(partition, Math.max(offset, this.#until.get(partition) ?? never));
  }

  /** From here on a partition's changes have not been told. */
  next(partition: Partition): Offset {
    return ((this.#until.get(partition) ?? never) + 1) as Offset;
  }

  /** All of a partition's changes before `next` have been told. */
  advance(partition: Partition, next: Offset): void {
    if (next > this.next(partition)) this.#until.set(partition, next - 1);
  }

  /** Something was told with the state whose change has not come yet. */
  get isAhead(): boolean {
    return this.#newer.size > 0;
  }

  /** All up to these places has been told, or what is told next includes it. */
  reach(positions: readonly Position[]): void {
    for (const { partition, offset } of positions) this.advance(partition, (offset + 1) as Offset);
  }

  /** All up to these places has been told; and up to those that were told of before, should the node be behind them. */
  sync(now: readonly Position[]): WatchEvent {
    this.reach(now);
    // Of a partition without a record there is no place to tell.
    const told = [...this.#until].filter(([, offset]) => offset > never);
    const positions = told.map(([partition, offset]) => ({ partition, offset: offset as Offset }));
    return { kind: 'sync', positions: positions.sort((a, b) => a.partition - b.partition) };
  }

  /** The state of a moment is about to be told. */
  begin(now: readonly Position[]): void {
    this.#until = new Map(now.map(({ partition, offset }) => [partition, offset]));
    this.#newer = new Map();
  }

  put(key: string, found: NonNullable<WatchChange['found']>): WatchEvent {
    const position = found.version as Position;
    if (position.offset > (this.#until.get(position.partition) ?? -1)) this.#newer.set(key, position.offset);
    return { kind: 'put', key, found, position };
  }

  /** Notes that a change is told, in the log's order; false: it was told before. */
  note({ key, position: { partition, offset } }: WatchChange): boolean {
    if (offset <= (this.#until.get(partition) ?? never)) return false;
    this.#until.set(partition, offset);
    const newer = this.#newer.get(key);
    if (newer === undefined) return true;
    if (offset >= newer) this.#newer.delete(key);
    return offset > newer;
  }
}

export function eventOf({ key, found, position, time }: WatchChange): WatchEvent {
  return found === undefined ? { kind: 'delete', key, position, time } : { kind: 'put', key, found, position };
}
