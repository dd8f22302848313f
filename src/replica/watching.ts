/**
 * Watches: the changes of a key or a prefix, in the log's order, without gap or duplicate. Where changes were missed (the log has compacted
 * them, this node has jumped over them or forgotten them, the watcher was too slow) an explicit `reset` is told, then the whole state, then
 * `sync`.
 *
 * A watcher stands between two things that are both of one moment: what it is told first (changes of late, or the state), and the queue that
 * begins to fill in the same turn of the event loop. So nothing falls between them, and what is in both is left out of the second.
 */
import { bytesOf } from '../core/bytes.ts';
import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey, type Limits } from '../core/keys.ts';
import { partitionOf } from '../core/partitioner.ts';
import { never, seenOf } from '../core/position.ts';
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
import { Patience } from './patience.ts';
import { Recent } from './recent.ts';
import { WatchQueue } from './watch-queue.ts';

const mostWatchers = 10_000;
const pageItems = 500;
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
  readonly genesis: () => string | undefined;
  /** No jump in offsets is unresolved. */
  readonly whole: () => boolean;
  readonly list: (options: ListOptions) => Promise<Listing>;
  readonly readLocal: (key: string) => Promise<ReadAnswer>;
}

export class Watching {
  readonly #options: WatchingOptions;
  readonly #recent: Recent;
  readonly #queues = new Set<WatchQueue>();
  readonly #closed = new AbortController();

  constructor(options: WatchingOptions) {
    this.#options = options;
    this.#recent = new Recent(options.partitions);
  }

  get count(): number {
    return this.#queues.size;
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
    this.#closed.abort();
  }

  /** Errors: `overloaded`, `position-not-reached`, and those of listings. Ends when `signal` does, or the node goes away. */
  async *watch({ key, prefix = '', from, initial = false, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
    if (key !== undefined) checkKey(key, this.#options.limits);
    if (this.#queues.size >= mostWatchers) throw new BitacoraError('overloaded', `${mostWatchers} watches are open`);
    const ended = signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
    const wants = (changed: string): boolean => (key === undefined ? changed.startsWith(prefix) : changed === key);
    const queue = new WatchQueue(wants);
    const what = { key, prefix, queue, ended };
    const missed = from === undefined ? [] : this.#since(from, key);
    const told = new Told(from);
    this.#queues.add(queue);
    try {
      if (missed === undefined || (initial && from === undefined)) {
        yield* this.#state(what, told, missed === undefined);
      } else {
        const now = this.#now();
        const wanted = missed.filter((change) => wants(change.key));
        if (wanted.some(({ learned }) => learned)) queue.lose();
        else {
          for (const change of wanted) if (told.isNew(change)) yield eventOf(change);
          yield { kind: 'sync', positions: now };
        }
      }
      while (!ended.aborted) {
        await queue.come(ended, this.#options.clock, idleMs);
        if (queue.lost) yield* this.#state(what, told, true);
        else if (queue.idle && !ended.aborted) yield { kind: 'sync', positions: this.#now() };
        else for (const change of queue.take()) if (told.isNew(change)) yield eventOf(change);
      }
    } finally {
      this.#queues.delete(queue);
    }
  }

  /** All changes since what was seen; undefined: not all of them are known. */
  #since(seen: Seen, key: string | undefined): readonly WatchChange[] | undefined {
    if (seen.genesis !== this.#options.genesis()) return undefined;
    const changes: WatchChange[] = [];
    const count = this.#options.partitions();
    const partitions = key === undefined ? Array.from({ length: count }, (_, i) => i as Partition) : [partitionOf(bytesOf(key), count)];
    for (const partition of partitions) {
      const next = ((seenOf(partition, seen)?.offset ?? never) + 1) as Offset;
      if (next >= this.#options.applied(partition)) continue;
      const since = this.#recent.since(partition, next);
      if (since === undefined) return undefined;
      for (const change of since) changes.push(change);
    }
    return changes;
  }

  /** The whole state, again from the beginning if the watcher is too slow for what changes meanwhile. */
  async *#state({ key, prefix, queue, ended }: Watched, told: Told, reset: boolean): AsyncGenerator<WatchEvent> {
    await this.#untilWhole(ended);
    if (ended.aborted) return;
    if (reset) yield { kind: 'reset' };
    queue.begin();
    const now = this.#now();
    told.begin(now);
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
    // What the state was told with may be newer than its moment: whoever is resumed from the `sync` has to have been told all up to it.
    while (!queue.idle) {
      if (queue.lost || ended.aborted) return;
      for (const change of queue.take()) if (told.isNew(change)) yield eventOf(change);
    }
    yield { kind: 'sync', positions: this.#now() };
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

  async #untilWhole(ended: AbortSignal): Promise<void> {
    const { clock, whole } = this.#options;
    const patience = new Patience(clock, longestWaitMs, ended);
    try {
      while (!whole() && !ended.aborted) {
        if ((await patience.pause(clock, pauseMs)) || ended.aborted) continue;
        throw new BitacoraError('position-not-reached', 'this node follows a jump in the log');
      }
    } finally {
      patience.end();
    }
  }

  /** The newest records that are applied. */
  #now(): Position[] {
    const { partitions, applied } = this.#options;
    return Array.from({ length: partitions() }, (_, i) => {
      const partition = i as Partition;
      return { partition, offset: (applied(partition) - 1) as Offset };
    }).filter(({ offset }) => offset >= 0);
  }
}

interface Watched {
  readonly key: string | undefined;
  readonly prefix: string;
  readonly queue: WatchQueue;
  readonly ended: AbortSignal;
}

/** What a watcher has been told, as far as changes that are still to come may repeat it. */
class Told {
  /** By partition: the newest offset that was told of, whatever the key. */
  #until = new Map<Partition, number>();
  /** By key: versions told with the state that came after the moment of the state. */
  #newer = new Map<string, number>();

  constructor(seen: Seen | undefined) {
    for (const { partition, offset } of seen?.positions ?? []) this.#until.set(partition, offset);
  }

  /** The state of a moment is about to be told. */
  begin(now: readonly Position[]): void {
    this.#until = new Map(now.map(({ partition, offset }) => [partition, offset]));
    this.#newer = new Map();
  }

  put(key: string, found: NonNullable<WatchChange['found']>): WatchEvent {
    const position = found.version as Position;
    if (position.offset > (this.#until.get(position.partition) ?? -1)) this.#newer.set(key, position.offset);
    return { kind: 'put', key, found, position };
  }

  isNew({ key, position: { partition, offset } }: WatchChange): boolean {
    if (offset <= (this.#until.get(partition) ?? -1)) return false;
    const newer = this.#newer.get(key);
    if (newer === undefined) return true;
    if (offset >= newer) this.#newer.delete(key);
    return offset > newer;
  }
}

function eventOf({ key, found, position, time }: WatchChange): WatchEvent {
  return found === undefined ? { kind: 'delete', key, position, time } : { kind: 'put', key, found, position };
}
