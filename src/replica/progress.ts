/**
 * How far this node is, and whether it may say so.
 *
 * A node is caught up once it has applied an end of the log that was asked for *after* the last jump in offsets: before that, compaction
 * may have hidden a record whose successor the node has not seen yet, and its state is of no point in time at all. The end asked for is
 * enough: waiting until nothing newer is in the log would be for ever while others write.
 */
import type { Clock, LogBatch, Millis, Offset, Partition, PartitionBounds } from '../ports.ts';

/** How often the ends are asked for, when nothing presses. */
export const askEveryMs = 1_000;
const rateWindowMs = 3_000;

/** An end of the log that was asked for, to be reached. */
interface Target {
  readonly ends: readonly Offset[];
  /** The jumps known when it was asked for: it says nothing once there are more. */
  readonly jumps: number;
  readonly askedAt: number;
}

export class Progress {
  readonly #clock: Clock;
  readonly #applied: Offset[];
  readonly #start: Offset[];
  #ends: Offset[];
  /** Rises with every jump; an end counts only if no jump came after the question. */
  #jumps = 0;
  #caughtUp = false;
  /** The jumps known when the node last caught up; more than these: doubt. */
  #jumpsResolved = 0;
  #target: Target | undefined;
  /** Monotonic time at which this node last was at the log's end: of the newest question whose answer was found applied, or before. */
  #atEndSince: number;
  #records = 0;
  #samples: { readonly at: number; readonly records: number; readonly offsets: number }[] = [];

  /** `ageMs`: how long ago the state that this begins with was at the log's end; `whole`: no jump was unresolved in it. */
  constructor(clock: Clock, from: readonly Offset[], ageMs: number, whole = true) {
    this.#clock = clock;
    this.#atEndSince = clock.monotonic() - ageMs;
    this.#jumps = whole ? 0 : 1;
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

  /** Since a jump no end that was asked for later has been reached: what is unsettled there may have been something else. */
  get doubt(): boolean {
    return this.#jumps !== this.#jumpsResolved;
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
    // A target that still counts is kept, though this one is newer: under steady writes each would be replaced before it is reached.
    if (this.#target?.jumps !== this.#jumps) this.#target = { ends: bounds.map(({ next }) => next), jumps: asked, askedAt };
    return this.#reached();
  }

  /** Whether the node has just caught up, by having reached the end that was asked for. */
  #reached(): boolean {
    const target = this.#target;
    if (target === undefined || target.ends.some((end, partition) => (this.#applied[partition] as Offset) < end)) return false;
    this.#target = undefined;
    if (target.jumps !== this.#jumps) return false;
    this.#atEndSince = target.askedAt;
    this.#jumpsResolved = target.jumps;
    const just = !this.#caughtUp;
    this.#caughtUp = true;
    return just;
  }

  /** The batch is about to be applied. A jump takes the word back at once, before anything of it can be seen. */
  began(batch: LogBatch): void {
    if (!batch.jumped) return;
    this.#jumps++;
    this.#caughtUp = false;
  }

  /** The batch is applied. `caught-up`: just now; `ask`: the ends should be asked for now, because those known have been reached. */
  finished(partition: Partition, next: Offset, records: number): 'caught-up' | 'ask' | undefined {
    this.#applied[partition] = next;
    if (next > (this.#ends[partition] as Offset)) this.#ends[partition] = next;
    this.#records += records;
    this.#sample();
    if (this.#reached()) return 'caught-up';
    if (this.#caughtUp || this.#target?.jumps === this.#jumps) return undefined;
    return this.#applied.every((offset, partition) => offset >= (this.#ends[partition] as Offset)) ? 'ask' : undefined;
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
    const age = this.#clock.monotonic() - this.#atEndSince;
    return (this.#caughtUp && age < 3 * askEveryMs ? 0 : Math.max(1, Math.round(age))) as Millis;
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
