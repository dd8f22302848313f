/** A page of a key's versions, as one look at the log after the other adds to it. */
import { HistoryCompacted } from '../core/errors.ts';
import type { History, HistoryOptions, Moment, Offset, Partition, Version } from '../ports.ts';
import { foundOf } from './found.ts';
import { Completeness, type Found, type Known, type Look } from './looking-back.ts';

/** A page is full when its values have so many bytes. */
const mostBytes = 8 * 1024 * 1024;

export class Page {
  /** Where to begin to look: everything from here on is known without. */
  readonly end: Offset;
  readonly #known: Known;
  readonly #options: HistoryOptions;
  readonly #versions = new Map<Offset, Found>();
  /** Told by statements of what was not found so far. */
  readonly #stated = new Map<Offset, Found>();
  readonly #complete: Completeness;
  /** Everything before has not been looked at. */
  #looked: Offset;
  /** Nothing older is asked for. */
  #enough = false;

  constructor(known: Known, options: HistoryOptions) {
    this.#known = known;
    this.#options = options;
    const { entry, applied } = known;
    const to = Math.min(applied.offset, options.before?.offset ?? applied.offset) as Offset;
    const newest = entry !== undefined && entry.version >= 0 && entry.version < to ? entry : undefined;
    if (newest !== undefined) this.#versions.set(newest.version, newest);
    this.end = newest?.version ?? to;
    this.#looked = this.end;
    this.#complete = new Completeness(this.end);
    this.#complete.since = newest?.time;
    if (newest !== undefined) this.#enough = this.#full || !this.#isAsked(newest);
  }

  /** Nothing needs to be looked at any more. */
  get isEnough(): boolean {
    return this.#enough;
  }

  /** False: that was enough. */
  add(look: Look): boolean {
    if (this.#enough) return false;
    for (const found of look.found) this.#versions.set(found.version, found);
    for (const found of look.stated) if (!this.#versions.has(found.version)) this.#stated.set(found.version, found);
    this.#complete.add(look);
    this.#looked = look.from;
    const { since } = this.#options;
    const reached =
      typeof since === 'object' ? look.from <= since.offset : since !== undefined && look.until !== undefined && look.until < since;
    this.#enough = this.#full || reached;
    return !this.#enough;
  }

  get #full(): boolean {
    const asked = [...this.#versions.values()].filter((found) => this.#isAsked(found));
    const bytes = [...asked, ...this.#stated.values()].reduce((sum, { value }) => sum + value.length, 0);
    return asked.length >= this.#options.limit || bytes >= mostBytes;
  }

  /** Errors: `history-compacted`. */
  history(): History {
    const { partition } = this.#known.applied;
    const { limit, since } = this.#options;
    // What a statement tells of a place that will be looked at is told again, or told better, then.
    const left = [...this.#stated.values()].filter(({ version }) => version < this.end && (version >= this.#looked || this.#looked === 0));
    const all = new Map([...left, ...this.#versions.values()].map((found) => [found.version, found]));
    const found = [...all.values()].filter((each) => this.#isAsked(each)).sort((one, other) => other.version - one.version);
    const versions = found.slice(0, countWithin(found, limit));
    const last = versions.at(-1);
    const isFull = last !== undefined && (this.#full || versions.length < found.length);
    // A page that is full of what is certain is followed by another.
    if (since !== undefined && !(isFull && last.version >= this.#complete.from)) this.#checkHorizon(since);
    const complete = isFull && last.version > this.#complete.from ? { from: last.version, since: last.time } : this.#complete;
    const more = found.length > versions.length || this.#looked > 0;
    const goesOn = isFull && more ? last.version : this.#enough ? 0 : this.#looked;
    return {
      versions: versions.map((each) => versionOf(each, partition)),
      completeSince: { position: { partition, offset: complete.from }, time: complete.since },
      next: goesOn > 0 ? { partition, offset: goesOn as Offset } : undefined,
    };
  }

  #isAsked({ version, time }: Found): boolean {
    const { since } = this.#options;
    return since === undefined || (typeof since === 'object' ? version >= since.offset : time >= since);
  }

  #checkHorizon(since: Moment): void {
    const { from, ended, since: time } = this.#complete;
    const isBefore = typeof since === 'object' ? since.offset < from : time === undefined || since < time;
    if (ended && isBefore) throw new HistoryCompacted({ partition: this.#known.applied.partition, offset: from });
  }
}

/** How many of them a page holds: one at least. */
function countWithin(found: readonly Found[], limit: number): number {
  let bytes = 0;
  const over = found.findIndex(({ value }) => {
    bytes += value.length;
    return bytes >= mostBytes;
  });
  return Math.min(limit, over < 0 ? found.length : over + 1);
}

function versionOf(found: Found, partition: Partition): Version {
  const { version: offset, time, deleted, id, by } = found;
  const version = { partition, offset };
  return {
    version,
    time,
    found: deleted ? undefined : foundOf(found, partition),
    id,
    by: by.slice(0, Math.max(0, by.lastIndexOf('/', by.lastIndexOf('/') - 1))),
  };
}
