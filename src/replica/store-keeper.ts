/**
 * The local store over its lives: opened, opened again after a failure, set aside and made anew. What it last said is told while there is
 * none, or what was applied would be taken for unseen.
 */
import { codeOf } from '../core/errors.ts';
import type { Log, Offset, Partition, Store } from '../ports.ts';
import type { ReplicaOptions } from './replica.ts';
import { isLastCopy } from './same-log.ts';
import { mayServeStale, StaleStore } from './stale-store.ts';

export interface StoreKeeperOptions extends Pick<ReplicaOptions, 'openStore' | 'setStoreAside' | 'stale' | 'clock' | 'logger' | 'meter'> {
  /** What was applied counts no more. */
  readonly lost: () => void;
}

export class StoreKeeper {
  readonly #options: StoreKeeperOptions;
  #store: Store | undefined;
  #stale: StaleStore | undefined;
  /** When what was done with the last of them is done. */
  #staleEnded: Promise<void> = Promise.resolve();
  #appliedBefore: readonly Offset[] = [];
  #genesisBefore: string | undefined;

  constructor(options: StoreKeeperOptions) {
    this.#options = options;
  }

  /** Undefined while it is being replaced. */
  get store(): Store | undefined {
    return this.#store;
  }

  /** What is answered from, as stale, while the state is made anew. */
  get stale(): StaleStore | undefined {
    return this.#stale;
  }

  /** Everything before is applied, by the word of the checkpoints. */
  applied(partition: Partition): Offset {
    const stored = this.#store === undefined ? this.#appliedBefore[partition] : this.#store.checkpoints[partition]?.next;
    return stored ?? (0 as Offset);
  }

  /** Of which log it is; undefined: nobody knows yet. */
  get genesis(): string | undefined {
    return this.#store === undefined ? this.#genesisBefore : this.#store.identity?.genesis?.id;
  }

  /** Errors: those of `openStore`, but `store-damaged`: such a one is set aside, and a fresh one opened. */
  async open(): Promise<Store> {
    const { openStore, setStoreAside, logger, meter } = this.#options;
    try {
      this.#store = await openStore();
    } catch (error) {
      if (codeOf(error) !== 'store-damaged') throw error;
      const reason = (error as Error).message;
      logger.error({ event: 'store.rebuild', code: 'store-damaged', reason }, 'the local state is set aside and rebuilt from the log');
      meter.rebuilt('store-damaged');
      await setStoreAside(reason, false);
      this.#store = await openStore();
    }
    return this.#store;
  }

  /** Until it is opened again. */
  async close(): Promise<void> {
    const store = this.#store;
    this.#appliedBefore = store?.checkpoints.map(({ next }) => next) ?? this.#appliedBefore;
    this.#genesisBefore = store?.identity?.genesis?.id ?? this.#genesisBefore;
    this.#store = undefined;
    await store?.close();
  }

  /** Closes it and puts it out of the way: the next one that is opened is empty. `log`: the one that is followed, which `leave` closes. */
  async replace(error: Error, log: Log | undefined, leave: () => Promise<void>): Promise<void> {
    const { clock, logger, lost, setStoreAside, stale } = this.#options;
    const lastCopy = await isLastCopy(this.#store, log, clock, error);
    await leave();
    await this.close();
    this.#appliedBefore = [];
    this.#genesisBefore = undefined;
    lost();
    try {
      if (stale !== undefined && this.#stale === undefined && !lastCopy && mayServeStale(error))
        this.#stale = await StaleStore.setAside(stale, error.message, logger);
      else await setStoreAside(error.message, lastCopy);
    } catch (failure) {
      // The next attempt finds the store as it was, and tries again.
      logger.error({ event: 'store.set-aside.failed', reason: (failure as Error).message }, 'the local database cannot be moved away');
    }
  }

  /** Nothing is answered as stale any more. `genesis`: of the log that is followed, as far as it is known. */
  async endStale(genesis: string | undefined): Promise<void> {
    const stale = this.#stale;
    this.#stale = undefined;
    if (stale !== undefined) this.#staleEnded = stale.end(genesis);
    // A node that went in the middle of it would leave half of a store, and take it for the last copy when it comes back.
    await this.#staleEnded;
  }

  /** Closes all that is open. */
  async end(): Promise<void> {
    const { genesis } = this;
    await this.#store?.close();
    await this.endStale(genesis);
  }
}
