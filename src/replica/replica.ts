/**
 * One node: the log, the local state made from it, and what the faces may ask of it.
 *
 * A replica is always in one state. It answers reads from the moment its store is open, whether or not the log can be reached; it is
 * `ready` once it is caught up (progress.ts), and it comes back by itself from whatever the log, the store or the peers do, as told by the
 * error codes they end with (supervisor.ts).
 */
import { BitacoraError } from '../core/errors.ts';
import type { Limits } from '../core/keys.ts';
import type {
  AtomicWrite,
  Chance,
  Clock,
  Digested,
  History,
  HistoryOptions,
  KeyValue,
  Listing,
  ListOptions,
  Log,
  Logger,
  Meter,
  Millis,
  Moment,
  NodeState,
  NodeStatus,
  Partition,
  Peers,
  ReadAnswer,
  ReadOptions,
  Reverted,
  RevertOptions,
  Sealed,
  Seeding,
  SkippedRecord,
  Store,
  Verification,
  WatchEvent,
  WatchOptions,
  WriteOptions,
  Written,
} from '../ports.ts';
import { Histories } from './histories.ts';
import { Horizon } from './horizon.ts';
import { Listings } from './listing.ts';
import { Past } from './past.ts';
import { type PeerReads, Reads } from './reads.ts';
import { Sealing } from './sealing.ts';
import type { StalePlace } from './stale-store.ts';
import { Supervisor } from './supervisor.ts';
import type { Sweeping } from './sweeping.ts';
import { Verifying } from './verifying.ts';
import { Waiters } from './waiters.ts';
import { Watching } from './watching.ts';
import { Writes } from './writes.ts';

export interface ReplicaOptions {
  /** This node's name. */
  readonly node: string;
  /** Connects to the log. Errors: `log-unavailable` (tried again), others end the node. */
  readonly openLog: () => Promise<Log>;
  /** Opens the local database. Errors: `store-damaged` (set aside and made anew), others end the node. */
  readonly openStore: () => Promise<Store>;
  /**
   * Puts the (closed) local database out of the way, so that `openStore` makes a fresh one. `lastCopy`: what is in it may be nowhere else, so
   * it must stay until a person removes it.
   */
  readonly setStoreAside: (reason: string, lastCopy: boolean) => Promise<void>;
  /** Where a store is kept for stale answers while the state is made anew; undefined: there are none. */
  readonly stale?: StalePlace | undefined;
  /** Takes a whole store from another node, in the place of this one's; undefined: there is no such way. */
  readonly seed?: Seeding | undefined;
  readonly peers: Peers;
  readonly peerReads: PeerReads;
  readonly peerTimeoutMs: number;
  readonly limits: Limits;
  readonly writeTimeoutMs: number;
  /** Partitions assumed until the log or the store has told. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly meter: Meter;
  /** How this node ends what has been gone for long; undefined: it does not. */
  readonly sweeping?: Sweeping | undefined;
  /** The node cannot go on: the topic is unusable, the directory is gone. */
  readonly onFatal: (error: Error) => void;
}

const mostSkippedKept = 1_000;

/** Opens the local state and begins to follow the log. Resolves when reads can be answered; the log may come later. */
export async function openReplica(options: ReplicaOptions): Promise<Replica> {
  const replica = new Replica(options);
  await replica.begin();
  return replica;
}

export class Replica implements KeyValue {
  readonly #options: ReplicaOptions;
  readonly #waiters = new Waiters(
    (partition) => this.#supervisor.applied(partition),
    () => this.#supervisor.whole,
  );
  readonly #supervisor: Supervisor;
  readonly #reads: Reads;
  readonly #listings: Listings;
  readonly #histories: Histories;
  readonly #watching: Watching;
  readonly #verifying: Verifying;
  readonly #writes: Writes;
  readonly #sealing: Sealing;
  readonly #skipped: SkippedRecord[] = [];
  #draining = false;
  #closing: Promise<void> | undefined;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    const { clock, chance, meter, limits } = options;
    const horizon = new Horizon({
      log: () => this.#supervisor.log,
      author: () => this.#writes.author(),
      clock,
      timeoutMs: options.writeTimeoutMs,
    });
    this.#writes = new Writes({
      node: options.node,
      limits,
      timeoutMs: options.writeTimeoutMs,
      clock,
      chance,
      meter,
      waiters: this.#waiters,
      horizon,
      known: {
        entry: (key) => this.#reads.entry(key),
        isDoubtful: (key) => this.#supervisor.isDoubtful(key),
        logTime: (partition) => this.#supervisor.loop?.logTime(partition) ?? (0 as Millis),
        answer: (partition, id) => this.#supervisor.loop?.answer(partition, id),
        answersKept: (partition) => this.#supervisor.loop?.answersKept(partition) ?? 0,
      },
      log: () => this.#supervisor.log,
      caughtUp: () => this.#supervisor.caughtUp,
      sealed: () => this.#sealing.refusal(),
    });
    this.#sealing = new Sealing({
      log: () => this.#supervisor.log,
      author: () => this.#writes.author(),
      clock,
      timeoutMs: options.writeTimeoutMs,
      entry: (key) => this.#reads.entry(key),
      caughtUp: () => this.#supervisor.caughtUp,
      probe: (partition, partitions) => horizon.record(partition, partitions),
    });
    this.#supervisor = new Supervisor({
      ...options,
      author: () => this.#writes.author(),
      writer: this.#writes.writer,
      applied: ({ partition, first, next, keys, changes }) => {
        this.#reads.applied(keys);
        this.#waiters.applied(partition, next);
        this.#watching.applied(partition, first, next, changes);
      },
      watched: () => this.#watching.count > 0,
      lost: () => this.#watching.lost(),
      digested: (mark, digest) => this.#verifying.digested(mark, digest),
      decided: (decisions) => this.#writes.decisions.tell(decisions),
      caughtUp: () => this.#waiters.caughtUp(),
      draining: () => this.#draining,
      barrier: (partition) => horizon.barrier(partition),
      skipped: (record) => {
        this.#skipped.push(record);
        if (this.#skipped.length > mostSkippedKept) this.#skipped.shift();
      },
    });
    const local = {
      limits,
      clock,
      meter,
      waiters: this.#waiters,
      horizon,
      isDoubtful: (key: string) => this.#supervisor.isDoubtful(key),
      whole: () => this.#supervisor.whole,
      doubtsEnded: () => this.#supervisor.loop?.doubtsEnded ?? 0,
      store: () => this.#supervisor.store,
      partitions: () => this.#supervisor.partitions,
      applied: (partition: Partition) => this.#supervisor.applied(partition),
      genesis: () => this.#supervisor.genesis,
      storeTrouble: (error: Error) => this.#supervisor.end(error),
    };
    this.#reads = new Reads({
      ...local,
      peers: options.peers,
      peerReads: options.peerReads,
      peerTimeoutMs: options.peerTimeoutMs,
      behind: () => this.#supervisor.behind,
      restoring: () => this.#supervisor.restoring,
      stale: () => this.#supervisor.stale,
    });
    this.#listings = new Listings(local);
    const past = new Past({ log: () => this.#supervisor.log, loop: () => this.#supervisor.loop });
    this.#verifying = new Verifying({
      log: () => this.#supervisor.log,
      author: () => this.#writes.author(),
      newRun: () => chance.uuid(),
      certain: () => this.#supervisor.certain,
    });
    this.#histories = new Histories({
      ...local,
      past,
      restoring: () => this.#supervisor.restoring,
      entry: (key) => this.#reads.entry(key),
    });
    this.#watching = new Watching({
      clock,
      limits,
      partitions: local.partitions,
      applied: local.applied,
      shown: (partition) => this.#supervisor.shown(partition),
      genesis: local.genesis,
      past,
      whole: local.whole,
      list: (asked) => this.list(asked),
      readLocal: (key) => this.readLocal(key),
    });
  }

  /** Opens the store and sets out for the log. */
  async begin(): Promise<void> {
    await this.#supervisor.begin();
  }

  get skipped(): readonly SkippedRecord[] {
    return this.#skipped;
  }

  get genesis(): string | undefined {
    return this.#supervisor.genesis;
  }

  get status(): NodeStatus {
    const { progress, log, store } = this.#supervisor;
    const state = this.#state;
    const ready = state === 'ready';
    const sealed = log?.sealed ?? false;
    return {
      state,
      reason: this.#supervisor.reason ?? (sealed ? 'the log is sealed: reads are answered, writes are refused' : undefined),
      ready,
      writable: ready && log?.state === 'connected' && !sealed,
      sealed,
      stale: state === 'restoring' && this.#supervisor.stale !== undefined,
      progress: this.#supervisor.ratio,
      recordsPerSecond: Math.round(progress?.recordsPerSecond ?? 0),
      secondsLeft: progress?.secondsLeft,
      applied: progress?.applied ?? store?.checkpoints.map(({ next }) => next) ?? [],
      ends: progress?.ends ?? [],
      lagMs: progress?.lagMs ?? this.#supervisor.ageMs,
      entries: this.#supervisor.entries,
      recordsApplied: this.#supervisor.recordsApplied,
      genesis: this.#supervisor.genesis,
      log: log?.state ?? 'disconnected',
    };
  }

  get #state(): NodeState {
    if (this.#draining) return this.#supervisor.stopped ? 'stopped' : 'draining';
    return this.#supervisor.state;
  }

  peek(key: string): ReadAnswer | undefined {
    return this.#reads.peek(key);
  }

  async read(key: string, options?: ReadOptions): Promise<ReadAnswer> {
    return this.#reads.read(key, options);
  }

  async readLocal(key: string): Promise<ReadAnswer> {
    return this.#reads.readLocal(key);
  }

  async list(options: ListOptions): Promise<Listing> {
    return this.#listings.list(options);
  }

  async count(prefix: string, limit: number, signal?: AbortSignal): Promise<number> {
    return this.#listings.count(prefix, limit, signal);
  }

  async history(key: string, options: HistoryOptions): Promise<History> {
    return this.#histories.history(key, options);
  }

  async readAt(key: string, at: Moment, options?: ReadOptions): Promise<ReadAnswer> {
    return this.#histories.readAt(key, at, options);
  }

  async revert(key: string, at: Moment, options: RevertOptions = {}): Promise<Reverted> {
    const condition = options.condition ?? (await this.#histories.current(key, options));
    const { found } = await this.#histories.readAt(key, at, options);
    const { signal, expires } = options;
    const more = { condition, ...(signal === undefined ? {} : { signal }) };
    if (found === undefined) return { ...(await this.delete(key, more)), found };
    const { value, contentType } = found;
    return { ...(await this.put(key, value, { ...more, contentType, ...(expires === undefined ? {} : { expires }) })), found };
  }

  async put(key: string, value: Uint8Array, options?: WriteOptions): Promise<Written> {
    return this.#writes.put(key, value, options);
  }

  async delete(key: string, options?: WriteOptions): Promise<Written> {
    return this.#writes.delete(key, options);
  }

  async writeAtomic(writes: readonly AtomicWrite[], options: { readonly signal?: AbortSignal } = {}): Promise<readonly Written[]> {
    return this.#writes.writeAtomic(writes, options.signal);
  }

  watch(options: WatchOptions): AsyncIterable<WatchEvent> {
    return this.#watching.watch(options);
  }

  async verify(signal?: AbortSignal): Promise<Verification> {
    return this.#verifying.begin(signal);
  }

  digests(run: string): readonly Digested[] {
    return this.#verifying.digests(run);
  }

  resync(): void {
    if (this.#supervisor.loop === undefined)
      throw new BitacoraError('log-unavailable', 'without the log there is nothing to make the state from');
    this.#supervisor.end(new BitacoraError('resync-asked', 'an operator has asked for it'));
  }

  async seal(to?: string): Promise<Sealed> {
    return this.#sealing.seal(to);
  }

  async unseal(): Promise<void> {
    return this.#sealing.unseal();
  }

  /** Says not ready, and goes on serving. */
  announceLeaving(): void {
    this.#draining = true;
  }

  /** Refuses new writes, and resolves when those under way have had their answer. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#writes.drain();
  }

  /** Leaves the log and closes the store. Idempotent, bounded in time by its parts. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#draining = true;
    this.#writes.refuse();
    this.#waiters.release();
    this.#watching.close();
    await this.#supervisor.stop();
    await this.#options.peers.close();
  }
}
