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
/** So long a node in doubt waits for a statement before it asks for one, and so long for the answer. */
const askAfterMs = 6_000;
const mostInFlight = 32;
/** More than this is left to the other nodes, and to a later pass. */
const mostKnown = 100_000;

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
  /** Key -> monotonic time from which this node states it, or asks for it when it is in doubt. */
  readonly #due = new Map<string, number>();
  readonly #stop = new AbortController();
  #inFlight = 0;
  #cancel: (() => void) | undefined;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#due.size;
  }

  /** Keys that were unsettled in the store when this node began to follow the log. */
  remember(keys: readonly string[]): void {
    for (const key of keys.slice(0, mostKnown)) this.#put(key, othersWaitMs);
    if (this.#due.size > 0) this.#wake(retryMs);
  }

  /** A batch is applied: some keys became unsettled, others were settled. `own` tells whether this node wrote the newest record. */
  applied(keys: readonly string[], unsettled: ReadonlyMap<string, Entry>, own: (by: string) => boolean): void {
    if (this.#due.size > 0) for (const key of keys) if (!unsettled.has(key)) this.#due.delete(key);
    for (const [key, { by }] of unsettled) {
      if (this.#due.size < mostKnown && !this.#due.has(key)) this.#put(key, own(by) ? 0 : othersWaitMs);
    }
    if (this.#due.size > 0) this.#wake(0);
  }

  #put(key: string, waitMs: number): void {
    const { clock, isDoubtful } = this.#options;
    this.#due.set(key, clock.monotonic() + (isDoubtful(key) ? askAfterMs : waitMs));
  }

  stop(): void {
    this.#stop.abort();
    this.#cancel?.();
    this.#due.clear();
  }

  #wake(delayMs: number): void {
    if (this.#stop.signal.aborted || (this.#cancel !== undefined && delayMs > 0)) return;
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
      if (!mayState() || this.#inFlight >= mostInFlight || this.#stop.signal.aborted) break;
      if (due > now) continue;
      this.#put(key, othersWaitMs);
      this.#inFlight++;
      void this.#state(key).finally(() => this.#inFlight--);
    }
    if (this.#due.size > 0) this.#wake(retryMs);
  }

  async #state(key: string): Promise<void> {
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
        await log.append(partition, questionRecord(bytes, author()), this.#stop.signal);
        return;
      }
      const stated = { deleted: entry.deleted, version: entry.version, asof, at, id: entry.id, by: entry.by, time: entry.time };
      const more = { expires: entry.expires, contentType: entry.contentType };
      await log.append(partition, statementRecord(bytes, entry.value, stated, author(), more), this.#stop.signal);
    } catch (error) {
      // It stays due, and is stated again; statements are idempotent.
      logger.debug({ event: 'settler.retry', code: codeOf(error) }, 'a statement was not taken; it is tried again');
    }
  }
}
