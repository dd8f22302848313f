/**
 * The store of before, while a node makes its state anew: where the log is the same and nobody can tell what came since, an old answer that
 * says so may be better than none. Asked for by a setting; never a store of another log, nor a damaged one.
 */
import { codeOf } from '../core/errors.ts';
import { isLive } from '../core/machine.ts';
import type { Logger, Millis, Partition, ReadAnswer, Store } from '../ports.ts';
import { foundOf } from './found.ts';
import { AwayTooLong } from './same-log.ts';

/** Keeps stores for stale answers. */
export interface StalePlace {
  /** Moves the store, which must be closed, out of the way, and opens it there. Errors: `directory-unusable`, those of opening. */
  setAside(reason: string): Promise<Store>;
  /** Closes it, and removes it: the log has it all. */
  forget(store: Store): Promise<void>;
  /** Closes it, and keeps it until a person removes it: it may be the last copy. */
  keep(store: Store, reason: string): Promise<void>;
}

/** A store that is made anew for this reason held what its log said, as far as it went. */
export function mayServeStale(error: Error): boolean {
  return codeOf(error) === 'resync-asked' || error instanceof AwayTooLong;
}

export class StaleStore {
  readonly #place: StalePlace;
  readonly #logger: Logger;
  readonly #store: Store;
  readonly #doubtful: ReadonlySet<string>;
  #over = false;
  #failed = false;

  private constructor(place: StalePlace, logger: Logger, store: Store, doubtful: readonly string[]) {
    this.#place = place;
    this.#logger = logger;
    this.#store = store;
    this.#doubtful = new Set(doubtful);
  }

  static async setAside(place: StalePlace, reason: string, logger: Logger): Promise<StaleStore> {
    const store = await place.setAside(reason);
    logger.warn(
      { event: 'store.stale', reason },
      'reads are answered from the local state of before, as stale, until the new one is there',
    );
    return new StaleStore(place, logger, store, await store.doubtful());
  }

  /**
   * What was under the key; undefined: `than`, this node's answer of now, is as new, or this one cannot tell. `genesis`: of the log that is
   * followed, as far as it is known. A store that fails is not asked again: nothing is lost but stale answers.
   */
  async newer(key: string, than: ReadAnswer, genesis: string | undefined, now: Millis): Promise<ReadAnswer | undefined> {
    if (genesis !== undefined && genesis !== this.#store.identity?.genesis?.id) return undefined;
    const { partition, offset } = than.applied;
    const next = this.#store.checkpoints[partition as Partition]?.next;
    if (this.#over || this.#failed || next === undefined || next <= offset || this.#doubtful.has(key)) return undefined;
    try {
      const entry = await this.#store.get(key);
      const live = entry !== undefined && isLive(entry, now);
      return { source: 'stale', found: live ? foundOf(entry, partition) : undefined, applied: { partition, offset: next } };
    } catch (error) {
      // Removed while it was asked is no failure of it.
      if (!this.#over) this.#logger.error({ event: 'store.stale.failed', reason: (error as Error).message }, 'no stale answers any more');
      this.#failed = true;
      return undefined;
    }
  }

  /**
   * The new state is there, or the node goes. `genesis`: of the log that is followed; only if it is that of this store the log is known to have
   * all of it.
   */
  async end(genesis: string | undefined): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    try {
      if (genesis !== undefined && genesis === this.#store.identity?.genesis?.id) await this.#place.forget(this.#store);
      else await this.#place.keep(this.#store, 'the log that it was made from is not followed any more');
    } catch (error) {
      this.#logger.warn({ event: 'store.stale.kept', reason: (error as Error).message }, 'the old local database was not removed');
    }
  }
}
