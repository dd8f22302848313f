/** The changes of late, by partition, so that most watches that are resumed miss nothing. Bounded; the oldest are forgotten, some at a time. */
import type { Offset, Partition, WatchChange } from '../ports.ts';

/** Of all partitions together; each has its share. */
const mostChanges = 32_768;
const mostBytes = 16 * 1024 * 1024;
/** What a change takes up beside its value, about. */
const changeBytes = 200;

interface Run {
  /** All changes from here up to `next` are there. */
  from: Offset;
  next: Offset;
  changes: WatchChange[];
  bytes: number;
}

export class Recent {
  readonly #partitions: () => number;
  readonly #runs = new Map<Partition, Run>();

  constructor(partitions: () => number) {
    this.#partitions = partitions;
  }

  /** A batch that began at `first` was applied up to `next`; `changes` undefined: they are not known. */
  add(partition: Partition, first: Offset, next: Offset, changes: readonly WatchChange[] | undefined): void {
    const known = this.#runs.get(partition);
    if (changes === undefined) {
      this.#runs.set(partition, { from: next, next, changes: [], bytes: 0 });
      return;
    }
    const run = known?.next === first ? known : { from: first, next, changes: [], bytes: 0 };
    this.#runs.set(partition, run);
    run.next = next;
    for (const change of changes) {
      run.changes.push(change);
      run.bytes += sizeOf(change);
    }
    while (!fits(run.changes.length, run.bytes, this.#share())) forgetSome(run);
  }

  /** All changes of a partition from an offset on; undefined: some of them are not known any more. */
  since(partition: Partition, from: Offset): readonly WatchChange[] | undefined {
    const run = this.#runs.get(partition);
    if (run === undefined || !this.knows(partition, from)) return undefined;
    return run.changes.filter(({ position }) => position.offset >= from);
  }

  /** All changes from an offset on are known. */
  knows(partition: Partition, from: Offset): boolean {
    return from >= (this.#runs.get(partition)?.from ?? Number.POSITIVE_INFINITY);
  }

  /** From here on changes are known; undefined: none are. */
  from(partition: Partition): Offset | undefined {
    return this.#runs.get(partition)?.from;
  }

  /** What is missing from `from` on, up to where changes are known or else to `applied`, may fit in. */
  mayReach(partition: Partition, from: Offset, applied: Offset): boolean {
    const run = this.#runs.get(partition);
    const missing = (run?.from ?? applied) - from;
    return missing + (run?.changes.length ?? 0) <= mostChanges * this.#share();
  }

  /** So many changes of one partition can be kept. */
  hasRoom(changes: readonly WatchChange[]): boolean {
    return fits(changes.length, bytesOf(changes), this.#share());
  }

  /** Puts all changes from `from` up to `to` before those that are known from `to` on; to no effect if that is not where they begin, or they are too many. */
  precede(partition: Partition, from: Offset, to: Offset, changes: readonly WatchChange[]): void {
    const run = this.#runs.get(partition) ?? { from: to, next: to, changes: [], bytes: 0 };
    const bytes = run.bytes + bytesOf(changes);
    if (run.from !== to || !fits(run.changes.length + changes.length, bytes, this.#share())) return;
    this.#runs.set(partition, { from, next: run.next, changes: [...changes, ...run.changes], bytes });
  }

  clear(): void {
    this.#runs.clear();
  }

  #share(): number {
    return 1 / Math.max(1, this.#partitions());
  }
}

function fits(changes: number, bytes: number, share: number): boolean {
  return changes <= mostChanges * share && bytes <= mostBytes * share;
}

function bytesOf(changes: readonly WatchChange[]): number {
  return changes.reduce((sum, change) => sum + sizeOf(change), 0);
}

/** The oldest tenth: one by one would move all the others each time. */
function forgetSome(run: Run): void {
  const forgotten = run.changes.splice(0, Math.ceil(run.changes.length / 10));
  for (const change of forgotten) run.bytes -= sizeOf(change);
  const last = forgotten.at(-1);
  if (last !== undefined) run.from = (last.position.offset + 1) as Offset;
}

export function sizeOf(change: WatchChange): number {
  return changeBytes + change.key.length + (change.found?.value.length ?? 0);
}
