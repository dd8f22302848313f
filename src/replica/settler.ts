/**
 * States what is unsettled: a key whose newest record is conditional, or was ignored, keeps its value only as long as compaction has not
 * removed the record that set it. The proposer states at once; others wait a few seconds, so that as a rule nobody else has to.
 *
 * What this node is in doubt about it does not state: the value may be one that it does not know (docs/consistency.md, doubt). When nobody
 * states it for a while, because for the others it is settled, or swept even, the node writes a question: a conditional record that can
 * never hold unsettles the key for all, so somebody who knows it states it. What else a restart left unsettled is stated like any other, or
 * it would be lost to compaction when all nodes were restarted at once.
 */
import { bytesOf } from '../core/bytes.ts';
import { codeOf } from '../core/errors.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, questionRecord, statementRecord } from '../core/record.ts';
import type { Clock, Entry, Log, Logger, Millis, Offset, Store } from '../ports.ts';

const othersWaitMs = 3_000;
const retryMs = 1_000;
/** So long a node in doubt waits for a statement before it asks for one, and so long for the answer; each time twice as long, up to a bound. */
const askAfterMs = 6_000;
const longestAskMs = 96_000;
const mostInFlight = 32;
/** What is more than this is looked up in the store when these are settled. */
const mostKnown = 100_000;

/** A key that is to be stated. */
interface Due {
  /** Monotonic time from which this node states it, or asks for it when it is in doubt. */
  at: number;
  /** How long it waits for an answer the next time. */
  askMs: number;
}

export interface SettlerOptions {
  readonly store: Store;
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly author: () => Authorship;
  readonly applied: () => readonly Offset[];
  readonly logTime: (partition: number) => Millis;
  readonly mayState: () => boolean;
  /** Others may have decided otherwise about the key. */
  readonly isDoubtful: (key: string) => boolean;
}

export class Settler {
  readonly #options: SettlerOptions;
  readonly #due = new Map<string, Due>();
  /** There are more unsettled keys than are known here. */
  #more = false;
  /** Ends the waits for statements under way. */
  readonly #underWay = new Set<AbortController>();
  #stopped = false;
  #cancel: (() => void) | undefined;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#due.size;
  }

  /** Keys that were unsettled in the store when this node began to follow the log. */
  remember(keys: readonly string[]): void {
    for (const key of keys) this.#add(key, othersWaitMs);
    if (this.#due.size > 0) this.#wake(retryMs);
  }

  /** A batch is applied: some keys became unsettled, others were settled. `own` tells whether this node wrote the newest record. */
  applied(keys: readonly string[], unsettled: ReadonlyMap<string, Entry>, own: (by: string) => boolean): void {
    if (this.#due.size > 0) for (const key of keys) if (!unsettled.has(key)) this.#due.delete(key);
    for (const [key, { by }] of unsettled) this.#add(key, own(by) ? 0 : othersWaitMs);
    if (this.#due.size > 0 || this.#more) this.#wake(0);
  }

  #add(key: string, waitMs: number): void {
    if (this.#due.has(key)) return;
    if (this.#due.size >= mostKnown) {
      this.#more = true;
      return;
    }
    const { clock, isDoubtful } = this.#options;
    this.#due.set(key, { at: clock.monotonic() + (isDoubtful(key) ? askAfterMs : waitMs), askMs: askAfterMs });
  }

  /** It is stated, or asked for: when that has to be done once more, should it come to nothing. */
  #again(key: string, due: Due): void {
    const { clock, isDoubtful } = this.#options;
    const isAsked = isDoubtful(key);
    due.at = clock.monotonic() + (isAsked ? due.askMs : othersWaitMs);
    if (isAsked) due.askMs = Math.min(2 * due.askMs, longestAskMs);
  }

  /** Those that were too many to be known. */
  async #lookForMore(): Promise<void> {
    this.#more = false;
    try {
      const keys = await this.#options.store.unsettled();
      if (!this.#stopped) this.remember(keys);
    } catch {
      // The store is being closed: who opens it again asks it, too.
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const wait of this.#underWay) wait.abort();
    this.#cancel?.();
    this.#due.clear();
  }

  #wake(delayMs: number): void {
    if (this.#stopped || (this.#cancel !== undefined && delayMs > 0)) return;
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = undefined;
      this.#pass();
    });
  }

  #pass(): void {
    const { clock, mayState } = this.#options;
    const now = clock.monotonic();
    for (const [key, due] of this.#due) {
      if (!mayState() || this.#underWay.size >= mostInFlight || this.#stopped) break;
      if (due.at > now) continue;
      this.#again(key, due);
      const wait = new AbortController();
      this.#underWay.add(wait);
      void this.#state(key, wait.signal).finally(() => this.#underWay.delete(wait));
    }
    if (this.#more && this.#due.size < mostKnown / 2) void this.#lookForMore();
    if (this.#due.size > 0) this.#wake(retryMs);
  }

  async #state(key: string, signal: AbortSignal): Promise<void> {
    const { store, log, author, applied, logTime, logger, isDoubtful } = this.#options;
    const bytes = bytesOf(key);
    const partition = partitionOf(bytes, log.identity.partitions);
    // Taken before the entry is read: the statement must not claim to know more of the log than the entry does.
    const asof = ((applied()[partition] as number) - 1) as Offset;
    const at = logTime(partition);
    try {
      const entry = await store.get(key);
      if (entry === undefined || entry.settled) {
        this.#due.delete(key);
        return;
      }
      if (isDoubtful(key)) {
        await log.append(partition, questionRecord(bytes, author()), signal);
        return;
      }
      const stated = { deleted: entry.deleted, version: entry.version, asof, at, id: entry.id, by: entry.by, time: entry.time };
      const more = { expires: entry.expires, contentType: entry.contentType };
      await log.append(partition, statementRecord(bytes, entry.value, stated, author(), more), signal);
    } catch (error) {
      // It stays due, and is stated again; statements are idempotent.
      logger.debug({ event: 'settler.retry', code: codeOf(error) }, 'a statement was not taken; it is tried again');
    }
  }
}
