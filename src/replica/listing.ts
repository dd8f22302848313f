/**
 * Listings and counts: the live keys of this node's own store that begin with a prefix, read from it in chunks.
 *
 * Keys of a prefix lie in all partitions, so what an answer has to reflect is waited for in all of them before the first key is looked
 * at. Peers are not asked: a key that this node is in doubt about holds the answer up, and ends it when the caller's patience does.
 */
import { bytesOf } from '../core/bytes.ts';
import { BitacoraError } from '../core/errors.ts';
import { checkKey, type Limits } from '../core/keys.ts';
import { isLive } from '../core/machine.ts';
import { partitionOf } from '../core/partitioner.ts';
import type { Entry, FoundValue, Listing, ListOptions, Offset, Partition, ScanRange, Store } from '../ports.ts';
import { foundOf } from './found.ts';
import { behind, behindAll, ListingPage, startOf } from './listing-page.ts';
import type { Patience } from './patience.ts';
import { Reaching } from './reaching.ts';
import { askStore, doubtPauseMs, inDoubt, type ReadsOptions, reopening } from './reads.ts';

const mostItems = 1_000;
/** After so many entries a page ends, however few of them are live. */
const mostLookedAt = 100_000;
/** Entries and bytes of values asked of the store at once. */
const mostChunk = 1_000;
const chunkBytes = 1024 * 1024;
/** Entries asked for where a group may begin, of which all but the first are then in vain. */
const groupChunk = 32;

export type ListingsOptions = Omit<ReadsOptions, 'peers' | 'peerReads' | 'peerTimeoutMs' | 'behind' | 'restoring'>;

interface Looked {
  readonly key: string;
  readonly entry: Entry;
  readonly is: 'live' | 'gone' | 'doubtful';
}

interface Chunk {
  readonly looked: readonly Looked[];
  readonly more: boolean;
}

export class Listings {
  readonly #options: ListingsOptions;
  readonly #reaching: Reaching;

  constructor(options: ListingsOptions) {
    this.#options = options;
    this.#reaching = new Reaching(options);
  }

  /** As `KeyValue.list`. */
  async list(options: ListOptions): Promise<Listing> {
    const { prefix, after = '', delimiter = '', limit } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > mostItems) throw badRequest(`the limit is a whole number from 1 to ${mostItems}`);
    for (const text of [prefix, after, delimiter]) checkText(text);
    const patience = this.#reaching.patience(options);
    try {
      await this.#reaching.all(options, patience);
      return await this.#page(new ListingPage(options), options, patience);
    } finally {
      patience.end();
    }
  }

  /** As `KeyValue.count`. */
  async count(prefix: string, limit: number, signal?: AbortSignal): Promise<number> {
    if (!Number.isSafeInteger(limit) || limit < 1) throw badRequest('the limit is a whole number from 1');
    checkText(prefix);
    const patience = this.#reaching.patience({ signal });
    try {
      return await this.#count(prefix, limit, patience, signal);
    } finally {
      patience.end();
    }
  }

  async #page(page: ListingPage, { prefix, delimiter = '', limit }: ListOptions, patience: Patience): Promise<Listing> {
    const store = this.#store();
    const applied = this.#applied();
    const to = behindAll(prefix);
    const firstChunk = delimiter === '' ? limit + 1 : groupChunk;
    let { from } = page;
    let size = firstChunk;
    for (let count = 0; ; ) {
      // Behind a full page only names matter.
      const range = { from, to, limit: Math.min(size, mostChunk), maxBytes: chunkBytes, keysOnly: page.full };
      const { looked, more } = await this.#look(store, range);
      let doubtful: string | undefined;
      for (const { key, entry, is } of looked) {
        if (is === 'gone' || page.covers(key)) continue;
        if (page.full) return page.ended(applied);
        if (is === 'doubtful') {
          doubtful = key;
          break;
        }
        page.add(key, () => this.#found(key, entry));
      }
      const last = looked.at(-1)?.key;
      count += looked.length;
      if (doubtful !== undefined) {
        await this.#pause(patience);
        from = bytesOf(doubtful);
      } else if (last === undefined || !more) {
        return page.listing(undefined, applied);
      } else {
        const next = count < mostLookedAt ? undefined : page.nextBehind(last);
        if (next !== undefined) return page.listing(next, applied);
        from = page.behind(last);
        size = page.covers(last) ? groupChunk : Math.min(Math.max(size, groupChunk) * 2, mostChunk);
      }
    }
  }

  async #count(prefix: string, limit: number, patience: Patience, signal: AbortSignal | undefined): Promise<number> {
    const store = this.#store();
    const to = behindAll(prefix);
    let from = startOf(prefix);
    for (let count = 0; ; ) {
      const range = { from, to, limit: Math.min(limit - count, mostChunk), maxBytes: chunkBytes, keysOnly: true };
      const { looked, more } = await this.#look(store, range);
      const doubtful = looked.findIndex(({ is }) => is === 'doubtful');
      const certain = doubtful < 0 ? looked : looked.slice(0, doubtful);
      for (const { is } of certain) if (is === 'live') count++;
      const last = looked.at(-1)?.key;
      if (doubtful >= 0) {
        await this.#pause(patience);
        from = bytesOf(looked[doubtful]!.key);
      } else if (last === undefined || !more || count >= limit) {
        return count;
      } else {
        from = behind(last);
        // Dead entries are not bounded by the limit; the caller is.
        if (signal?.aborted) throw new BitacoraError('position-not-reached', 'the caller has stopped waiting');
      }
    }
  }

  /**
   * One chunk of the store. It must be the same store all the way: one that is being rebuilt from the log would tell of less than what
   * was waited for. Errors: `store-failed`.
   */
  async #look(store: Store, range: ScanRange): Promise<Chunk> {
    const { doubtsEnded, clock } = this.#options;
    if (this.#options.store() !== store) throw reopening();
    const ended = doubtsEnded();
    const { entries, more } = await askStore(this.#options, () => store.scan(range));
    const now = clock.now();
    // An entry may be of the time of a doubt that has gone while it was looked for.
    const changed = ended !== doubtsEnded();
    const looked = entries.map(({ key, entry }): Looked => {
      const doubtful = this.#options.isDoubtful(key) || (changed && !entry.settled);
      if (!doubtful && !isLive(entry, now)) return { key, entry, is: 'gone' };
      if (!isForUsers(key, this.#options.limits)) return { key, entry, is: 'gone' };
      return { key, entry, is: doubtful ? 'doubtful' : 'live' };
    });
    return { looked, more };
  }

  /** Errors: `in-doubt`. */
  async #pause(patience: Patience): Promise<void> {
    if (!(await patience.pause(this.#options.clock, doubtPauseMs))) throw inDoubt();
  }

  #store(): Store {
    const store = this.#options.store();
    if (store === undefined) throw reopening();
    return store;
  }

  #applied(): readonly Offset[] {
    return Array.from({ length: this.#options.partitions() }, (_, partition) => this.#options.applied(partition as Partition));
  }

  #found(key: string, entry: Entry): FoundValue {
    return foundOf(entry, partitionOf(bytesOf(key), this.#options.partitions()));
  }
}

/** Other producers may write what users may not ask for: what cannot be read is not listed. */
function isForUsers(key: string, limits: Limits): boolean {
  try {
    checkKey(key, limits);
    return true;
  } catch {
    return false;
  }
}

/** Errors: `bad-request`. */
function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw badRequest('what a listing is asked with is not well-formed text');
}

function badRequest(why: string): BitacoraError {
  return new BitacoraError('bad-request', why);
}
