/** The write-ahead log: an ordered sequence of records per partition, compacted by key. */
import type { Millis, Offset, Partition, Position } from '../ports.ts';

/** Header values by name. */
export type Headers = Readonly<Record<string, Uint8Array>>;

/**
 * Headers as a log gives them: bytes as a rule, but an array where a name stands twice, or null where a producer gave no value. Whoever
 * looks at one checks it then: a restore reads millions of records of which only a few names are asked for.
 */
export type HeadersRead = Readonly<Record<string, unknown>>;

/** A record to append. `value` null is a tombstone. The bytes must not be changed by the caller until the append has settled. */
export interface NewRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  readonly headers: Headers;
}

/** A record as the log holds it. Its bytes may share a fetch buffer: copy what is kept. */
export interface LogRecord {
  readonly offset: Offset;
  /** When the log took it (log-append time), by the log's own clock. */
  readonly time: Millis;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Undefined or empty when the record has none, as those of other producers usually do. */
  readonly headers: HeadersRead | undefined;
}

/** A run of one partition, in order. `records` may be empty: what stood there was compacted or is the log's own. */
export interface LogBatch {
  readonly partition: Partition;
  /** The offset that was asked for: the `next` of the batch before, or where the subscription began. */
  readonly first: Offset;
  /** Where the next batch begins. Progress is measured by this, never by counting records. */
  readonly next: Offset;
  /** The partition's end when this batch was fetched (the offset the next record will get, or less). */
  readonly end: Offset;
  /** Offsets between `first` and `next` are missing without a control record to explain them: compaction may have hidden records. */
  readonly jumped: boolean;
  readonly records: readonly LogRecord[];
}

/** Which log this is, and the settings that the rules of the key-value machine depend on. */
export interface LogIdentity {
  readonly kind: 'kafka' | 'embedded' | 'memory';
  readonly clusterId: string;
  readonly topic: string;
  readonly partitions: number;
  /** No record younger than this is removed by compaction (`min.compaction.lag.ms`). */
  readonly compactionLagMs: number;
  /** How long a tombstone is kept after it has been compacted (`delete.retention.ms`). */
  readonly deleteRetentionMs: number;
  /** False on a topic of another's making with `CreateTime`: conditional writes are refused on it. */
  readonly logAppendTime: boolean;
  /** How many bytes records appended together may have: keys, values and headers. */
  readonly togetherBytes: number;
}

/** First offset held, and the offset that the next record will get. */
export interface PartitionBounds {
  readonly first: Offset;
  readonly next: Offset;
}

/**
 * A record that is known to stand at or after an offset. The log looks for it before it resumes, after every (re)connection, because
 * a topic recreated under the same name is otherwise indistinguishable.
 */
export interface Landmark {
  readonly partition: Partition;
  readonly offset: Offset;
  /** True: this is the landmark. False: this log is another one. Undefined: not the landmark's key, look further. */
  recognise(record: LogRecord): boolean | undefined;
}

/** A stretch of one partition. */
export interface LogRange {
  readonly partition: Partition;
  readonly from: Offset;
  /** Not included. */
  readonly to: Offset;
}

export interface Subscriber {
  /** Takes a batch; resolves when the next one of this partition may come (back-pressure). A rejection ends the subscription. */
  batch(batch: LogBatch): Promise<void>;
  /**
   * The subscription has ended for good and will deliver nothing more. Codes: `log-changed` (the landmark is missing or different, the
   * log ends before the position, or it jumped back), `log-unavailable`, or the subscriber's own rejection.
   */
  ended(error: Error): void;
}

export interface SubscribeOptions {
  /** Where to begin, per partition (the checkpoint). An offset before the log's first begins at the first, as a jump. */
  readonly from: readonly Offset[];
  /** Asked for at every (re)join; undefined as long as none is known. */
  landmark(): Landmark | undefined;
}

export interface Subscription {
  /** Tells the log what has been applied and stored, for operators' tools; never used to resume. */
  progress(applied: readonly Offset[]): void;
  /** Idempotent, bounded in time. No `batch` call begins after it has resolved. */
  close(): Promise<void>;
}

/** What the log can say about its connection right now. */
export type LogState = 'connected' | 'disconnected' | 'closed';

/** What a log is sealed with. */
export interface SealOptions {
  /**
   * Called before the log is closed to writes, with what `unseal` needs to put it back as it was; not called when it is sealed already. It is
   * sealed only once this has resolved, so it may write to the log. A rejection ends the sealing, with nothing done.
   */
  keep(memo: string): Promise<void>;
  /** A record without meaning, by which a partition is tried; one that gets through stands before the end that is told. */
  probe(partition: Partition): NewRecord;
}

/** The write-ahead log: an ordered sequence of records per partition, compacted by key. Implementations: kafka, embedded, memory. */
export interface Log {
  readonly identity: LogIdentity;
  readonly state: LogState;
  /**
   * Resolves when the record is durable (on all in-sync replicas; fsync'd). Appends to one partition keep the order of the calls.
   * `signal` ends the caller's wait and never undoes: a record that was certainly not sent is withdrawn.
   * Errors by code: `log-unavailable` (certainly not in the log), `unknown-outcome` (may be in the log, now or later), `overloaded`
   * (a bound was reached; not in the log), `value-too-large`, `log-sealed` (certainly not in the log), `closed`.
   */
  append(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position>;
  /**
   * Appends records side by side, all or none, and resolves with the place of the first. Their order among other appends, and the errors,
   * are as of `append`; also `batch-invalid`: together they are more than one request may hold (`identity.togetherBytes`).
   */
  appendTogether(partition: Partition, records: readonly NewRecord[], signal?: AbortSignal): Promise<Position>;
  /** One subscription at a time; a second needs the first closed. */
  subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription>;
  /**
   * Reads a stretch, whatever is subscribed: batches as a subscription brings them, the `first` of the first being `from`, the `next` of the
   * last being `to`, or the log's end at that moment if it comes before; no record outside of the stretch. Reads on only as the caller asks
   * for more, and ends early when he stops, or with `signal` (`closed`). Errors: `log-unavailable` (also: nothing came for a while),
   * `overloaded` (too many stretches are being read; try again), `closed`.
   */
  read(range: LogRange, signal?: AbortSignal): AsyncIterable<LogBatch>;
  /** First and next offset of every partition, asked of the log now. Errors: `log-unavailable`, `closed`. */
  bounds(signal?: AbortSignal): Promise<readonly PartitionBounds[]>;
  /** The log takes no records, as far as is known here: learned at opening, from a refusal, and otherwise within seconds. */
  readonly sealed: boolean;
  /**
   * Closes the log to writes, for all who write to it, also those who do not know of it and wake up later; over restarts, until `unseal`.
   * Resolves with the offset behind the last record of every partition: nothing comes to stand there. Repeating it is safe, and tells the
   * ends anew. Errors: `log-unavailable` (it may be sealed or not), `closed`, those of `keep`.
   */
  seal(options: SealOptions): Promise<readonly Offset[]>;
  /** Opens it again. `memo`: as `keep` was given it; undefined: not known, the log's usual settings. Errors: `log-unavailable`, `closed`. */
  unseal(memo: string | undefined): Promise<void>;
  /** Idempotent, bounded in time. Appends under way end as `unknown-outcome` or `closed`. */
  close(): Promise<void>;
}
