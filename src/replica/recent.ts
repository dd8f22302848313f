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
    const share = 1 / Math.max(1, this.#partitions());
    while (run.changes.length > mostChanges * share || run.bytes > mostBytes * share) forgetSome(run);
  }

  /** All changes of a partition from an offset on; undefined: some of them are not known any more. */
  since(partition: Partition, from: Offset): readonly WatchChange[] | undefined {
    const run = this.#runs.get(partition);
    if (run === undefined || from < run.from) return undefined;
    return run.changes.filter(({ position }) => position.offset >= from);
  }

  clear(): void {
    this.#runs.clear();
  }
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
