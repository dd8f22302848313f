/**
 * What one partition keeps of its past beside the entries: writers' marks, answers to idempotency keys, and the fates of records. Stored in
 * the batch with the data, held in memory too, and bounded: marks and answers by the log's time, fates by number.
 */
import type { Step } from '../core/machine.ts';
import type { Answer, Fate, LogBatch, LogRecord, Millis, Offset, Partition, Store, WriterMark } from '../ports.ts';

/** Marks and answers older than the compaction lag no longer count for anything; they are looked through every so many batches. */
const forgetEvery = 512;
/** And so many times in a lag of log time: those of a long restore, or of a burst before it went quiet, would pile up. */
const looksPerLag = 8;
/** Of all partitions together; each has its share, but not less than so many. */
const mostFates = 400_000;
const leastShare = 50_000;

/** What a batch changes; undefined: forgotten. */
export interface KeptChanges {
  readonly writers: ReadonlyMap<string, WriterMark | undefined>;
  readonly answers: ReadonlyMap<string, Answer | undefined>;
  readonly fates: ReadonlyMap<Offset, Fate | undefined>;
  readonly fatesFrom: Offset;
}

export class Kept {
  readonly writers: Map<string, WriterMark>;
  readonly answers: Map<string, Answer>;
  /** In the log's order. */
  readonly fates: Map<Offset, Fate>;
  readonly #lagMs: number;
  readonly #mostFates: number;
  /** Batches since marks and answers were looked through, and the log time then. */
  #looked = { batches: 0, at: 0 };

  private constructor(
    writers: Map<string, WriterMark>,
    answers: Map<string, Answer>,
    fates: Map<Offset, Fate>,
    lagMs: number,
    most: number,
  ) {
    this.writers = writers;
    this.answers = answers;
    this.fates = fates;
    this.#lagMs = lagMs;
    this.#mostFates = most;
  }

  /** As a store has it. Errors: those of the store. */
  static async load(store: Store, partition: Partition, lagMs: number): Promise<Kept> {
    const writers = new Map(await store.writers(partition));
    const answers = new Map(await store.answers(partition));
    const fates = new Map(await store.fates(partition));
    return new Kept(writers, answers, fates, lagMs, Math.max(leastShare, Math.floor(mostFates / store.checkpoints.length)));
  }

  /** What a batch adds, and what is forgotten with it. Nothing is changed yet. */
  after(batch: LogBatch, result: Step, fatesFrom: Offset): KeptChanges {
    const writers = new Map<string, WriterMark | undefined>(result.writers);
    const answers = new Map<string, Answer | undefined>(result.answers);
    if (this.#forgets(result.logTime)) {
      const old = result.logTime - this.#lagMs;
      for (const [writer, { time }] of this.writers) if (time < old && !writers.has(writer)) writers.set(writer, undefined);
      for (const [id, { time }] of this.answers) if (time < old && !answers.has(id)) answers.set(id, undefined);
    }
    return { writers, answers, ...this.#fatesAfter(batch, result.fates, fatesFrom) };
  }

  take({ writers, answers, fates }: KeptChanges): void {
    change(this.writers, writers);
    change(this.answers, answers);
    change(this.fates, fates);
  }

  #fatesAfter(batch: LogBatch, added: ReadonlyMap<Offset, Fate>, before: Offset): Pick<KeptChanges, 'fates' | 'fatesFrom'> {
    if (added.size === 0 && !batch.jumped) return { fates: added, fatesFrom: before };
    let from = batch.jumped ? lastGap(batch) : before;
    const all = this.fates.size + added.size;
    if (all > this.#mostFates) {
      // A tenth at once, or there would be some to forget with every batch.
      const forgotten = all - Math.floor(this.#mostFates * 0.9);
      let count = 0;
      for (const offset of [...this.fates.keys(), ...added.keys()]) {
        if (count++ === forgotten) break;
        from = Math.max(from, offset + 1) as Offset;
      }
    }
    const fates = new Map<Offset, Fate | undefined>();
    for (const offset of this.fates.keys()) {
      if (offset >= from) break;
      fates.set(offset, undefined);
    }
    for (const [offset, fate] of added) if (offset >= from) fates.set(offset, fate);
    return { fates, fatesFrom: from };
  }

  /** Now and then the marks and answers are looked through. */
  #forgets(logTime: Millis): boolean {
    const { batches, at } = this.#looked;
    const forgets = batches + 1 >= forgetEvery || logTime - at >= this.#lagMs / looksPerLag;
    this.#looked = forgets ? { batches: 0, at: logTime } : { batches: batches + 1, at };
    return forgets;
  }
}

/** From here on nothing is missing in a batch that stands behind a jump, or has one in it. What the log writes for itself counts as missing. */
export function lastGap({ records, next }: Pick<LogBatch, 'records' | 'next'>): Offset {
  let from = next;
  for (let i = records.length - 1; i >= 0; i--) {
    const { offset } = records[i] as LogRecord;
    if (offset + 1 !== from) break;
    from = offset;
  }
  return from;
}

/** Undefined: taken out. */
function change<K, T>(kept: Map<K, T>, changes: ReadonlyMap<K, T | undefined>): void {
  for (const [id, value] of changes) {
    if (value === undefined) kept.delete(id);
    else kept.set(id, value);
  }
}
