/**
 * The ports: what the heart needs of the world, and what the faces need of the heart.
 *
 * Only types live here. A wall (storage/, cluster/, rpc/) implements or calls these and never imports another wall; `src/app/compose.ts`
 * is the one place that knows every room. Each port has a contract suite in `test/contract/` that all its implementations pass.
 */

/** A type that cannot be exchanged for another of the same shape. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** A record's place in its partition. A number, not a bigint: exact to 2^53, and it lives in hot loops. */
export type Offset = Brand<number, 'Offset'>;
/** A partition's number, from 0. */
export type Partition = Brand<number, 'Partition'>;
/** Wall-clock time, milliseconds since the epoch. */
export type Millis = Brand<number, 'Millis'>;

/** A place in the log: the version of a value, and what a caller may wait for. Written `partition:offset`. */
export interface Position {
  readonly partition: Partition;
  readonly offset: Offset;
}

// ---------------------------------------------------------------- the log

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

/** The write-ahead log: an ordered sequence of records per partition, compacted by key. Implementations: kafka, embedded, memory. */
export interface Log {
  readonly identity: LogIdentity;
  readonly state: LogState;
  /**
   * Resolves when the record is durable (on all in-sync replicas; fsync'd). Appends to one partition keep the order of the calls.
   * `signal` ends the caller's wait and never undoes: a record that was certainly not sent is withdrawn.
   * Errors by code: `log-unavailable` (certainly not in the log), `unknown-outcome` (may be in the log, now or later), `overloaded`
   * (a bound was reached; not in the log), `value-too-large`, `closed`.
   */
  append(partition: Partition, record: NewRecord, signal?: AbortSignal): Promise<Position>;
  /** One subscription at a time; a second needs the first closed. */
  subscribe(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription>;
  /** First and next offset of every partition, asked of the log now. Errors: `log-unavailable`, `closed`. */
  bounds(signal?: AbortSignal): Promise<readonly PartitionBounds[]>;
  /** Idempotent, bounded in time. Appends under way end as `unknown-outcome` or `closed`. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------- the store

/**
 * What a node holds under a key. A deleted key is an entry too, the expiry marker, until it is swept.
 * Invariant: `version <= newest` unless a statement set the value.
 */
export interface Entry {
  /** Offset of the record that set this value, in the key's partition; -1: never set. */
  readonly version: Offset;
  /** Offset of the newest record under the key that is not a statement. */
  readonly newest: Offset;
  /** The newest record under the key states its value, so compaction keeps enough to restore it. */
  readonly settled: boolean;
  /** An expiry marker: gone since `version`. */
  readonly deleted: boolean;
  /** The value's bytes; empty when deleted. Never changed in place. */
  readonly value: Uint8Array;
  /** Log time of the version. */
  readonly time: Millis;
  /** Deadline from which the value reads as absent; 0: for ever. */
  readonly expires: Millis;
  /** The write's uuid; empty when another producer wrote it. */
  readonly id: string;
  /** The writer as `node/incarnation/sequence`; empty when another producer wrote it. */
  readonly by: string;
  /** The value's content type; empty when not given. */
  readonly contentType: string;
}

/** What is known of one partition, stored in the same batch as the data it vouches for. */
export interface Checkpoint {
  /** Everything before this offset is applied. */
  readonly next: Offset;
  /** How many entries the partition has in the store, markers included. */
  readonly entries: number;
  /** Log time of the newest record applied; 0: none. */
  readonly logTime: Millis;
  /** Wall-clock time at which this node last knew that it was at the partition's end; 0: never. */
  readonly atEnd: Millis;
}

/** Newest sequence number seen from a writer's incarnation in a partition, and the log time of its record. */
export interface WriterMark {
  readonly sequence: number;
  readonly time: Millis;
}

/** Which log a store was made from. Another log, or another format, means that the store is rebuilt. */
export interface StoreIdentity {
  readonly format: number;
  readonly clusterId: string;
  readonly topic: string;
  readonly partitions: number;
  /** The topic's genesis record, once known: its id, and an offset at or after which it is found. */
  readonly genesis: { readonly id: string; readonly partition: Partition; readonly offset: Offset } | undefined;
}

/** One atomic write: what a batch of the log came to, and the checkpoint that vouches for it. */
export interface StoreBatch {
  readonly partition: Partition;
  readonly checkpoint: Checkpoint;
  /** New state by key; undefined: remove the entry. */
  readonly entries: ReadonlyMap<string, Entry | undefined>;
  /** Changed writer marks by incarnation; undefined: forget it. */
  readonly writers: ReadonlyMap<string, WriterMark | undefined>;
  /** Written with the batch when present. */
  readonly identity?: StoreIdentity;
}

/** The local database under a node: a cache of the log, kept over restarts. Implementations: level, memory, and a hashmap over either. */
export interface Store {
  readonly identity: StoreIdentity | undefined;
  /** By partition. All zero in a fresh store. */
  readonly checkpoints: readonly Checkpoint[];
  /** Size on disk or in memory, in bytes, as good as the implementation knows. */
  readonly sizeBytes: number;
  /** What memory holds, without waiting; undefined: not in memory, ask `get`. */
  peek(key: string): Entry | undefined;
  /** True: there is certainly no entry, nor is one about to be written. False: it must be looked for. Without waiting, and never throws. */
  lacks(key: string): boolean;
  /** Errors: `store-damaged` (a checksum does not fit), `store-failed`, `closed`. */
  get(key: string): Promise<Entry | undefined>;
  /** As `get`, for many, in the order asked. */
  load(keys: readonly string[]): Promise<readonly (Entry | undefined)[]>;
  /**
   * Atomic, and in the order of the calls. All bytes of the batch are taken before the promise is returned, and nothing of it is held on
   * to. After a rejection nothing of the batch is visible and the store must be reopened. Errors: `store-failed`, `closed`.
   */
  write(batch: StoreBatch): Promise<void>;
  /** Sets the identity and, with it, `partitions` fresh checkpoints if the store is empty. */
  identify(identity: StoreIdentity): Promise<void>;
  /** Writer marks of a partition, as stored. */
  writers(partition: Partition): Promise<ReadonlyMap<string, WriterMark>>;
  /** Keys of entries that are not settled, to be stated after a restart. */
  unsettled(): Promise<readonly string[]>;
  /**
   * Reads every entry: checks its checksum and that each partition has as many as its checkpoint says.
   * Resolves with the reason of the first disagreement, or undefined. `signal` ends it early (undefined).
   */
  verify(signal?: AbortSignal): Promise<string | undefined>;
  close(): Promise<void>;
}

// ---------------------------------------------------------------- other nodes

/** A node as the others reach it. */
export interface Member {
  /** `host:port` of its HTTP face; its name. */
  readonly address: string;
  /** `host:port` of its Avro face; empty when off. */
  readonly socket: string;
}

export type MembershipState = 'joined' | 'joining' | 'left';

/** Who else is there. Losing it never stops local reads or writes: the members last known stay. Implementations: zookeeper, static. */
export interface Membership {
  readonly kind: 'zookeeper' | 'static' | 'none';
  readonly state: MembershipState;
  /** The others, this node left out. */
  readonly others: readonly Member[];
  /** Begins to register this node, and goes on trying until `leave`; resolves at once, whether or not the service answers. */
  join(self: Member): void;
  /** Bounded in time; afterwards others no longer see this node, or will not after its session has expired. */
  leave(): Promise<void>;
}

/** What one peer knows of a key, found or not. */
export interface PeerAnswer {
  readonly from: string;
  /** The peer's position in the key's partition: it has applied everything before. Undefined: an older node, which does not tell. */
  readonly next: Offset | undefined;
  /** The genesis id of the peer's log, when it tells: an answer from another log is worthless. */
  readonly genesis: string | undefined;
  /** Undefined: it does not have the key (or has it as deleted or expired). */
  readonly found: FoundValue | undefined;
}

/** A value with what is known of it. */
export interface FoundValue {
  readonly value: Uint8Array;
  /** Undefined only in an answer of an older node. */
  readonly version: Position | undefined;
  /** Log time of the write. */
  readonly time: Millis;
  /** Deadline; 0: for ever. */
  readonly expires: Millis;
  readonly id: string;
  readonly contentType: string;
}

/** Questions to other nodes. */
export interface Peers {
  /**
   * Asks all members at once and yields each answer as it comes; ends when all have answered, or at `timeoutMs`, or on `signal`.
   * A peer that fails is left out, never an error.
   */
  ask(key: string, timeoutMs: number, signal?: AbortSignal): AsyncIterable<PeerAnswer>;
  close(): Promise<void>;
}

// ---------------------------------------------------------------- time, chance, tidings

/** Time as a port, so that a whole cluster can run in a simulation. */
export interface Clock {
  /** Wall-clock time; may step. Only for what people read, deadlines of values, and comparison with the log's times. */
  now(): Millis;
  /** Monotonic time in ms, for durations. */
  monotonic(): number;
  /** Runs `action` after `delayMs`; returns its cancellation. Does not keep the process alive. */
  after(delayMs: number, action: () => void): () => void;
}

/** Chance as a port, for the same reason. */
export interface Chance {
  uuid(): string;
  /** Uniform in [0, 1). */
  random(): number;
}

/** Structured log lines: stable dotted `event` names in the fields; never a key or value above debug. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Where the heart tells what happened, to be counted. Calls must be cheap and never throw. */
export interface Meter {
  applied(kind: string, count: number): void;
  skipped(reason: string): void;
  appended(seconds: number, outcome: 'ok' | 'unknown' | 'unavailable' | 'refused'): void;
  /** Log time to visible on this node. */
  applyDelay(seconds: number): void;
  read(source: 'local' | 'peer', outcome: 'hit' | 'miss' | 'error'): void;
  rebuilt(reason: string): void;
}

// ---------------------------------------------------------------- what the faces call

export type NodeState = 'starting' | 'restoring' | 'ready' | 'stuck' | 'draining' | 'stopped';

/** What a node can say of itself at once. */
export interface NodeStatus {
  readonly state: NodeState;
  /** Why it is in this state, in words, when there is something to say. */
  readonly reason: string | undefined;
  /** Reads are whole: caught up once, and not draining. */
  readonly ready: boolean;
  /** Writes have a chance now: ready, and the log answers. */
  readonly writable: boolean;
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

/** Where an answer came from. */
export type ReadSource = 'local' | 'peer';

/** What a caller has seen of a log, so that no answer may be older; at most one position counts for each partition. */
export interface Seen {
  /** Which log: the id of its genesis record. */
  readonly genesis: string;
  /** Records that an answer must reflect. */
  readonly positions: readonly Position[];
}

export interface ReadOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
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

export interface WriteOptions {
  /** Ends the wait; the write may be in the log (`unknown-outcome`) or certainly is not (`log-unavailable`). */
  readonly signal?: AbortSignal;
  readonly contentType?: string;
  /** Deadline; absent: for ever. */
  readonly expires?: Millis;
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
   * Local state, then the peers as configured. Errors: `key-invalid`, `store-failed`; with `seen` also `position-not-reached`,
   * `position-foreign` and `overloaded`.
   */
  read(key: string, options?: ReadOptions): Promise<ReadAnswer>;
  /** This node alone: for the other nodes. */
  readLocal(key: string): Promise<ReadAnswer>;
  /** Resolves when the log has it, and as a rule when this node serves it. Errors: `key-invalid`, `value-too-large`, and those of `Log.append`. */
  put(key: string, value: Uint8Array, options?: WriteOptions): Promise<Written>;
  /** As `put`; deleting what is not there is a write too. */
  delete(key: string, options?: WriteOptions): Promise<Written>;
}
