/**
 * What is decided in log order about the records of one run that are more than a plain put or delete: conditions, repetitions, atomic
 * batches, statements, tombstones; and what of it this node is in doubt about. Pure, as the machine whose loop drives it.
 *
 * Doubt: behind a jump in offsets, what leaves a key unsettled may follow records that compaction has hidden, so what is decided then may
 * not be what others decided. The key stays doubtful until a statement or a plain write settles it.
 */
import type { Answer, Entry, Fate, LogRecord, Offset } from '../ports.ts';
import { ignored, isLive, met, stated, written } from './entries.ts';
import { genesisKey, isSystemKey } from './keys.ts';
import { LoggedPut } from './logged-put.ts';
import { never } from './position.ts';
import type { Decoded } from './record.ts';

/** What became of a record whose writer waits to hear of it. */
export interface Decision {
  /** The record's `by`. */
  readonly by: string;
  /** `offset` is the version written: of an earlier record when this one repeats it. */
  readonly answer: Answer;
}

/** The state before a run, and how to judge it. */
export interface Basis {
  readonly current: ReadonlyMap<string, Entry>;
  /** Of the run's partition, by `answerKey`. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** A key is doubtful before the run. */
  readonly doubtful: (key: string) => boolean;
  /** The run stands behind a jump in offsets that is not resolved. */
  readonly inDoubt: boolean;
  readonly compactionLagMs: number;
  /** Changes are told to watchers. */
  readonly watched: boolean;
}

/** A key that has come to another entry, for those who watch, or may have. */
export interface Change {
  readonly key: string;
  readonly offset: Offset;
  readonly entry: Entry;
  /** Not all is known: it is in doubt, or was learned from a statement, and then what came before it is not known. */
  readonly learned: boolean;
}

/** An understood record, and whether its writer has written it before. */
interface Proposal {
  readonly record: LogRecord;
  readonly decoded: Decoded;
  readonly duplicate: boolean;
}

/** Under which an answer is kept: an idempotency key counts for one key. */
export function answerKey(idempotencyKey: string, key: string): string {
  return `${idempotencyKey}\0${key}`;
}

export class Deciding {
  /** New state by key; undefined: swept. */
  readonly entries = new Map<string, Entry | undefined>();
  readonly answers = new Map<string, Answer>();
  readonly decisions: Decision[] = [];
  readonly changes: Change[] = [];
  /** Of those records that did not simply have their effect. */
  readonly fates = new Map<Offset, Fate>();
  readonly #basis: Basis;
  /** Keys touched that have become doubtful, or ceased to be. */
  readonly #doubt = new Map<string, boolean>();
  /** Members of an atomic batch whose last has not come yet. */
  #members: Proposal[] = [];

  constructor(basis: Basis) {
    this.#basis = basis;
  }

  /** Of the keys touched, those that are doubtful now. */
  get doubtful(): ReadonlySet<string> {
    const keys = new Set<string>();
    for (const [key, doubtful] of this.#doubt) if (doubtful) keys.add(key);
    return keys;
  }

  /** A plain write is what it is, whatever was there before: most of the work of a restore is here. */
  write(record: LogRecord, decoded: Decoded): void {
    if (this.#members.length > 0) this.interrupted();
    const entry = decoded instanceof LoggedPut ? decoded : written(record, decoded, true);
    this.#set(decoded.key, entry);
    if (this.#basis.watched) this.#changed(record, decoded.key, entry, false);
  }

  /** Decides about a record, or about its atomic batch with the last member. */
  decide(record: LogRecord, decoded: Decoded, duplicate: boolean): void {
    const proposal = { record, decoded, duplicate };
    if (!this.#continues(proposal)) this.interrupted();
    if (decoded.batch === undefined) {
      this.#decideOne(proposal);
      return;
    }
    this.#members.push(proposal);
    if (this.#members.length === decoded.batch.count) this.#decideTogether(this.#members.splice(0));
    else if (decoded.batch.index !== this.#members.length - 1) this.interrupted();
  }

  /** Something else follows: of the members held back some are missing, and what the batch came to cannot be told. */
  interrupted(): void {
    for (const { record, decoded } of this.#members.splice(0)) {
      const entry = ignored(record, this.#held(decoded.key));
      this.#set(decoded.key, entry, true);
      this.#fate(record, decoded.key, entry, undefined);
      this.#tell(decoded, { ...answerTo(record, decoded), outcome: 'doubtful', current: never });
    }
  }

  #continues({ record, decoded }: Proposal): boolean {
    const last = this.#members.at(-1);
    if (last === undefined) return true;
    const { batch } = decoded;
    return batch !== undefined && batch.id === last.decoded.batch?.id && record.offset === last.record.offset + 1;
  }

  #decideOne(proposal: Proposal): void {
    const { record, decoded, duplicate } = proposal;
    const { key } = decoded;
    const held = this.#held(key);
    if (decoded.operation === 'statement') {
      const wasDoubtful = this.#isDoubtful(key);
      const entry = stated(record, decoded, held, this.#basis.compactionLagMs);
      this.#set(key, entry);
      if ((!wasDoubtful && entry.version === (held?.version ?? never)) || isSystemKey(key) || this.#isDoubtful(key)) return;
      this.fates.set(record.offset, 'unknown');
      if (this.#basis.watched) this.#changed(record, key, entry, true);
      return;
    }
    if (decoded.operation === 'tombstone') {
      if (held === undefined || this.#ends(record, decoded, held)) this.#set(key, undefined);
      else this.#set(key, ignored(record, held));
      return;
    }
    const repeated = duplicate ? undefined : this.#answered(record, decoded);
    const conditional = decoded.condition !== undefined;
    // Nobody may give the topic another identity: it is stated again, or compaction would leave only this record.
    const refused = duplicate || repeated !== undefined || (key === genesisKey && !conditional);
    const holds = !refused && met(decoded.condition, held, record.time);
    const entry = holds ? written(record, decoded, !conditional) : ignored(record, held);
    this.#set(key, entry);
    const doubtful = conditional && this.#isDoubtful(key);
    // A question has no effect, whatever was there.
    const isCertain = !doubtful || duplicate || repeated !== undefined || decoded.condition === 'never';
    this.#fate(record, key, entry, isCertain ? holds : undefined);
    if (holds && this.#basis.watched) this.#changed(record, key, entry, false);
    if (duplicate) return;
    const answer = repeated ?? this.#answer(record, decoded, holds, held, doubtful);
    this.#tell(decoded, answer);
  }

  /** All conditions against the state before the first, then all or none. */
  #decideTogether(members: readonly Proposal[]): void {
    const before = members.map(({ decoded }) => this.#held(decoded.key));
    const holds = members.every(({ record, decoded, duplicate }, i) => !duplicate && met(decoded.condition, before[i], record.time));
    const doubtful = this.#basis.inDoubt || members.some(({ decoded }) => this.#isDoubtful(decoded.key));
    for (const { record, decoded } of members) {
      const entry = holds ? written(record, decoded, false) : ignored(record, this.#held(decoded.key));
      this.#set(decoded.key, entry, doubtful);
      this.#fate(record, decoded.key, entry, doubtful ? undefined : holds);
      if (holds && this.#basis.watched) this.#changed(record, decoded.key, entry, false);
    }
    for (const [i, { record, decoded, duplicate }] of members.entries()) {
      if (!duplicate) this.#tell(decoded, this.#answer(record, decoded, holds, before[i], doubtful));
    }
  }

  /** What the same request came to before, lately enough. */
  #answered(record: LogRecord, { idempotencyKey, key }: Decoded): Answer | undefined {
    if (idempotencyKey === '') return undefined;
    const id = answerKey(idempotencyKey, key);
    const answer = this.answers.get(id) ?? this.#basis.answers.get(id);
    return answer !== undefined && record.time - answer.time <= this.#basis.compactionLagMs / 2 ? answer : undefined;
  }

  /**
   * A tombstone's author vouches for what it knew, and for nothing since: a delete that it did not know of is young, and a statement of the
   * value before may still be on its way. Behind a jump its word is better than what is held here.
   */
  #ends(record: LogRecord, { key, goneAsof }: Decoded, held: Entry): boolean {
    const known = goneAsof === undefined || (held.version <= goneAsof && goneAsof < record.offset);
    const hidden = goneAsof !== undefined && (this.#basis.inDoubt || this.#isDoubtful(key));
    return known && (hidden || !isLive(held, record.time));
  }

  #answer(record: LogRecord, decoded: Decoded, holds: boolean, held: Entry | undefined, doubtful: boolean): Answer {
    const current = !holds && held !== undefined && isLive(held, record.time) ? held.version : never;
    return { ...answerTo(record, decoded), outcome: doubtful ? 'doubtful' : holds ? 'written' : 'refused', current };
  }

  #tell(decoded: Decoded, answer: Answer): void {
    if (decoded.by !== '') this.decisions.push({ by: decoded.by, answer });
    if (decoded.idempotencyKey === '' || decoded.batch !== undefined) return;
    this.answers.set(answerKey(decoded.idempotencyKey, decoded.key), answer);
  }

  /** `holds` undefined: nobody here knows, and those who watch must not be led past it as if nothing had been. */
  #fate({ offset }: LogRecord, key: string, entry: Entry, holds: boolean | undefined): void {
    if (holds === true) return;
    this.fates.set(offset, holds === false ? 'ignored' : 'unknown');
    if (holds === undefined && this.#basis.watched && !isSystemKey(key)) this.changes.push({ key, offset, entry, learned: true });
  }

  #changed({ offset }: LogRecord, key: string, entry: Entry, learned: boolean): void {
    if (!isSystemKey(key) && !this.#isDoubtful(key)) this.changes.push({ key, offset, entry, learned });
  }

  #held(key: string): Entry | undefined {
    return this.entries.has(key) ? this.entries.get(key) : this.#basis.current.get(key);
  }

  #isDoubtful(key: string): boolean {
    return this.#doubt.get(key) ?? this.#basis.doubtful(key);
  }

  #set(key: string, entry: Entry | undefined, doubtful = this.#basis.inDoubt): void {
    this.entries.set(key, entry);
    const was = this.#isDoubtful(key);
    const is = entry !== undefined && !entry.settled && (was || doubtful);
    if (is || was) this.#doubt.set(key, is);
  }
}

function answerTo(record: LogRecord, decoded: Decoded): Pick<Answer, 'offset' | 'time' | 'id'> {
  return { offset: record.offset, time: record.time, id: decoded.id };
}
