/**
 * One key's writes, the newest first: its partition is read from the log in stretches that grow, each behind the one before. It is slow
 * where the key is old, so whoever asks says how long.
 */
import { effectOf, statedBy } from '../core/effects.ts';
import type { Rules } from '../core/machine.ts';
import type { Entry, LogRecord, Millis, Offset, Position } from '../ports.ts';
import { lastGap } from './kept.ts';
import type { Past, Stretch } from './past.ts';

const firstStretch = 2_000;
const growth = 4;
const longestStretch = 128_000;
/** Of what one stretch holds of the key; older writes in it are found again by the next question. */
const mostFound = 1_000;
const mostBytes = 8 * 1024 * 1024;
/** Statements tell what compaction has removed: few, and the newest of them are enough. */
const mostStated = 8;

/** A write to the key that is known to have had its effect; the value's bytes are a copy. */
export type Found = Entry;

/** What a stretch told. */
export interface Look {
  /** Writes that stand in the stretch, newest first. */
  readonly found: readonly Found[];
  /** Writes that statements in the stretch tell of; they stand in it too, or before it, unless compaction has removed them. */
  readonly stated: readonly Found[];
  /** What comes before this has not been looked at. */
  readonly from: Offset;
  /** From here up to the stretch's end all of the key's writes are in `found`. */
  readonly completeFrom: Offset;
  /** Log time of the first record at or after `completeFrom`; undefined: there is none. */
  readonly since: Millis | undefined;
  /** Log time of the stretch's last record; undefined: it has none. */
  readonly until: Millis | undefined;
  /** That record's place. */
  readonly last: Offset | undefined;
}

/** A key as of now: everything before `applied` is applied, and `entry` is what it came to. */
export interface Known {
  readonly bytes: Uint8Array;
  readonly applied: Position;
  readonly entry: Entry | undefined;
}

/** From where on all that was ever written is known, as one look after the other tells. */
export class Completeness {
  /** All writes from here on are known. */
  from: Offset;
  /** Log time there. */
  since: Millis | undefined;
  /** Before it, something may be missing. */
  ended = false;

  constructor(end: Offset) {
    this.from = end;
  }

  add({ completeFrom, from, since }: Look): void {
    if (this.ended) return;
    this.from = completeFrom;
    this.since = since ?? this.since;
    this.ended = completeFrom > from;
  }
}

/** Looks at everything before `to`, which must be applied, until the log's beginning or the caller ends it. Errors: those of `Past.read`. */
export async function* lookBack(
  past: Past,
  key: Uint8Array,
  { partition, offset: to }: Position,
  signal: AbortSignal,
): AsyncGenerator<Look> {
  let length = firstStretch;
  for (let end = to; end > 0; length = Math.min(length * growth, longestStretch)) {
    const from = Math.max(0, end - length) as Offset;
    const view = new View(key, from, end);
    for await (const stretch of past.read(partition, from, end, signal)) view.see(stretch);
    yield view;
    end = view.from;
  }
}

class View implements Look {
  from: Offset;
  completeFrom: Offset;
  since: Millis | undefined;
  until: Millis | undefined;
  last: Offset | undefined;
  readonly #key: Uint8Array;
  readonly #end: Offset;
  readonly #found: Found[] = [];
  readonly #stated = new Map<Offset, Found>();
  #bytes = 0;

  constructor(key: Uint8Array, from: Offset, end: Offset) {
    this.#key = key;
    this.from = from;
    this.completeFrom = from;
    this.#end = end;
  }

  get found(): readonly Found[] {
    return [...this.#found].reverse();
  }

  get stated(): readonly Found[] {
    return [...this.#stated.values()];
  }

  see({ batch, rules, fate, fatesFrom }: Stretch): void {
    if (batch.jumped) this.#incompleteBefore(lastGap(batch));
    if (fatesFrom > this.completeFrom) this.#incompleteBefore(fatesFrom);
    for (const record of batch.records) {
      if (record.offset >= this.completeFrom) this.since ??= record.time;
      this.until = record.time;
      this.last = record.offset;
      if (record.key !== null && Buffer.compare(record.key, this.#key) === 0) this.#seeOwn(record, rules, fate, fatesFrom);
    }
  }

  #seeOwn(record: LogRecord, rules: Rules, fate: Stretch['fate'], fatesFrom: Offset): void {
    const stated = statedBy(record, rules);
    if (stated !== undefined && this.#found.at(-1)?.version !== stated.version) this.#state(copied(stated));
    const isKnown = record.offset >= fatesFrom;
    const effect = effectOf(record, isKnown ? fate(record.offset) : undefined, rules);
    if (effect === undefined || !(isKnown || effect.certain)) return;
    if (effect.entry === undefined) this.#incompleteBefore((record.offset + 1) as Offset);
    else this.#add(copied(effect.entry));
  }

  #add(found: Found): void {
    this.#found.push(found);
    this.#bytes += found.value.length;
    while (this.#found.length > mostFound || (this.#bytes > mostBytes && this.#found.length > 1)) {
      const forgotten = this.#found.shift() as Found;
      this.#bytes -= forgotten.value.length;
      // It is found again when what comes before is looked at.
      this.from = (forgotten.version + 1) as Offset;
      if (this.completeFrom >= this.from) continue;
      this.completeFrom = this.from;
      this.since = this.#found[0]?.time;
    }
  }

  #state(stated: Found): void {
    this.#stated.set(stated.version, stated);
    const [oldest] = this.#stated.keys();
    if (this.#stated.size > mostStated) this.#stated.delete(oldest as Offset);
  }

  #incompleteBefore(offset: Offset): void {
    this.completeFrom = Math.min(this.#end, Math.max(this.completeFrom, offset)) as Offset;
    this.since = undefined;
  }
}

function copied(entry: Entry): Found {
  return { ...entry, value: new Uint8Array(entry.value) };
}
