/**
 * What a watch that is resumed has missed: the changes of late from memory, and those before them from the log, which holds everything for
 * the compaction lag at least. Watches that come back together share one reading of the log: what it brings is kept as long as memory has
 * room for it. Who asks from further back reads for itself, no faster than it is read from.
 */
import { bytesOf } from '../core/bytes.ts';
import { effectOf } from '../core/effects.ts';
import { codeOf } from '../core/errors.ts';
import { partitionOf } from '../core/partitioner.ts';
import type { Clock, Offset, Partition, Position, WatchChange, WatchEvent } from '../ports.ts';
import { changeOf } from './found.ts';
import type { Past, Stretch } from './past.ts';
import { Patience } from './patience.ts';
import type { Recent } from './recent.ts';
import { eventOf, type Told } from './told.ts';

/** How long a watcher waits for a log that does not answer. */
const longestWaitMs = 60_000;
const pauseMs = 100;

export interface ResumingOptions {
  readonly clock: Clock;
  readonly past: Past;
  readonly recent: Recent;
  readonly partitions: () => number;
  readonly applied: (partition: Partition) => Offset;
  /** The node goes away. */
  readonly closed: AbortSignal;
}

/** What is resumed. */
export interface Resumed {
  readonly key: string | undefined;
  readonly wants: (key: string) => boolean;
  readonly told: Told;
  readonly ended: AbortSignal;
}

export class Resuming {
  readonly #options: ResumingOptions;
  readonly #filling = new Map<Partition, Promise<void>>();

  constructor(options: ResumingOptions) {
    this.#options = options;
  }

  /** All changes that were not told yet, from memory; undefined: not all of them are known there. */
  fromMemory({ key, told }: Resumed): readonly WatchChange[] | undefined {
    const changes: WatchChange[] = [];
    for (const partition of this.#partitionsOf(key)) {
      const next = told.next(partition);
      if (next >= this.#options.applied(partition)) continue;
      const since = this.#options.recent.since(partition, next);
      if (since === undefined) return undefined;
      for (const change of since) changes.push(change);
    }
    return changes;
  }

  /**
   * Tells what memory does not know, from the log, up to where each partition is applied by then; memory may know the rest afterwards.
   * Returns false when this cannot be done without leaving something out. Errors: `log-unavailable`, `overloaded`, after a while.
   */
  async *fromLog(resumed: Resumed): AsyncGenerator<WatchEvent, boolean> {
    const { clock } = this.#options;
    for (const partition of this.#partitionsOf(resumed.key)) {
      while (this.#isBehind(partition, resumed)) {
        const patience = new Patience(clock, longestWaitMs, resumed.ended);
        try {
          if (!(yield* this.#patiently(partition, resumed, patience))) return false;
        } finally {
          patience.end();
        }
        if (resumed.ended.aborted) return true;
      }
    }
    return true;
  }

  /** Tells what memory knew when everything up to `now` was applied. Returns false as `fromLog` does. */
  async *told({ wants, told }: Resumed, missed: readonly WatchChange[], now: readonly Position[]): AsyncGenerator<WatchEvent, boolean> {
    for (const change of missed) {
      if (!wants(change.key)) continue;
      if (change.learned) return false;
      if (told.note(change)) yield eventOf(change);
    }
    told.reach(now);
    return true;
  }

  /** One step on, as soon as the log gives it. */
  async *#patiently(partition: Partition, resumed: Resumed, patience: Patience): AsyncGenerator<WatchEvent, boolean> {
    for (;;) {
      try {
        return yield* this.#tell(partition, resumed);
      } catch (error) {
        if (resumed.ended.aborted) return true;
        const mayPass = ['log-unavailable', 'overloaded', 'closed'].includes(codeOf(error));
        if (!mayPass || !(await patience.pause(this.#options.clock, pauseMs))) throw error;
      }
    }
  }

  #isBehind(partition: Partition, { told }: Resumed): boolean {
    const { recent, applied } = this.#options;
    const next = told.next(partition);
    return next < applied(partition) && !recent.knows(partition, next);
  }

  async *#tell(partition: Partition, resumed: Resumed): AsyncGenerator<WatchEvent, boolean> {
    const { applied, past, recent } = this.#options;
    const { told, wants, ended } = resumed;
    const next = told.next(partition);
    if (recent.mayReach(partition, next, applied(partition))) {
      await this.#fill(partition, next);
      if (!this.#isBehind(partition, resumed)) return true;
    }
    if (next < past.fatesFrom(partition)) return false;
    // One batch at a time: nothing of the log is held open for a watcher who takes his time.
    const stretch = await past.first(partition, next, applied(partition), ended);
    const changes = changesIn(stretch);
    if (changes === undefined) return false;
    for (const change of changes) {
      if (!wants(change.key)) continue;
      if (change.learned) return false;
      if (told.note(change)) yield eventOf(change);
    }
    told.advance(partition, stretch.batch.next);
    // So that a watcher who is cut off now does not begin at the same place again.
    if (this.#isBehind(partition, resumed)) yield { kind: 'sync', positions: [{ partition, offset: (stretch.batch.next - 1) as Offset }] };
    return true;
  }

  /** Reads into memory what it lacks from `from` on, once for all who wait for it. It may come to nothing. */
  #fill(partition: Partition, from: Offset): Promise<void> {
    const underWay = this.#filling.get(partition);
    if (underWay !== undefined) return underWay;
    const filling = this.#read(partition, from).finally(() => this.#filling.delete(partition));
    this.#filling.set(partition, filling);
    return filling;
  }

  async #read(partition: Partition, from: Offset): Promise<void> {
    const { past, recent, applied, closed } = this.#options;
    const to = recent.from(partition) ?? applied(partition);
    const changes: WatchChange[] = [];
    for await (const stretch of past.read(partition, from, to, closed)) {
      const some = changesIn(stretch);
      if (some === undefined) return;
      for (const change of some) changes.push(change);
      if (!recent.hasRoom(changes)) return;
    }
    recent.precede(partition, from, to, changes);
  }

  #partitionsOf(key: string | undefined): readonly Partition[] {
    const count = this.#options.partitions();
    return key === undefined ? Array.from({ length: count }, (_, i) => i as Partition) : [partitionOf(bytesOf(key), count)];
  }
}

/** Undefined: some of them are not known. */
function changesIn({ batch, rules, fate, fatesFrom }: Stretch): readonly WatchChange[] | undefined {
  if (batch.jumped || batch.first < fatesFrom) return undefined;
  const changes: WatchChange[] = [];
  for (const record of batch.records) {
    const effect = effectOf(record, fate(record.offset), rules);
    if (effect === undefined) continue;
    const { key, entry } = effect;
    const { offset, time } = record;
    if (entry !== undefined) changes.push(changeOf(batch.partition, { key, offset, entry, learned: false }));
    else changes.push({ key, position: { partition: batch.partition, offset }, time, found: undefined, learned: true });
  }
  return changes;
}
