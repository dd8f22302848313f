/** What the calls of the HTTP client take and give. */
import type { KeyRecord, ValueOptions } from '../client.ts';
import type { ClientError } from '../errors.ts';
import type { CompleteSince } from './failures.ts';

/** How long a caller is willing to wait. */
export interface CallOptions {
  /** Ends the wait, and never undoes: an aborted write that was sent is `unknown-outcome`. */
  readonly signal?: AbortSignal | undefined;
  /** For the whole call with all its attempts, in ms. Default: that of the client. */
  readonly timeoutMs?: number | undefined;
}

/**
 * How new an answer must be. `session`, the default: not older than anything this session has seen. `local`: what the node has, even if
 * the session has seen newer. `latest`: the log's end, as the log tells it now. `linearizable`: every write acknowledged before the read.
 * The last two reflect what the session has seen as well.
 */
export type Consistency = 'local' | 'session' | 'latest' | 'linearizable';

export interface ReadOptions extends CallOptions {
  readonly consistency?: Consistency | undefined;
}

/**
 * A moment of the past: a version (`0:17`: what stood there once it was written), a time of the log (a `Date`, or ISO 8601), or how long ago
 * (`10m`, `24h`).
 */
export type Moment = string | Date;

export interface GetOptions extends ReadOptions {
  /** What stood under the key at this moment, as far as the log still tells: otherwise a `HistoryCompactedError`. */
  readonly at?: Moment | undefined;
}

/** On what a write depends: at most one of the three. It is decided in the log; what fails is a `VersionConflictError`. */
export interface Condition {
  /** Only if the key is at this version, `partition:offset`. */
  readonly ifVersion?: string | undefined;
  /** Only if the key is absent. */
  readonly ifAbsent?: boolean | undefined;
  /** Only if the key is there, at whichever version. */
  readonly ifPresent?: boolean | undefined;
}

export interface WriteOptions extends CallOptions, Condition {
  /**
   * 1 to 200 printable ASCII characters without blanks: whatever comes later for this key with the same text has no effect and gets the
   * first one's answer, so that the write may be repeated. A conditional write without one is given one.
   */
  readonly idempotencyKey?: string | undefined;
}

/** A deadline by the clock on the wall, in the place of `ttlMs`. */
export interface Deadline {
  /** The value is absent from then on; in the future by the clock of the node that takes it. */
  readonly expires?: Date | undefined;
}

export interface PutOptions extends WriteOptions, ValueOptions, Deadline {}

/** A value that the log has. */
export interface Written {
  /** Its place in the log, `partition:offset`: the version to expect with `cas`. */
  readonly version: string;
  /** The write's uuid. */
  readonly id: string;
  /** When the value becomes absent; undefined: never. */
  readonly expires: Date | undefined;
}

/** A value and what is known of it, as listings and batches tell it: which node had it from where goes for the whole answer. */
export type StoredRecord = Omit<KeyRecord, 'source' | 'position'>;

/** A key of a listing; without its value when only keys were asked for. */
export interface ListedRecord extends Omit<StoredRecord, 'value' | 'text'> {
  readonly value: Uint8Array | undefined;
  /** The value as UTF-8; what is not UTF-8 reads as U+FFFD. */
  text(): string | undefined;
  /** Bytes of the value. */
  readonly size: number;
}

export interface ListOptions extends ReadOptions {
  /** What the keys begin with. Default: all keys. */
  readonly prefix?: string | undefined;
  /** Keys with this text behind the prefix are not listed; what stands up to it is, once, in `prefixes`. */
  readonly delimiter?: string | undefined;
  /** Items and prefixes of a page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** Without the values. */
  readonly keysOnly?: boolean | undefined;
  /** Of an earlier page of the same listing: goes on behind it. */
  readonly cursor?: string | undefined;
}

/** A part of a listing. Keys stand in the order of their bytes. */
export interface Page {
  readonly items: readonly ListedRecord[];
  readonly prefixes: readonly string[];
  /** Where the next page begins; undefined: this was the last. */
  readonly cursor: string | undefined;
}

/** How many keys there are, up to 100,000; `more`: there are more than were counted. */
export interface Count {
  readonly count: number;
  readonly more: boolean;
}

export interface HistoryOptions extends ReadOptions {
  /** Versions of a page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** Only versions before this one: the `cursor` of the page before. */
  readonly before?: string | undefined;
  /** Only versions from this moment on, and all of them, or a `HistoryCompactedError`. */
  readonly since?: Moment | undefined;
}

/** A put or delete that had its effect. */
export type KeyVersion = PutVersion | DeleteVersion;

export interface DeleteVersion {
  readonly op: 'delete';
  /** Its place in the log, `partition:offset`. */
  readonly version: string;
  /** The log’s time of it. */
  readonly time: Date | undefined;
  /** The write’s uuid; empty when another producer wrote it. */
  readonly id: string;
  /** The node that wrote it; empty when another producer did. */
  readonly by: string;
}

export interface PutVersion extends Omit<DeleteVersion, 'op'>, Content {
  readonly op: 'put';
}

/** What a put wrote. */
export interface Content {
  /** As UTF-8; what is not UTF-8 reads as U+FFFD. */
  readonly value: string;
  readonly bytes: Uint8Array;
  /** When it becomes, or became, absent; undefined: never. */
  readonly expires: Date | undefined;
  /** Undefined: not given. */
  readonly contentType: string | undefined;
}

/** A page of versions, the newest first. */
export interface History {
  readonly key: string;
  readonly versions: readonly KeyVersion[];
  /** From here on, up to where the page begins, nothing is missing. */
  readonly completeSince: CompleteSince;
  /** What to give as `before` for older ones; undefined: there are none, or none that were asked for. */
  readonly cursor: string | undefined;
}

export interface RevertOptions extends ReadOptions, Condition {
  /** For the value that is written; the deadline that it had then is not brought back. Default: for ever. */
  readonly ttlMs?: number | undefined;
}

export interface UpdateOptions extends CallOptions, ValueOptions {
  /** How often the key is read and written, at most. Default 20. */
  readonly tries?: number | undefined;
}

/** One operation of a batch. */
export type BatchOperation =
  | { readonly op: 'get'; readonly key: string }
  | ({ readonly op: 'put'; readonly key: string; readonly value: string | Uint8Array } & ValueOptions & Deadline & BatchCondition)
  | ({ readonly op: 'del'; readonly key: string } & BatchCondition);

type BatchCondition = Condition & Pick<WriteOptions, 'idempotencyKey'>;

export interface BatchOptions extends ReadOptions {
  /** All or none, at one place in the log: of keys of one partition (a common `{tag}`), without gets and idempotency keys. */
  readonly atomic?: boolean | undefined;
}

/** What one operation came to. */
export interface BatchResult {
  readonly key: string;
  /** As the operation alone would have had. */
  readonly status: number;
  /** Of a get; undefined: absent. */
  readonly found?: StoredRecord | undefined;
  /** Of a put that was done. */
  readonly written?: Written | undefined;
  /** Why it was not done; `unknown-outcome`, or a code that says so of writes: perhaps it was. */
  readonly error?: ClientError | undefined;
}

export interface NodeOptions extends CallOptions {
  /** Which to ask, as it stands among the client's endpoints. Default: any. */
  readonly endpoint?: string | undefined;
}

/** A node's own word on itself. */
export interface NodeReport {
  /** Its name, `host:port` of its HTTP face. */
  readonly node: string;
  /** Of the software. */
  readonly version: string;
  readonly state: string;
  /** Why, when there is something to say. */
  readonly reason: string | undefined;
  /** Reads are whole. */
  readonly ready: boolean;
  /** Writes have a chance. */
  readonly writable: boolean;
  /** Of catching up, 0 to 1. */
  readonly progress: number;
  /** What it has applied, as a session's position. */
  readonly applied: string;
  readonly lagMs: number;
  /** Whether the log answers. */
  readonly log: string;
  /** Which log it follows; undefined: not known yet. */
  readonly genesis: string | undefined;
  readonly partitions: number;
  /** Entries held, markers of deletes included. */
  readonly entries: number;
  readonly limits: {
    readonly valueBytes: number;
    readonly headerBytes: number;
    readonly batchOperations: number;
    readonly batchBytes: number;
    readonly listItems: number;
  };
  /** What its face can do. */
  readonly supports: readonly string[];
}
