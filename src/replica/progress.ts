/**
 * How far this node is, and whether it may say so.
 *
 * A node is caught up once it has applied an end of the log that was asked for *after* the last jump in offsets: before that, compaction
 * may have hidden a record whose successor the node has not seen yet, and its state is of no point in time at all.
 */
import type { Clock, LogBatch, Millis, Offset, PartitionBounds } from '../ports.ts';

/** How often the ends are asked for, when nothing presses. */
export const askEveryMs = 1_000;
const rateWindowMs = 3_000;

export class Progress {
  readonly #clock: Clock;
  readonly #applied: Offset[];
  readonly #start: Offset[];
  #ends: Offset[];
  /** Rises with every jump; an end counts only if no jump came after the question. */
  #jumps = 0;
  #caughtUp = false;
  /** Monotonic time of the newest question whose answer was found applied. */
  #atEndSince: number | undefined;
  #records = 0;
  #samples: { readonly at: number; readonly records: number; readonly offsets: number }[] = [];

  constructor(clock: Clock, from: readonly Offset[]) {
    this.#clock = clock;
    this.#applied = [...from];
    this.#start = [...from];
    this.#ends = [...from];
    this.#sample();
  }

  get applied(): readonly Offset[] {
    return this.#applied;
  }

  get ends(): readonly Offset[] {
    return this.#ends;
  }

  /** An end asked for after the last jump has been applied. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  get records(): number {
    return this.#records;
  }

  /** Marks the jumps known when a question for the ends is sent: hand it to `answered`. */
  asking(): number {
    return this.#jumps;
  }

  /** The ends as the log told them, with what `asking` gave when it was asked. Returns whether the node has just caught up. */
  answered(bounds: readonly PartitionBounds[], asked: number, askedAt: number): boolean {
    this.#ends = bounds.map(({ next }, partition) => Math.max(next, this.#applied[partition] as Offset) as Offset);
    const there = this.#ends.every((end, partition) => (this.#applied[partition] as Offset) >= end);
    if (!there) return false;
    this.#atEndSince = askedAt;
    if (asked !== this.#jumps || this.#caughtUp) return false;
    this.#caughtUp = true;
    return true;
  }

  /** The batch is about to be applied. A jump takes the word back at once, before anything of it can be seen. */
  began(batch: LogBatch): void {
    if (!batch.jumped) return;
    this.#jumps++;
    this.#caughtUp = false;
  }

  /** The batch is applied. Returns whether the ends should be asked for now: those known have been reached. */
  finished(batch: LogBatch): boolean {
    this.#applied[batch.partition] = batch.next;
    if (batch.next > (this.#ends[batch.partition] as Offset)) this.#ends[batch.partition] = batch.next;
    this.#records += batch.records.length;
    this.#sample();
    if (this.#caughtUp) return false;
    return this.#applied.every((offset, partition) => offset >= (this.#ends[partition] as Offset));
  }

  /** 0 to 1, by position. */
  get ratio(): number {
    if (this.#caughtUp) return 1;
    let done = 0;
    let all = 0;
    for (const [partition, end] of this.#ends.entries()) {
      const start = Math.min(this.#start[partition] as Offset, end);
      all += end - start;
      done += Math.min(this.#applied[partition] as Offset, end) - start;
    }
    return all === 0 ? 0 : done / all;
  }

  get recordsPerSecond(): number {
    const [first, last] = this.#window();
    return first === undefined || last === undefined || last.at === first.at
      ? 0
      : ((last.records - first.records) * 1_000) / (last.at - first.at);
  }

  /** Upper bound, by position: compaction leaves fewer records than offsets. */
  get secondsLeft(): number | undefined {
    if (this.#caughtUp) return 0;
    const [first, last] = this.#window();
    if (first === undefined || last === undefined || last.offsets <= first.offsets) return undefined;
    const perMs = (last.offsets - first.offsets) / (last.at - first.at);
    return Math.ceil(this.behind / perMs / 1_000);
  }

  /** Offsets between here and the ends last told. */
  get behind(): number {
    let behind = 0;
    for (const [partition, end] of this.#ends.entries()) behind += Math.max(0, end - (this.#applied[partition] as Offset));
    return behind;
  }

  /** How long this node has not known itself at the log's end; 0 while a recent question found it there. */
  get lagMs(): Millis {
    const now = this.#clock.monotonic();
    const since = this.#atEndSince ?? this.#samples[0]?.at ?? now;
    const age = now - since;
    return (this.#caughtUp && age < 3 * askEveryMs ? 0 : Math.round(age)) as Millis;
  }

  #sample(): void {
    const at = this.#clock.monotonic();
    const newest = this.#samples.at(-1);
    if (newest !== undefined && at - newest.at < 100) return;
    let offsets = 0;
    for (const offset of this.#applied) offsets += offset;
    this.#samples.push({ at, records: this.#records, offsets });
    while (this.#samples.length > 2 && at - (this.#samples[1]?.at ?? at) > rateWindowMs) this.#samples.shift();
  }

  /** Oldest sample of the window, and the state of now. */
  #window() {
    const at = this.#clock.monotonic();
    let offsets = 0;
    for (const offset of this.#applied) offsets += offset;
    const recent = this.#samples.filter((sample) => at - sample.at <= rateWindowMs);
    return [recent[0], { at, records: this.#records, offsets }] as const;
  }
}
