/** What stood under a key at a moment, as one look at the log after the other tells. */
import { BitacoraError, HistoryCompacted } from '../core/errors.ts';
import { isLive } from '../core/machine.ts';
import type { Entry, Millis, Moment, Offset } from '../ports.ts';
import { Completeness, type Found, type Known, type Look } from './looking-back.ts';

export class Sight {
  /** Where to begin to look. */
  readonly end: Offset;
  /** Nothing needs to be looked at. */
  readonly isClear: boolean;
  readonly #known: Known;
  readonly #at: Moment;
  readonly #complete: Completeness;
  #found: Found | undefined;
  #looked: Offset;
  /** Log time of the moment, when it is a place; or, when the record there is gone, of the newest before it that is not. */
  #time: Millis | undefined;
  #isTimeKnown = false;

  constructor(known: Known, at: Moment) {
    this.#known = known;
    this.#at = at;
    const { entry, applied } = known;
    if (entry !== undefined && entry.version >= 0 && this.#isBefore(entry)) this.#found = entry;
    this.isClear = this.#found !== undefined && (typeof at === 'number' || this.#found.expires === 0);
    // What was written after the moment is of no interest, but a place's own time is.
    const overwritten = this.#found === undefined && entry !== undefined && entry.version >= 0 ? entry.version : applied.offset;
    this.end = typeof at === 'object' ? (Math.min(at.offset + 1, applied.offset) as Offset) : overwritten;
    this.#looked = this.end;
    this.#complete = new Completeness(this.end);
  }

  /** False: that was enough. */
  add(look: Look): boolean {
    this.#complete.add(look);
    this.#looked = look.from;
    if (typeof this.#at === 'object' && look.last === this.#at.offset) this.#isTimeKnown = true;
    this.#time ??= look.until;
    this.#found ??= look.found.find((found) => this.#isBefore(found));
    return this.#found === undefined && !this.#complete.ended;
  }

  /** Undefined: there was nothing. Errors: `history-compacted`, `position-not-reached`. */
  entry(): Entry | undefined {
    const found = this.#found;
    const { from } = this.#complete;
    if (found !== undefined && (found === this.#known.entry || found.version >= from)) {
      const time = typeof this.#at === 'number' ? this.#at : (this.#time ?? found.time);
      if (!isLive(found, time)) return undefined;
      // How late it was at a place whose record is gone nobody can tell: perhaps past the deadline.
      if (typeof this.#at === 'number' || this.#isTimeKnown || found.expires === 0) return found;
    }
    const hasLooked = this.#looked < this.end;
    if (hasLooked && (found !== undefined || this.#complete.ended)) {
      throw new HistoryCompacted({ partition: this.#known.applied.partition, offset: from });
    }
    if (this.#looked > 0) {
      throw new BitacoraError('position-not-reached', `the log was read back to ${this.#known.applied.partition}:${this.#looked} in time`);
    }
    return undefined;
  }

  #isBefore({ version, time }: Found): boolean {
    return typeof this.#at === 'object' ? version <= this.#at.offset : time <= this.#at;
  }
}
