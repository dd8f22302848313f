/**
 * Watches: the changes of a key or a prefix, in the log's order, without gap or duplicate. Where changes were missed (the log has compacted
 * them, this node has jumped over them or was in doubt, the watcher was too slow) an explicit `reset` is told, then the whole state, then
 * `sync`.
 *
 * A watcher stands between two things that are both of one moment: what it is told first (changes of late, or the state), and the queue that
 * begins to fill in the same turn of the event loop. So nothing falls between them, and what is in both is left out of the second.
 */
import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey, type Limits } from '../core/keys.ts';
import type {
  Clock,
  Listing,
  ListOptions,
  Offset,
  Partition,
  Position,
  ReadAnswer,
  Seen,
  WatchChange,
  WatchEvent,
  WatchOptions,
} from '../ports.ts';
import type { Past } from './past.ts';
import { Patience } from './patience.ts';
import { Recent } from './recent.ts';
import { type Resumed, Resuming } from './resuming.ts';
import { eventOf, Told } from './told.ts';
import { WatchQueue } from './watch-queue.ts';

const mostWatchers = 10_000;
const pageItems = 500;
/** A resumed watcher is told more than this before its queue begins to fill, or what comes meanwhile would be too much for it. */
const mostAtOnce = 1_000;
/** How long a watcher waits for a node that is of no point in time. */
const longestWaitMs = 60_000;
const pauseMs = 50;
/** A watcher that hears nothing for so long is told where it is, so that it can be resumed from there. */
const idleMs = 10_000;

export interface WatchingOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly partitions: () => number;
  readonly applied: (partition: Partition) => Offset;
  /** Everything that `list` and `readLocal` may have shown stands before this offset; not before `applied`. */
  readonly shown: (partition: Partition) => Offset;
  readonly genesis: () => string | undefined;
  readonly past: Past;
  /** No jump in offsets is unresolved. */
  readonly whole: () => boolean;
  readonly list: (options: ListOptions) => Promise<Listing>;
  readonly readLocal: (key: string) => Promise<ReadAnswer>;
}

export class Watching {
  readonly #options: WatchingOptions;
  readonly #recent: Recent;
  readonly #resuming: Resuming;
  readonly #queues = new Set<WatchQueue>();
  readonly #closed = new AbortController();
  #count = 0;
  #cancelTick: () => void = () => undefined;

  constructor(options: WatchingOptions) {
    this.#options = options;
    this.#recent = new Recent(options.partitions);
    this.#resuming = new Resuming({ ...options, recent: this.#recent, closed: this.#closed.signal });
  }

  /** Watches that are open. */
  get count(): number {
    return this.#count;
  }

  /** A batch that began at `first` was applied up to `next`, and is visible; `changes` undefined: they are not all known. */
  applied(partition: Partition, first: Offset, next: Offset, changes: readonly WatchChange[] | undefined): void {
    this.#recent.add(partition, first, next, changes);
    for (const queue of this.#queues) {
      // It was not known yet that somebody watches, or the batch stands behind a jump.
      if (changes === undefined) queue.lose();
      else if (changes.length > 0) queue.add(changes);
    }
  }

  /** Changes were missed: behind a jump in offsets, or with another log. */
  lost(): void {
    this.#recent.clear();
    for (const queue of this.#queues) queue.lose();
  }

  /** Ends all watches. */
  close(): void {
    this.#cancelTick();
    this.#closed.abort();
  }

  /** Errors: `overloaded`, `position-not-reached`, and those of listings. Ends when `signal` does, or the node goes away. */
  async *watch({ key, prefix = '', from, initial = false, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
    if (key !== undefined) checkKey(key, this.#options.limits);
    if (this.#count >= mostWatchers) throw new BitacoraError('overloaded', `${mostWatchers} watches are open`);
    const ended = signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
    const wants = (changed: string): boolean => (key === undefined ? changed.startsWith(prefix) : changed === key);
    const queue = new WatchQueue(wants);
    // What was seen of another log says nothing of this one.
    const told = new Told(from !== undefined && this.#knows(from) ? from : undefined);
    const what: Watched = { key, prefix, queue, wants, told, ended, log: this.#options.genesis() };
    this.#count++;
    const end = (): void => queue.end();
    ended.addEventListener('abort', end, { once: true });
    try {
      let missed: readonly WatchChange[] | undefined = [];
      if (from !== undefined) {
        missed = this.#knows(from) ? this.#resuming.fromMemory(what) : undefined;
        while ((missed === undefined || missed.length > mostAtOnce) && this.#knows(from) && !ended.aborted) {
          const whole = yield* missed === undefined ? this.#resuming.fromLog(what) : this.#resuming.told(what, missed, this.#now());
          missed = whole ? this.#resuming.fromMemory(what) : undefined;
          if (!whole) break;
        }
        // The watcher took his time, and the node may be making its store anew, for another log perhaps: what is missed is not known.
        if (!this.#knows(from)) missed = undefined;
      }
      // Since it was known what was missed, nothing was waited for.
      this.#add(queue);
      if (missed === undefined || (initial && from === undefined)) {
        yield* this.#state(what, missed === undefined);
      } else {
        const now = this.#now();
        const wanted = missed.filter((change) => wants(change.key));
        if (wanted.some(({ learned }) => learned)) queue.lose();
        else {
          for (const change of wanted) if (told.note(change)) yield eventOf(change);
          // The watcher took his time: if the log is another one by now, these are no places of it.
          if (!queue.lost) yield told.sync(now);
        }
      }
      while (!ended.aborted) {
        await queue.come();
        if (queue.lost) yield* this.#state(what, true);
        else if (queue.idle && !ended.aborted) yield told.sync(this.#now());
        else for (const change of queue.take()) if (told.note(change)) yield eventOf(change);
      }
    } finally {
      this.#count--;
      ended.removeEventListener('abort', end);
      this.#queues.delete(queue);
    }
  }

  #add(queue: WatchQueue): void {
    this.#queues.add(queue);
    if (this.#queues.size === 1) this.#tickLater();
  }

  /** One timer for all who wait. */
  #tickLater(): void {
    this.#cancelTick();
    this.#cancelTick = this.#options.clock.after(idleMs / 2, () => {
      for (const queue of this.#queues) queue.tick();
      if (this.#queues.size > 0) this.#tickLater();
    });
  }

  /** What was seen is of the log that this node follows. */
  #knows(seen: Seen): boolean {
    return seen.genesis === this.#options.genesis();
  }

  /** The whole state, again from the beginning if the watcher is too slow for what changes meanwhile. */
  async *#state(what: Watched, reset: boolean): AsyncGenerator<WatchEvent> {
    const { key, prefix, queue, told, ended } = what;
    await this.#untilWhole(what);
    if (ended.aborted) return;
    if (reset) {
      told.reach(this.#now());
      yield { kind: 'reset' };
      // The store may have been made anew while the watcher took its time.
      await this.#untilWhole(what);
      if (ended.aborted) return;
    }
    queue.begin();
    const now = this.#now();
    told.begin(now);
    what.log = this.#options.genesis();
    if (key !== undefined) {
      const { found } = await this.#certain(() => this.#options.readLocal(key), ended);
      if (found !== undefined) yield told.put(key, found);
    } else {
      for (let after: string | undefined; ; ) {
        const from = after === undefined ? {} : { after };
        const { items, next } = await this.#certain(() => this.#options.list({ prefix, limit: pageItems, ...from }), ended);
        for (const item of items) {
          if (ended.aborted) return;
          yield told.put(item.key, item.found);
        }
        if (next === undefined) break;
        after = next;
      }
    }
    // What the state was told with may be newer than its moment: whoever is resumed from the `sync` has to have been told all up to it, and
    // nothing beyond it, or it would be told once more what came before that. A key may even lack because its delete was about to be applied.
    await this.#untilApplied(what, this.#each(this.#options.shown));
    while (!queue.idle || told.isAhead) {
      await queue.come();
      if (queue.lost || ended.aborted) return;
      for (const change of queue.take()) if (told.note(change)) yield eventOf(change);
    }
    yield told.sync(this.#now());
  }

  /** The answer as soon as this node is in no doubt about it. Errors: those of `ask`, `in-doubt` after a while. */
  async #certain<T>(ask: () => Promise<T>, ended: AbortSignal): Promise<T> {
    const { clock } = this.#options;
    const patience = new Patience(clock, longestWaitMs, ended);
    try {
      for (;;) {
        try {
          return await ask();
        } catch (error) {
          if (codeOf(error) !== 'in-doubt' || !(await patience.pause(clock, pauseMs))) throw error;
        }
      }
    } finally {
      patience.end();
    }
  }

  /** This node is of a point in time, and not behind what the watcher has seen: no state is told that is older. */
  async #untilWhole(what: Watched): Promise<void> {
    const { clock, whole } = this.#options;
    const { ended } = what;
    const patience = new Patience(clock, longestWaitMs, ended);
    try {
      while (!(whole() && this.#reaches(what)) && !ended.aborted) {
        if ((await patience.pause(clock, pauseMs)) || ended.aborted) continue;
        throw new BitacoraError('position-not-reached', 'this node follows a jump in the log, or is behind what was seen');
      }
    } finally {
      patience.end();
    }
  }

  /** What was shown is applied, so that its changes have come; or the queue is lost, and the state has to be told again. */
  async #untilApplied({ queue, ended }: Watched, shown: readonly Offset[]): Promise<void> {
    const { clock, applied } = this.#options;
    const patience = new Patience(clock, longestWaitMs, ended);
    try {
      while (!queue.lost && !ended.aborted && shown.some((next, i) => applied(i as Partition) < next)) {
        if ((await patience.pause(clock, pauseMs)) || ended.aborted) continue;
        throw new BitacoraError('position-not-reached', 'what was shown is not written yet');
      }
    } finally {
      patience.end();
    }
  }

  /** What was told of a log that is another now does not count. */
  #reaches({ told, log }: Watched): boolean {
    const { applied, genesis } = this.#options;
    const now = genesis();
    if (log !== undefined && now !== undefined && log !== now) return true;
    return this.#each(applied).every((next, i) => next >= told.next(i as Partition));
  }

  #each(offset: (partition: Partition) => Offset): Offset[] {
    return Array.from({ length: this.#options.partitions() }, (_, i) => offset(i as Partition));
  }

  /** The newest records that are applied. */
  #now(): Position[] {
    return this.#each(this.#options.applied)
      .map((next, i) => ({ partition: i as Partition, offset: (next - 1) as Offset }))
      .filter(({ offset }) => offset >= 0);
  }
}

interface Watched extends Resumed {
  readonly prefix: string;
  readonly queue: WatchQueue;
  /** Of which log all is that was told, when it was known. */
  log: string | undefined;
}
