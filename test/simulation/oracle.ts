/**
 * The truth, by a model that is as simple as can be: the whole log as it came, never compacted, applied in order. It knows nothing of
 * statements, settling or doubt; those exist so that nodes agree with it although they do not see the whole log.
 */
import { textOf } from '../../src/core/bytes.ts';
import type { LogRecord, Offset } from '../../src/ports.ts';

/** What stands under a key; `version` -1 and deleted: nothing ever did. */
export interface Truth {
  readonly version: number;
  readonly value: string;
  readonly deleted: boolean;
  /** 0: for ever. */
  readonly expires: number;
}

export interface Verdict {
  readonly outcome: 'written' | 'refused' | 'repeated' | 'ignored';
  /** The version written, of the first such record when repeated. */
  readonly version: number;
}

const ignored: Verdict = { outcome: 'ignored', version: -1 };

export const nothingEver: Truth = { version: -1, value: '', deleted: true, expires: 0 };

interface Change {
  /** The state from this offset on: of a member of an atomic batch its last one's. */
  readonly from: number;
  /** The offset of the record that did it. */
  readonly place: number;
  readonly truth: Truth;
}

/** A write that had its effect. */
export interface Accepted {
  readonly key: string;
  readonly record: LogRecord;
  readonly truth: Truth;
}

/** One partition's log and what it means. */
export class Oracle {
  readonly records: LogRecord[] = [];
  readonly verdicts: Verdict[] = [];
  /** By offset. */
  readonly #accepted = new Map<number, Accepted>();
  /** Records that are taken for repetitions although they come for the first time: their writer has overtaken himself. */
  readonly overtaken: string[] = [];
  readonly #written = new Set<string>();
  readonly #changes = new Map<string, Change[]>();
  readonly #writers = new Map<string, { readonly sequence: number; readonly time: number }>();
  readonly #answers = new Map<string, { readonly verdict: Verdict; readonly time: number }>();
  /** Members of an atomic batch whose last has not come yet. */
  #members: { readonly record: LogRecord; readonly repeated: boolean }[] = [];
  readonly #lagMs: number;

  constructor(lagMs: number) {
    this.#lagMs = lagMs;
  }

  /** Takes the next record of the log. */
  append(record: LogRecord): void {
    this.records.push(record);
    this.verdicts[record.offset] = this.#judge(record);
  }

  get next(): number {
    return this.records.length;
  }

  /** What a reader of everything before `next` sees at a time. */
  at(key: string, next: number): Truth {
    const changes = this.#changes.get(key) ?? [];
    for (let i = changes.length - 1; i >= 0; i--) if ((changes[i] as Change).from < next) return (changes[i] as Change).truth;
    return nothingEver;
  }

  /** All states that a reader may have seen of everything before some place between two. */
  between(key: string, from: number, to: number): Truth[] {
    const later = (this.#changes.get(key) ?? []).filter((change) => change.from >= from && change.from < to);
    return [this.at(key, from), ...later.map(({ truth }) => truth)];
  }

  /** The write at an offset, if there is one that had its effect. */
  acceptedAt(offset: number): Accepted | undefined {
    return this.#accepted.get(offset);
  }

  /** All writes of wanted keys that had their effect, from one offset up to another, it not included. */
  accepted(wants: (key: string) => boolean, from: number, to: number): Accepted[] {
    const found: Accepted[] = [];
    for (let offset = Math.max(0, from); offset < to; offset++) {
      const accepted = this.#accepted.get(offset);
      if (accepted !== undefined && wants(accepted.key)) found.push(accepted);
    }
    return found;
  }

  /** What stood under a key at a place, the records up to it included: of a batch those members that are. */
  atPlace(key: string, offset: number): Truth {
    return this.#changes.get(key)?.findLast(({ place }) => place <= offset)?.truth ?? nothingEver;
  }

  /** What stood under a key at a time, as who has read everything before `next` knows it. */
  atTime(key: string, time: number, next: number): Truth {
    const came = (offset: number): number => (this.records[offset] as LogRecord).time;
    return this.#changes.get(key)?.findLast(({ from, place }) => from < next && came(place) <= time)?.truth ?? nothingEver;
  }

  #judge(record: LogRecord): Verdict {
    const key = keyOf(record);
    const op = headerOf(record, 'op') ?? '';
    const repeated = this.#isDuplicate(headerOf(record, 'by'), record.time);
    if (headerOf(record, 'tx') !== undefined) return this.#judgeMember(record, repeated);
    if (repeated || op === 's' || op === 'sd') return ignored;
    const ik = headerOf(record, 'ik');
    const answered = ik === undefined ? undefined : this.#answers.get(`${ik}\0${key}`);
    if (answered !== undefined && record.time - answered.time <= this.#lagMs / 2) {
      return { outcome: answered.verdict.outcome === 'written' ? 'repeated' : 'refused', version: answered.verdict.version };
    }
    if (op === 't') {
      const asof = headerOf(record, 'asof');
      const held = this.at(key, record.offset);
      const known = asof === undefined || held.version <= Number(asof);
      if (known && !isLive(held, record.time)) this.#change(key, record.offset, record.offset, nothingEver);
      return ignored;
    }
    const holds = this.#holds(record);
    const verdict = this.#verdict(record, holds);
    if (holds) this.#write(key, record, record.offset);
    if (ik !== undefined) this.#answers.set(`${ik}\0${key}`, { verdict, time: record.time });
    return verdict;
  }

  /** All of a batch is decided with its last member, and is there from its place on: the members come side by side, and all of them. */
  #judgeMember(record: LogRecord, repeated: boolean): Verdict {
    this.#members.push({ record, repeated });
    if (this.#members.length < Number(headerOf(record, 'tx')?.split('/')[2])) return ignored;
    const members = this.#members.splice(0);
    if (members.some((each) => each.repeated)) return ignored;
    const holds = members.every((each) => this.#holds(each.record));
    // Before any of them has changed anything.
    const verdicts = members.map((each) => this.#verdict(each.record, holds));
    for (const [i, each] of members.entries()) {
      if (holds) this.#write(keyOf(each.record), each.record, record.offset);
      this.verdicts[each.record.offset] = verdicts[i] as Verdict;
    }
    return verdicts.at(-1) as Verdict;
  }

  /** The condition of a record, at its place and its log time. */
  #holds(record: LogRecord): boolean {
    const wanted = headerOf(record, 'if');
    const held = this.at(keyOf(record), record.offset);
    const live = isLive(held, record.time);
    if (wanted === undefined) return true;
    if (wanted === 'never') return false;
    if (wanted === 'absent') return !live;
    return live && (wanted === 'present' || held.version === Number(wanted));
  }

  #verdict(record: LogRecord, holds: boolean): Verdict {
    if (holds) return { outcome: 'written', version: record.offset };
    const held = this.at(keyOf(record), record.offset);
    return { outcome: 'refused', version: isLive(held, record.time) ? held.version : -1 };
  }

  #write(key: string, record: LogRecord, from: Offset): void {
    const truth = writtenBy(record);
    this.#accepted.set(record.offset, { key, record, truth });
    this.#change(key, from, record.offset, truth);
  }

  #change(key: string, from: Offset, place: Offset, truth: Truth): void {
    const changes = this.#changes.get(key) ?? [];
    this.#changes.set(key, changes);
    changes.push({ from, place, truth });
  }

  #isDuplicate(by: string | undefined, time: number): boolean {
    if (by === undefined) return false;
    const cut = by.lastIndexOf('/');
    const writer = by.slice(0, cut);
    const sequence = Number(by.slice(cut + 1));
    const mark = this.#writers.get(writer);
    const isDuplicate = mark !== undefined && sequence <= mark.sequence && time - mark.time <= this.#lagMs / 2;
    if (isDuplicate && !this.#written.has(by)) this.overtaken.push(by);
    this.#written.add(by);
    if (isDuplicate) return true;
    this.#writers.set(writer, { sequence, time });
    return false;
  }
}

export function headerOf(record: LogRecord, name: string): string | undefined {
  const value = record.headers?.[name] as Uint8Array | undefined;
  return value === undefined ? undefined : textOf(value);
}

export function keyOf(record: LogRecord): string {
  return textOf(record.key as Uint8Array) as string;
}

export function isLive({ deleted, expires }: Truth, at: number): boolean {
  return !deleted && (expires === 0 || expires > at);
}

function writtenBy(record: LogRecord): Truth {
  const op = headerOf(record, 'op');
  const deleted = op === 'd' || op === 'cd' || record.value === null;
  const value = deleted ? '' : Buffer.from(record.value as Uint8Array).toString();
  return { version: record.offset, value, deleted, expires: deleted ? 0 : Number(headerOf(record, 'exp') ?? 0) };
}
