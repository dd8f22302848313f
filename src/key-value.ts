/**
 * The key-value service of one node, as every face calls it: what it is asked, and what it answers. Types only, as in `ports.ts`, from
 * which they are imported.
 */
import type { FoundValue, LogState, Millis, Offset, Position, StateDigest } from './ports.ts';

export type NodeState = 'starting' | 'restoring' | 'ready' | 'stuck' | 'draining' | 'stopped';

/** What a node can say of itself at once. */
export interface NodeStatus {
  readonly state: NodeState;
  /** Why it is in this state, in words, when there is something to say. */
  readonly reason: string | undefined;
  /** Reads are whole: caught up once, and not draining. */
  readonly ready: boolean;
  /** Writes have a chance now: ready, and the log answers and is not sealed. */
  readonly writable: boolean;
  /** The log is sealed: every write is refused. */
  readonly sealed: boolean;
  /** Reads are answered from the state of before, and say so, while another is made (`STALE_READS`). */
  readonly stale: boolean;
  /** 0 to 1, by position. */
  readonly progress: number;
  /** Records applied per second, lately. */
  readonly recordsPerSecond: number;
  /** Upper bound of the time to ready, by position; undefined: not known. Compaction makes it less. */
  readonly secondsLeft: number | undefined;
  /** Applied positions by partition: everything before is applied. */
  readonly applied: readonly Offset[];
  /** The log's ends as last asked. */
  readonly ends: readonly Offset[];
  /** How long this node has not known itself at the log's end; 0: it is there. */
  readonly lagMs: number;
  /** Entries held, markers included. */
  readonly entries: number;
  /** Records applied since the process started: what a restart had to read. */
  readonly recordsApplied: number;
  readonly genesis: string | undefined;
  readonly log: LogState;
}

/** A record that could not be understood, kept for inspection. */
export interface SkippedRecord {
  readonly position: Position;
  readonly key: string;
  readonly reason: string;
}

/** Where an answer came from. `stale`: from this node's state of before, while it makes another, and nobody was there who knew more. */
export type ReadSource = 'local' | 'peer' | 'stale';

/** What a caller has seen of a log, so that no answer may be older; at most one position counts for each partition. */
export interface Seen {
  /** Which log: the id of its genesis record. */
  readonly genesis: string;
  /** Records that an answer must reflect. */
  readonly positions: readonly Position[];
}

/**
 * How new an answer must be. `local`: what this node has (and has been seen: `ReadOptions.seen`). `latest`: the log's end as the log tells
 * it when asked. `linearizable`: a barrier written behind every write that was acknowledged before the read began.
 */
export type Consistency = 'local' | 'latest' | 'linearizable';

export interface ReadOptions {
  /** Default `local`. */
  readonly consistency?: Consistency | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** How long the read may wait for what it asks for, ms; default 1,000, at most 60,000. */
  readonly waitMs?: number | undefined;
  /** The answer reflects at least this; the read waits for it, bounded. */
  readonly seen?: Seen | undefined;
}

/** The answer to a read; `found` undefined: absent, deleted or expired. */
export interface ReadAnswer {
  readonly source: ReadSource;
  readonly found: FoundValue | undefined;
  /** How far the node that answered (this one, or the peer) had applied the key's partition: everything *before* this offset. */
  readonly applied: Position;
}

/** A write that is in the log. */
export interface Written {
  /** The record's place: the value's version. */
  readonly position: Position;
  readonly id: string;
}

/** What a conditional write expects under its key: a version, nothing, or anything. */
export type Expectation = Position | 'absent' | 'present';

export interface WriteOptions {
  /** Ends the wait; the write may be in the log (`unknown-outcome`) or certainly is not (`log-unavailable`). */
  readonly signal?: AbortSignal;
  readonly contentType?: string;
  /** Deadline; absent: for ever. */
  readonly expires?: Millis;
  /** The write has no effect unless this holds at its place in the log. */
  readonly condition?: Expectation | undefined;
  /** A later write of the same key with the same text gets the answer of the first: 1 to 200 characters of printable ASCII. */
  readonly idempotencyKey?: string | undefined;
}

export interface RevertOptions extends ReadOptions {
  /** Default: what the key is now, as this node knows it. */
  readonly condition?: Expectation | undefined;
  /** A deadline for the value; absent: for ever. */
  readonly expires?: Millis | undefined;
}

export interface Reverted extends Written {
  /** What the key has become again; undefined: there was nothing, so it was deleted. */
  readonly found: FoundValue | undefined;
}

/** A member of an atomic batch; `value` undefined: a delete. */
export interface AtomicWrite {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly contentType?: string;
  readonly expires?: Millis;
  readonly condition?: Expectation | undefined;
}

export interface ListOptions extends ReadOptions {
  /** Empty: all keys. */
  readonly prefix: string;
  /**
   * Where to go on: only keys behind this in byte order, and no prefix that is this or before it. A key among those that a prefix stands
   * for: that prefix is listed if any of its keys is behind this.
   */
  readonly after?: string | undefined;
  /** Keys with this text after the prefix are not listed; what stands up to it is, once, under `prefixes`. */
  readonly delimiter?: string | undefined;
  /** Items and prefixes together, 1 to 1,000. */
  readonly limit: number;
}

export interface ListItem {
  readonly key: string;
  readonly found: FoundValue;
}

/**
 * A page of keys in byte order: what this node has. It may be shorter than its limit, and empty, though more follows: it ends when its
 * values are over 8 MiB, or when 100,000 entries were looked at, those that are deleted or expired included.
 */
export interface Listing {
  readonly items: readonly ListItem[];
  readonly prefixes: readonly string[];
  /** What to give as `after` for the next page; undefined: this was the last. */
  readonly next: string | undefined;
  /** Everything before is applied in each partition; later writes may be in the page too. */
  readonly applied: readonly Offset[];
}

/** A moment of the past: a place in a key's partition, everything up to it included, or a time of the log. */
export type Moment = Position | Millis;

export interface HistoryOptions extends ReadOptions {
  /** At most so many versions, 1 to 1,000. */
  readonly limit: number;
  /** Only versions before this place: where the page before ended. */
  readonly before?: Position | undefined;
  /** Only versions from here on. */
  readonly since?: Moment | undefined;
}

/** A write that had its effect; `found` undefined: a delete. */
export interface Version {
  readonly version: Position;
  /** Log time. */
  readonly time: Millis;
  readonly found: FoundValue | undefined;
  readonly id: string;
  /** The node that wrote it; empty when another producer did. */
  readonly by: string;
}

/**
 * Versions of a key, the newest first, as far as the log was read. The log removes what is overwritten and older than its compaction lag, so
 * only what stands at or after `completeSince` is known to be all there was; what is told from before is what happens to be left. A page may
 * be shorter than its limit though more follows: it ends when its values are over 8 MiB.
 */
export interface History {
  readonly versions: readonly Version[];
  /** From here on, up to where the page begins, every version is in the answer; `time` undefined: nothing stands there. */
  readonly completeSince: { readonly position: Position; readonly time: Millis | undefined };
  /** What to give as `before` for older versions; undefined: the log holds no more, or none that was asked for. */
  readonly next: Position | undefined;
}

/** A change of a key at its place in the log; `found` undefined: it was deleted. */
export interface WatchChange {
  readonly key: string;
  readonly position: Position;
  /** Log time. */
  readonly time: Millis;
  readonly found: FoundValue | undefined;
  /** The value was learned from a statement: what came before it is not known. */
  readonly learned: boolean;
}

/**
 * What a watcher is told. `reset`: changes were missed, and the whole state follows as puts; keys it does not name are gone. `sync`: all of
 * `positions` has been told, which is where the watch can be resumed.
 */
export type WatchEvent =
  | { readonly kind: 'put'; readonly key: string; readonly found: FoundValue; readonly position: Position }
  | { readonly kind: 'delete'; readonly key: string; readonly position: Position; readonly time: Millis }
  | { readonly kind: 'reset' }
  | { readonly kind: 'sync'; readonly positions: readonly Position[] };

export interface WatchOptions {
  /** One key; otherwise all with a prefix. */
  readonly key?: string | undefined;
  readonly prefix?: string | undefined;
  /** All changes since; absent: from now on. Of a partition that it does not name nothing was seen. */
  readonly from?: Seen | undefined;
  /** Without `from`: the state is told first. */
  readonly initial?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A verification that was begun: all nodes take a digest of their state at these places. */
export interface Verification {
  readonly run: string;
  /** One a partition. */
  readonly positions: readonly Position[];
}

/** What this node's state came to at a mark; `digest` undefined: it does not know for certain, or could not read it. */
export interface Digested {
  readonly position: Position;
  readonly digest: StateDigest | undefined;
}

/** A log that takes no writes any more. */
export interface Sealed {
  /** Where it went, as whoever sealed it said; undefined: that was not said. */
  readonly to: string | undefined;
  /** The last record of each partition that has any: nothing comes to stand behind them. */
  readonly positions: readonly Position[];
}

/** The key-value service of one node, as every face calls it. Keys and values are checked here, by the same rules for all. */
export interface KeyValue {
  readonly status: NodeStatus;
  /** Which log this node follows: the id of its genesis record; undefined: not known yet. */
  readonly genesis: string | undefined;
  readonly skipped: readonly SkippedRecord[];
  /** Answers from memory alone and at once; undefined: `read` must be asked. Errors: `key-invalid`. */
  peek(key: string): ReadAnswer | undefined;
  /**
   * Local state, then the peers as configured. Errors: `key-invalid`, `store-failed`, `in-doubt`; with `seen` or `consistency` also
   * `position-not-reached`, `position-foreign`, `overloaded` and `log-unavailable`.
   */
  read(key: string, options?: ReadOptions): Promise<ReadAnswer>;
  /** This node alone: for the other nodes. */
  readLocal(key: string): Promise<ReadAnswer>;
  /**
   * The versions of a key, read from the log: newest first, for at most `waitMs` (default 5,000), which may end the page early.
   * Errors: those of `read` with `seen`; `history-compacted` (`since` is before what is known to be all there was), `log-unavailable`.
   */
  history(key: string, options: HistoryOptions): Promise<History>;
  /**
   * What stood under a key at a moment; of a time, as the log has it at its end. Errors: as `history`; `history-compacted` when the log does not tell any more,
   * `position-not-reached` when it could not be read in time, `bad-request` for a time that is still to come or another partition.
   */
  readAt(key: string, at: Moment, options?: ReadOptions): Promise<ReadAnswer>;
  /**
   * Makes a key what it was at a moment: a write (or delete) that has no effect if the key changes meanwhile, on the condition given or that
   * it still is as this node knows it. A deadline is not brought back. Errors: those of `readAt` and of a conditional `put`.
   */
  revert(key: string, at: Moment, options?: RevertOptions): Promise<Reverted>;
  /**
   * Resolves when the log has it, and as a rule when this node serves it; with a condition, when it is decided.
   * Errors: `key-invalid`, `value-too-large`, `bad-request`, and those of `Log.append`; with a condition or an idempotency key also
   * `version-conflict` (a `VersionConflict`), `conditions-unsupported` and `unknown-outcome`.
   */
  put(key: string, value: Uint8Array, options?: WriteOptions): Promise<Written>;
  /** As `put`; deleting what is not there is a write too. */
  delete(key: string, options?: WriteOptions): Promise<Written>;
  /**
   * All or none, with all conditions decided at one place in the log: 1 to 1,000 writes of distinct keys in one partition. Answers in
   * their order. Errors: as `put`; also `batch-invalid` (why it cannot be atomic).
   */
  writeAtomic(writes: readonly AtomicWrite[], options?: { readonly signal?: AbortSignal }): Promise<readonly Written[]>;
  /**
   * Live keys that begin with a prefix. The positions in `seen` and the ends that `consistency` asks for are waited for in all partitions.
   * A key in doubt, whose turn it is, holds the page up for as long as `waitMs` lasts, and then ends it. Errors: `bad-request`,
   * `store-failed`, `in-doubt`, and with `seen` or `consistency` those of `read`.
   */
  list(options: ListOptions): Promise<Listing>;
  /**
   * How many live keys begin with a prefix, at most `limit` (then there may be more). Entries that are deleted or expired are looked at
   * and not counted, so that only `signal` bounds the time it takes. Errors: as `list`; `position-not-reached` when `signal` ended it.
   */
  count(prefix: string, limit: number, signal?: AbortSignal): Promise<number>;
  /**
   * The changes of a key or a prefix, in the log's order within a partition, without gap or duplicate, until `signal` ends it or the node
   * goes away; with a `sync` now and then while nothing changes. Errors: `key-invalid`, `overloaded`, `position-not-reached`, and those of
   * `list`.
   */
  watch(options: WatchOptions): AsyncIterable<WatchEvent>;
  /**
   * Begins a verification: a mark is written into every partition. Errors: those of `Log.append`; `position-not-reached` when this node is
   * not at the log's end.
   */
  verify(signal?: AbortSignal): Promise<Verification>;
  /** What this node came to in a verification so far, by partition; empty: it has seen none of its marks, or it was long ago. */
  digests(run: string): readonly Digested[];
  /** Makes the local state anew from the log; this node is not ready meanwhile. Errors: `log-unavailable`. */
  resync(): void;
  /**
   * Closes the log to the writes of all nodes: they are refused as `log-sealed` from then on, reads go on. Repeating it is safe, and tells
   * what was said first. `to`: where callers should go, told with the refusals. Errors: `log-unavailable` (it may be sealed or not), those
   * of `Log.append`.
   */
  seal(to?: string): Promise<Sealed>;
  /** Opens it again. Errors: `log-unavailable`, `position-not-reached` (ask again when this node is at the log's end), those of `Log.append`. */
  unseal(): Promise<void>;
}
