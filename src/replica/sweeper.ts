/**
 * Ends what has been gone for long: expiry markers and values past their deadline become tombstones once a grace period is over. Compaction
 * drops a tombstone in the end, and with it the key, so that store and log stay bounded (docs/consistency.md, deletes).
 *
 * A tombstone cannot take a value away: every node judges it at its own place and log time, ignores it where the key is live, and the value
 * is stated again. What must not happen is that one follows close upon a delete: a statement of the value before, still on its way, would
 * find nothing in its way and bring the key back; it is ignored only when it comes half a compaction lag late. Therefore:
 *
 *   - ages are taken by the log's own time, never by this node's clock, which may be days ahead. In a quiet partition the log's time stands
 *     still, so a barrier asks for it;
 *   - the grace period is never below the compaction lag;
 *   - what is unsettled or in doubt waits until it is settled.
 *
 * A tombstone held up behind its last look, by a node that was frozen, may come right behind a newer delete: it says what its author knew
 * (`asof`), and has no effect on anything newer.
 *
 * Any node may sweep. Nodes begin at random times; one that hears of tombstones that are not its own lets the others go on, and has less to
 * do afterwards. Two at once write a few tombstones twice, which changes nothing.
 *
 * System keys are never swept. There is a fixed number of them, and a tombstone under a barrier would be ignored: it is live, for ever.
 */
import { bytesOf } from '../core/bytes.ts';
import { codeOf } from '../core/errors.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, tombstoneRecord } from '../core/record.ts';
import type { Chance, Clock, Entry, Log, Logger, Millis, Offset, Partition, Position, Store } from '../ports.ts';
import { behind } from './listing-page.ts';
import { dueTime, type SweepCursor, type Sweeping, type SweepPass, type SweptKind } from './sweeping.ts';

export interface SweeperOptions extends Sweeping {
  readonly store: Store;
  readonly log: Log;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly author: () => Authorship;
  readonly cursor: SweepCursor;
  /** Bound of an append: one that waits longer is withdrawn if it was not sent. */
  readonly writeTimeoutMs: number;
  /** The node is at the log's end, connected, and not going away. */
  readonly maySweep: () => boolean;
  readonly applied: () => readonly Offset[];
  readonly logTime: (partition: Partition) => Millis;
  /** Others may have decided otherwise about the key. */
  readonly isDoubtful: (key: string) => boolean;
  /** A record behind everything that is in the partition. Errors: those of `Log.append`. */
  readonly barrier: (partition: Partition) => Promise<Position>;
  /** The local database has failed, or is damaged. */
  readonly storeTrouble: (error: Error) => void;
}

/** A pass is made this often in a grace period, within bounds. */
const passesInGrace = 24;
const mostOftenMs = 1_000;
const leastOftenMs = 60 * 60 * 1_000;
/** After a pass that was cut short. */
const soonMs = 30_000;
/** A pass through ten million entries takes some minutes. */
const chunkEntries = 1_000;
const chunkBytes = 1024 * 1024;
const chunkPauseMs = 20;
/** In flight at once, at most: what users write goes between. */
const mostTogether = 32;
/** So long others are left alone once they were heard, and as long again by chance. */
const yieldMs = 5_000;
const visibleEveryMs = 20;
const visibleWithinMs = 5_000;

/** What is counted during a pass. */
interface Tally {
  looked: number;
  swept: number;
  waiting: number;
  /** Partitions that were asked for their time. */
  readonly asked: Set<Partition>;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #graceMs: number;
  readonly #everyMs: number;
  #running: Promise<void> | undefined;
  #stopped = false;
  #stop: () => void = () => undefined;
  readonly #whenStopped = new Promise<undefined>((resolve) => {
    this.#stop = () => resolve(undefined);
  });
  /** End the waits for the tombstones that are on their way. */
  readonly #flying = new Set<AbortController>();
  #wake: () => void = () => undefined;
  /** Tombstones applied, whoever wrote them, and those of this sweeper that may be among them. */
  #heard = 0;
  #sent = 0;
  /** By how many the first was ahead of the second when that was last looked at. */
  #others = 0;
  /** Monotonic time before which no further tombstone may go. */
  #nextAt = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#graceMs = Math.max(options.graceMs, options.log.identity.compactionLagMs);
    this.#everyMs = Math.min(Math.max(this.#graceMs / passesInGrace, mostOftenMs), leastOftenMs);
  }

  /** Sweeps from now on. Does nothing when it does already, or on a topic whose times are its producers'. */
  begin(): void {
    const { log, logger } = this.#options;
    if (this.#running !== undefined) return;
    if (log.identity.logAppendTime) this.#running = this.#run();
    else {
      this.#running = Promise.resolve();
      logger.info(
        { event: 'sweep.off' },
        'nothing is swept on a topic with CreateTime: its records do not tell how long a key has been gone',
      );
    }
  }

  /** Tombstones were applied, this node's own among them. */
  heard(count: number): void {
    this.#heard += count;
  }

  /** Resolves when nothing is under way any more. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stop();
    for (const flight of this.#flying) flight.abort();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { cursor, chance } = this.#options;
    const aboutSoonMs = () => Math.min(soonMs, this.#everyMs) * (0.5 + chance.random());
    // Nodes that were started together must not begin together.
    await this.#pause(cursor.isInside ? aboutSoonMs() : this.#everyMs * chance.random());
    while (!this.#stopped) {
      const done = await this.#pass();
      await this.#pause(done ? this.#everyMs * (0.5 + chance.random()) : aboutSoonMs());
    }
  }

  /** From the cursor to the end of the store. False: cut short. */
  async #pass(): Promise<boolean> {
    const { clock, logger, meter, maySweep, storeTrouble } = this.#options;
    if (!maySweep()) return false;
    const began = clock.monotonic();
    const tally: Tally = { looked: 0, swept: 0, waiting: 0, asked: new Set() };
    this.#others = this.#heard - this.#sent;
    let done = false;
    try {
      done = await this.#sweepAll(tally);
    } catch (error) {
      logger.debug({ event: 'sweep.cut-short', code: codeOf(error) }, 'the local database does not tell what could be swept');
      if (!this.#stopped && codeOf(error) !== 'closed') storeTrouble(error instanceof Error ? error : new Error(String(error)));
    }
    const { looked, swept, waiting } = tally;
    const pass: SweepPass = { outcome: done ? 'done' : 'cut-short', looked, swept, waiting, seconds: (clock.monotonic() - began) / 1_000 };
    meter.passed(pass);
    if (swept > 0) logger.info({ event: 'sweep.passed', ...pass }, 'keys that have been gone for long are swept');
    return done;
  }

  /** Errors: those of the store. */
  async #sweepAll(tally: Tally): Promise<boolean> {
    const { store, cursor, maySweep } = this.#options;
    while (maySweep() && !this.#stopped) {
      const range = { from: cursor.from, to: undefined, limit: chunkEntries, maxBytes: chunkBytes, keysOnly: true };
      const { entries, more } = await store.scan(range);
      tally.looked += entries.length;
      const due: string[] = [];
      for (const { key, entry } of entries) {
        const partition = this.#quiet(key, entry);
        if (partition !== undefined && !tally.asked.has(partition)) {
          tally.asked.add(partition);
          if (!(await this.#askTime(partition))) return false;
        }
        if (this.#isDue(key, entry) === undefined) continue;
        if (this.#mayBe(key, entry)) due.push(key);
        else tally.waiting++;
      }
      // The cursor moves on when all is swept that is before it.
      if (!(await this.#sweep(due, tally))) return false;
      const last = entries.at(-1)?.key;
      if (!more || last === undefined) {
        cursor.rewind();
        return true;
      }
      cursor.from = behind(last);
      await this.#pause(chunkPauseMs);
    }
    return false;
  }

  /** False: it is not the time to go on. */
  async #sweep(keys: readonly string[], tally: Tally): Promise<boolean> {
    const { store, maySweep, clock, recordsPerSecond, applied } = this.#options;
    const together = Math.min(Math.max(Math.ceil(recordsPerSecond / 20), 1), mostTogether);
    for (let at = 0; at < keys.length; at += together) {
      await this.#whileOthersSweep();
      await this.#pause(this.#nextAt - clock.monotonic());
      const group = keys.slice(at, at + together);
      // As they are now: since they were found, or since others went ahead, they may have been written, or swept.
      // Taken before: a tombstone must not claim to know more of the log than the entries do.
      const known = [...applied()];
      const entries = await store.load(group);
      if (!maySweep() || this.#stopped) return false;
      const gone = group.flatMap((key, i) => {
        const entry = entries[i];
        const kind = entry === undefined || !this.#mayBe(key, entry) ? undefined : this.#isDue(key, entry);
        return kind === undefined ? [] : [{ key, kind }];
      });
      this.#nextAt = clock.monotonic() + (gone.length * 1_000) / recordsPerSecond;
      if (!(await this.#append(gone, known, tally))) return false;
    }
    return true;
  }

  /** Nothing is waited for between this call and the log's taking of the records. False: some were not taken. */
  async #append(
    gone: readonly { readonly key: string; readonly kind: SweptKind }[],
    known: readonly Offset[],
    tally: Tally,
  ): Promise<boolean> {
    const { log, clock, author, writeTimeoutMs, meter, logger } = this.#options;
    const cancel = clock.after(writeTimeoutMs, () => {
      for (const flight of this.#flying) flight.abort();
    });
    const appends = gone.map(async ({ key, kind }) => {
      const bytes = bytesOf(key);
      const flight = new AbortController();
      this.#flying.add(flight);
      this.#sent++;
      try {
        const partition = partitionOf(bytes, log.identity.partitions);
        const asof = ((known[partition] as number) - 1) as Offset;
        await log.append(partition, tombstoneRecord(bytes, asof, author()), flight.signal);
        tally.swept++;
        meter.swept(kind);
        return true;
      } catch (error) {
        if (codeOf(error) !== 'unknown-outcome') this.#sent--;
        logger.debug({ event: 'sweep.cut-short', code: codeOf(error) }, 'a tombstone was not taken; the pass goes on later');
        return false;
      } finally {
        this.#flying.delete(flight);
      }
    });
    const taken = await Promise.all(appends);
    cancel();
    return taken.every(Boolean);
  }

  /** Whoever hears others leaves it to them, each for a time of its own, until nothing more is heard. */
  async #whileOthersSweep(): Promise<void> {
    while (this.#heardOthers() && !this.#stopped) await this.#pause(yieldMs * (1 + this.#options.chance.random()));
  }

  /** Since this was last asked. Own tombstones that are on their way hide as many of the others', but not for long. */
  #heardOthers(): boolean {
    const others = this.#heard - this.#sent;
    if (others <= this.#others) return false;
    this.#others = others;
    return true;
  }

  /** As what it may be swept now, by the log's time; undefined: not at all, or not yet. */
  #isDue(key: string, entry: Entry): SweptKind | undefined {
    const dueAt = dueTime(entry, this.#graceMs);
    if (dueAt === undefined || this.#options.logTime(this.#partitionOf(key)) < dueAt) return undefined;
    return entry.deleted ? 'deleted' : 'expired';
  }

  /** All nodes see it alike, and compaction keeps what they see. */
  #mayBe(key: string, { settled }: Entry): boolean {
    return settled && !this.#options.isDoubtful(key);
  }

  /** The entry's partition if it may only seem that the entry is not due, because the log's time stands still there. */
  #quiet(key: string, entry: Entry): Partition | undefined {
    const dueAt = dueTime(entry, this.#graceMs);
    if (dueAt === undefined || this.#options.clock.now() < dueAt) return undefined;
    const partition = this.#partitionOf(key);
    return this.#options.logTime(partition) < dueAt ? partition : undefined;
  }

  /** Writes a barrier and waits until it is applied here, with the log's time. False: the log does not take it. */
  async #askTime(partition: Partition): Promise<boolean> {
    const { barrier, applied, clock, logger } = this.#options;
    try {
      const asked = await Promise.race([barrier(partition), this.#whenStopped]);
      if (asked === undefined) return false;
      const limit = clock.monotonic() + visibleWithinMs;
      const isApplied = () => (applied()[partition] as Offset) > asked.offset;
      while (!isApplied() && clock.monotonic() < limit && !this.#stopped) await this.#pause(visibleEveryMs);
      return true;
    } catch (error) {
      logger.debug({ event: 'sweep.cut-short', code: codeOf(error) }, 'the log does not tell its time; the pass goes on later');
      return false;
    }
  }

  #partitionOf(key: string): Partition {
    return partitionOf(bytesOf(key), this.#options.log.identity.partitions);
  }

  /** Ends early when the sweeper is stopped. */
  #pause(ms: number): Promise<void> {
    if (this.#stopped || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(Math.ceil(ms), resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
