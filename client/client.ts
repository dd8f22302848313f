/**
 * What users of the library hold: a client, and what its calls take and give. Which wire it speaks (Avro now) does not show here.
 */
import type { ClientError } from './errors.ts';

/** How long a caller is willing to wait. */
export interface CallOptions {
  /** Ends the wait, and never undoes: an aborted write that was sent is `unknown-outcome`. */
  readonly signal?: AbortSignal | undefined;
  /** For the whole call with all its attempts, in ms. Default: that of `connect`. Looked at every 10 ms. */
  readonly timeoutMs?: number | undefined;
}

/** What may go with a value. */
export interface ValueOptions {
  /** The value is absent this long after a node took it, in ms, 1 or more. Default: never. */
  readonly ttlMs?: number | undefined;
  /** Kept with the value, for its readers. */
  readonly contentType?: string | undefined;
}

export interface SetOptions extends CallOptions, ValueOptions {}

/** Text (as UTF-8) or bytes. Bytes must not be changed until the call has settled. */
export type Value = string | Uint8Array;

/** A write that is in the log, on all in-sync replicas. */
export interface Written {
  /** The record's place in the log, `partition:offset`: the value's version. Undefined only from a server of the first generation. */
  readonly version: string | undefined;
  /** The write's uuid. Undefined only from a server of the first generation. */
  readonly id: string | undefined;
}

/** A value, and what is known of it. */
export interface KeyRecord {
  readonly key: string;
  /** The caller's own. */
  readonly value: Uint8Array;
  /** The value as UTF-8; what is not UTF-8 reads as U+FFFD. */
  text(): string;
  /** The place of the write in the log, `partition:offset`; undefined when a peer of an older generation answered. */
  readonly version: string | undefined;
  /** The log's time of the write. */
  readonly timestamp: Date;
  /** When the value becomes absent; undefined: never. */
  readonly expires: Date | undefined;
  /** Undefined: not given. */
  readonly contentType: string | undefined;
  /** The write's uuid; empty when another producer wrote it. */
  readonly id: string;
  /** Where the server had it from: its own state, or one of its peers. */
  readonly source: 'local' | 'peer' | 'stale';
  /** The newest place in the key's partition that the answer reflects, `partition:offset`; undefined: the partition is empty. */
  readonly position: string | undefined;
}

/** A value to set among many: an object, or a pair as those of a `Map`. */
export type Entry = (ValueOptions & { readonly key: string; readonly value: Value }) | readonly [key: string, value: Value];

/** One of many: what was found (undefined: absent), or why there is no answer. */
export type GetResult =
  | { readonly key: string; readonly found: KeyRecord | undefined; readonly error?: undefined }
  | { readonly key: string; readonly found?: undefined; readonly error: ClientError };

/** One of many: written, or why not; `error.code` `unknown-outcome` means perhaps. */
export type SetResult =
  | { readonly key: string; readonly written: Written; readonly error?: undefined }
  | { readonly key: string; readonly written?: undefined; readonly error: ClientError };

/**
 * A client of all servers together. Every call rejects with a `ClientError`; for all of them: `bad-request` and `key-invalid` (what was
 * asked cannot be sent), `connection`, `timeout`, `aborted`, `overloaded`, `closed`, and what the servers say. Writes also:
 * `unknown-outcome` (sent, and may or may not be in the log), `value-too-large`, `log-unavailable`. Reads also: `position-foreign` (once,
 * when the log is another one than before).
 *
 * A client is one session: what it reads is never older than what it wrote or read before, whichever servers answer.
 */
export interface Client {
  /** The value as text; undefined: absent. What is not UTF-8 reads as U+FFFD. */
  get(key: string, options?: CallOptions): Promise<string | undefined>;
  /** The value's bytes; undefined: absent. */
  getBytes(key: string, options?: CallOptions): Promise<Uint8Array | undefined>;
  /** The value with all that is known of it; undefined: absent. Errors: also `unsupported`. */
  getRecord(key: string, options?: CallOptions): Promise<KeyRecord | undefined>;
  /** Resolves when the log has it. */
  set(key: string, value: Value, options?: SetOptions): Promise<Written>;
  /** Resolves when the log has it; deleting what is not there is a write too. */
  delete(key: string, options?: CallOptions): Promise<Written>;
  /**
   * One result for each key, in order. Rejects only when nothing was asked: `closed`, `aborted`, `unsupported`, `position-foreign`.
   */
  getMany(keys: Iterable<string>, options?: CallOptions): Promise<readonly GetResult[]>;
  /**
   * One result for each entry, in order. The writes are independent: some may succeed, and they have no order among them, so a key
   * given twice is refused (`bad-request`). Rejects only when nothing was sent.
   */
  setMany(entries: Iterable<Entry>, options?: CallOptions): Promise<readonly SetResult[]>;
  /** All that this session has seen, as text for `connect({ position })` or `observe` elsewhere; empty: nothing yet. */
  readonly position: string;
  /** Takes over what another client has seen: later reads are not older. Errors: `bad-request`, `position-foreign`. */
  observe(position: string): void;
  /** `host:port` of the servers that take calls now. */
  readonly servers: readonly string[];
  /**
   * Lets calls under way finish for at most `closeTimeoutMs`, then ends them (`closed`; writes that were sent: `unknown-outcome`).
   * Idempotent, never rejects; afterwards nothing holds the process.
   */
  close(): Promise<void>;
}
