/**
 * One subscription and all that lives as long as it: the apply loop, the progress, the settler, and the questions for the log's ends by
 * which a node learns that it has caught up and how far behind it is.
 */
import { BitacoraError, codeOf } from '../core/errors.ts';
import { genesisKey } from '../core/keys.ts';
import type { Decision } from '../core/machine.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, conditionalPutRecord } from '../core/record.ts';
import type {
  Chance,
  Clock,
  Log,
  Logger,
  Meter,
  Millis,
  Offset,
  Partition,
  PartitionBounds,
  Position,
  SkippedRecord,
  StateDigest,
  Store,
  Subscription,
} from '../ports.ts';
import { type Applied, ApplyLoop } from './apply-loop.ts';
import { genesisKeyBytes, genesisLandmark } from './genesis.ts';
import type { Mark } from './marks.ts';
import { askEveryMs, Progress } from './progress.ts';
import { awayTooLong } from './same-log.ts';
import { Settler } from './settler.ts';
import { Sweeper } from './sweeper.ts';
import type { SweepCursor, Sweeping } from './sweeping.ts';

export interface FollowingOptions {
  readonly store: Store;
  readonly log: Log;
  /** Age of the local state when this begins. */
  readonly ageMs: Millis;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly writeTimeoutMs: number;
  readonly author: () => Authorship;
  /** `node/incarnation` of this process's own records. */
  readonly writer: string;
  readonly applied: (batch: Applied) => void;
  /** Somebody watches. */
  readonly watched: () => boolean;
  readonly decided: (decisions: readonly Decision[]) => void;
  readonly skipped: (record: SkippedRecord) => void;
  readonly digested: (mark: Mark, digest: StateDigest | undefined) => void;
  readonly caughtUp: () => void;
  /** A jump in offsets: what is served from now on may be of no point in time until `caughtUp` comes again. */
  readonly jumped: () => void;
  /** Undefined: this node does not sweep. */
  readonly sweeping?: Sweeping | undefined;
  readonly sweepCursor: SweepCursor;
  /** The node goes away. */
  readonly draining: () => boolean;
  /** A record behind everything that is in the partition. Errors: those of `Log.append`. */
  readonly barrier: (partition: Partition) => Promise<Position>;
}

const noteAtEndMs = 60_000;
/** The whole local database is read and checked this long after the node has caught up, and then once a day. */
const firstCheckMs = 60_000;
const checkEveryMs = 24 * 60 * 60 * 1_000;

export class Following {
  readonly #options: FollowingOptions;
  readonly progress: Progress;
  readonly #loop: ApplyLoop;
  readonly #settler: Settler;
  readonly #sweeper: Sweeper | undefined;
  readonly #end: Promise<Error>;
  /** Ends the subscription, with the error that says what to do next. */
  readonly end: (error: Error) => void;
  #over = false;
  #subscription: Subscription | undefined;
  #entries: number;
  #asking = false;
  #askAgain = false;
  /** Takes back the next question, which waits for its time. */
  #cancelAsk: () => void = () => undefined;
  #cancelCheck: (() => void) | undefined;
  #genesisProposed = false;
  #wasCaughtUp = false;
  #notedAt: number;

  static async begin(options: FollowingOptions): Promise<Following> {
    let following: Following | undefined;
    const meter: Meter = {
      ...options.meter,
      applied: (kind, count) => {
        // By the tombstones of all nodes a sweeper notices that it is not alone.
        if (kind === 'tombstone' && following !== undefined) following.#sweeper?.heard(count);
        options.meter.applied(kind, count);
      },
    };
    const loop = await ApplyLoop.begin(options.store, options.log.identity, options.clock, meter, {
      began: (batch) => {
        if (batch.jumped) options.jumped();
        following?.progress.began(batch);
      },
      watched: () => options.watched() || (following?.progress.caughtUp ?? false),
      inDoubt: () => following?.progress.doubt ?? false,
      applied: (batch) => {
        if (following !== undefined) following.#applied(batch);
      },
      skipped: options.skipped,
      digested: options.digested,
      failed: (error) => following?.end(error instanceof Error ? error : new Error(String(error))),
    });
    following = new Following(options, loop);
    following.#settler.remember(await options.store.unsettled());
    return following;
  }

  private constructor(options: FollowingOptions, loop: ApplyLoop) {
    const { clock, log, store, logger, author } = options;
    this.#options = options;
    this.#loop = loop;
    this.#notedAt = clock.monotonic();
    this.#entries = loop.checkpoints.reduce((sum, { entries }) => sum + entries, 0);
    const from = loop.checkpoints.map(({ next }) => next);
    const whole = loop.checkpoints.every((checkpoint) => checkpoint.whole !== false);
    const progress = new Progress(clock, from, options.ageMs, whole);
    this.progress = progress;
    this.#settler = new Settler({
      store,
      log,
      clock,
      logger,
      author,
      applied: () => progress.applied,
      logTime: (partition) => loop.logTime(partition as Partition),
      mayState: () => progress.caughtUp && log.state === 'connected' && !log.sealed,
      isDoubtful: (key) => loop.isDoubtful(key),
    });
    this.#sweeper =
      options.sweeping &&
      new Sweeper({
        ...options,
        ...options.sweeping,
        cursor: options.sweepCursor,
        maySweep: () => progress.caughtUp && progress.lagMs === 0 && log.state === 'connected' && !log.sealed && !options.draining(),
        applied: () => progress.applied,
        logTime: (partition) => loop.logTime(partition),
        isDoubtful: (key) => loop.isDoubtful(key),
        storeTrouble: (error) => this.end(error),
      });
    let end: (error: Error) => void = () => undefined;
    this.#end = new Promise((resolve) => {
      end = resolve;
    });
    this.end = end;
  }

  get genesis(): string | undefined {
    return this.#loop.identity.genesis?.id;
  }

  /** What has been decided so far, and what of it is in doubt. */
  get loop(): ApplyLoop {
    return this.#loop;
  }

  /** Entries held, markers included. */
  get entries(): number {
    return this.#entries;
  }

  /** Follows until something ends it, and resolves with what did; by then nothing of it is under way any more. */
  async run(): Promise<Error> {
    const { log, logger } = this.#options;
    try {
      this.#subscription = await log.subscribe(
        { from: this.#loop.checkpoints.map(({ next }) => next), landmark: () => genesisLandmark(this.#loop.identity) },
        { batch: (batch) => this.#loop.batch(batch), ended: this.end },
      );
      void this.#ask();
      return await this.#end;
    } finally {
      this.#over = true;
      this.#settler.stop();
      await this.#sweeper?.stop();
      this.#cancelAsk();
      this.#cancelCheck?.();
      await this.#subscription?.close();
      await this.#loop.settled().catch((error) => logger.debug({ event: 'apply.failed', code: codeOf(error) }, 'a batch was not written'));
    }
  }

  #applied(batch: Applied): void {
    const { applied, writer } = this.#options;
    const news = this.progress.finished(batch.partition, batch.next, batch.records);
    this.#entries += batch.added;
    this.#settler.applied(batch.keys, batch.unsettled, (by) => by.startsWith(`${writer}/`));
    applied(batch);
    if (batch.decisions.length > 0) this.#options.decided(batch.decisions);
    this.#subscription?.progress([...this.progress.applied]);
    if (news === 'caught-up') this.#caughtUp();
    if (news === 'ask') void this.#ask();
  }

  /** Asks the log for its ends, now and then again and again. */
  async #ask(): Promise<void> {
    if (this.#over) return;
    if (this.#asking) {
      this.#askAgain = true;
      return;
    }
    // One question at a time, and one that waits.
    this.#cancelAsk();
    this.#asking = true;
    this.#askAgain = false;
    const { clock, logger, log } = this.#options;
    const jumps = this.progress.asking();
    const askedAt = clock.monotonic();
    let there = false;
    try {
      const bounds = await log.bounds();
      if (await this.#awayTooLong(bounds)) return;
      there = this.progress.answered(bounds, jumps, askedAt);
    } catch (error) {
      logger.debug({ event: 'log.ends', code: codeOf(error) }, 'the log does not tell its ends');
    } finally {
      this.#asking = false;
    }
    if (this.#over) return;
    if (there) this.#caughtUp();
    this.#noteAtEnd();
    this.#proposeGenesis();
    if (this.#askAgain) void this.#ask();
    else this.#cancelAsk = clock.after(askEveryMs, () => void this.#ask());
  }

  /**
   * A node that was cut off or suspended for most of the time for which the log keeps tombstones may have missed one that is gone since.
   * At a start, same-log.ts looks for it.
   */
  async #awayTooLong(bounds: readonly PartitionBounds[]): Promise<boolean> {
    const { log, clock } = this.#options;
    const { lagMs, applied } = this.progress;
    if (!this.#wasCaughtUp || lagMs <= 0.8 * log.identity.deleteRetentionMs) return false;
    const partition = bounds.findIndex(({ next }, each) => next > (applied[each] as Offset));
    if (partition < 0) return false;
    const detail = `partition ${partition} was not followed for ${lagMs} ms, longer than the log keeps tombstones for certain`;
    this.end(await awayTooLong(this.#loop.identity, log, clock, detail));
    return true;
  }

  #caughtUp(): void {
    this.#wasCaughtUp = true;
    const { applied, records } = this.progress;
    this.#options.caughtUp();
    this.#sweeper?.begin();
    this.#options.logger.info({ event: 'node.ready', applied, records, entries: this.#entries }, 'caught up with the log');
    this.#cancelCheck ??= this.#options.clock.after(firstCheckMs, () => void this.#check());
  }

  /** LevelDB does not notice rows that are gone or outdated while it runs. */
  async #check(): Promise<void> {
    const { store, clock, logger } = this.#options;
    const stop = new AbortController();
    this.#cancelCheck = () => stop.abort();
    const began = clock.monotonic();
    try {
      const reason = await store.verify(stop.signal);
      if (reason !== undefined) return this.end(new BitacoraError('store-damaged', reason));
      logger.debug({ event: 'store.checked', seconds: (clock.monotonic() - began) / 1_000 }, 'the local database is whole');
    } catch (error) {
      if (!this.#over) this.end(error instanceof Error ? error : new Error(String(error)));
    }
    if (!this.#over) this.#cancelCheck = clock.after(checkEveryMs, () => void this.#check());
  }

  /** Writes down, once a minute, that this node was at the log's end. */
  #noteAtEnd(): void {
    const { clock } = this.#options;
    const { caughtUp, lagMs, behind, applied } = this.progress;
    if (!caughtUp || lagMs > 0 || behind > 0 || clock.monotonic() - this.#notedAt < noteAtEndMs) return;
    this.#notedAt = clock.monotonic();
    for (const partition of applied.keys()) this.#loop.noteAtEnd(partition as Partition, clock.now()).catch(this.end);
  }

  /** Gives the topic its identity if it has none: whichever node is first. */
  #proposeGenesis(): void {
    if (this.#genesisProposed || !this.progress.caughtUp || this.genesis !== undefined) return;
    this.#genesisProposed = true;
    const { chance, clock, author, logger, log, writeTimeoutMs } = this.#options;
    const deadline = new AbortController();
    const cancel = clock.after(writeTimeoutMs, () => deadline.abort());
    const record = conditionalPutRecord(genesisKeyBytes, Buffer.from(chance.uuid()), 'absent', author());
    log
      .append(partitionOf(genesisKeyBytes, log.identity.partitions), record, deadline.signal)
      .catch((error) => {
        this.#genesisProposed = false;
        const what = `the record ${JSON.stringify(genesisKey)} was not taken; it is tried again`;
        logger.debug({ event: 'genesis.retry', code: codeOf(error) }, what);
      })
      .finally(cancel);
  }
}
