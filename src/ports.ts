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
  /** No jump in offsets is unresolved: since the last one an end of the log that was asked for later has been applied. */
  readonly whole: boolean;
  /** From here on nothing is hidden from this node, and what became of each record is known: see `Fate`. */
  readonly fatesFrom: Offset;
}

/**
 * What became of a record that did not simply have its effect: `ignored` (refused, repeated), or `unknown` to this node, which was in doubt
 * about it, or learned by it what it should have known. Of a record without a fate a put is a put and a delete a delete.
 */
export type Fate = 'ignored' | 'unknown';

/** What the first write with an idempotency key came to, for whoever repeats it. */
export interface Answer {
  readonly offset: Offset;
  /** Log time of the record. */
  readonly time: Millis;
  readonly id: string;
  readonly outcome: 'written' | 'refused' | 'doubtful';
  /** When refused: the version that stood in the way; -1: the key was absent. */
  readonly current: Offset;
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
  /** Those of `entries` whose value this node does not know for certain; all of them are unsettled. Absent: none. */
  readonly doubtful?: ReadonlySet<string>;
  /** Changed writer marks by incarnation; undefined: forget it. */
  readonly writers: ReadonlyMap<string, WriterMark | undefined>;
  /** Changed answers by idempotency key and key (`answerKey`); undefined: forget it. Absent: no change. */
  readonly answers?: ReadonlyMap<string, Answer | undefined>;
  /** Changed fates by offset; undefined: forget it. Absent: no change. */
  readonly fates?: ReadonlyMap<Offset, Fate | undefined>;
  /** Written with the batch when present. */
  readonly identity?: StoreIdentity;
}

/** Which entries are scanned, by the bytes of their keys. */
export interface ScanRange {
  /** From this key on, it included. */
  readonly from: Uint8Array;
  /** Up to this key, it not included; undefined: to the end. */
  readonly to: Uint8Array | undefined;
  /** At most so many entries. */
  readonly limit: number;
  /** No further entry once their values have so many bytes. */
  readonly maxBytes: number;
  /** True: values are left out, as empty ones, where that saves work. */
  readonly keysOnly?: boolean;
}

export interface Scan {
  readonly entries: readonly { readonly key: string; readonly entry: Entry }[];
  /** More entries follow in the range. */
  readonly more: boolean;
}

/** What a partition's values come to, the same on every node that holds the same. */
export interface StateDigest {
  /** Values counted: markers are not, values past their deadline are. */
  readonly entries: number;
  /** SHA-256, hexadecimal. */
  readonly hash: string;
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
  /** Entries as written, markers included, in byte order of their keys. Errors: as `get`. */
  scan(range: ScanRange): Promise<Scan>;
  /**
   * Atomic, and in the order of the calls. All bytes of the batch are taken before the promise is returned, and nothing of it is held on
   * to. After a rejection nothing of the batch is visible and the store must be reopened. Errors: `store-failed`, `closed`.
   */
  write(batch: StoreBatch): Promise<void>;
  /** Sets the identity and, with it, `partitions` fresh checkpoints if the store is empty. */
  identify(identity: StoreIdentity): Promise<void>;
  /** Writer marks of a partition, as stored. */
  writers(partition: Partition): Promise<ReadonlyMap<string, WriterMark>>;
  /** Answers to idempotency keys of a partition, as stored. */
  answers(partition: Partition): Promise<ReadonlyMap<string, Answer>>;
  /** Fates of a partition's records, as stored, in the log's order. */
  fates(partition: Partition): Promise<ReadonlyMap<Offset, Fate>>;
  /** Keys of entries that are not settled, to be stated after a restart unless they are doubtful. */
  unsettled(): Promise<readonly string[]>;
  /** Those of the unsettled whose value this node does not know for certain. */
  doubtful(): Promise<readonly string[]>;
  /**
   * Of a partition as it is after all writes that were handed over before, whatever is written while it is computed. It reads every entry.
   * Errors: `store-damaged`, `store-failed`, `closed`.
   */
  digest(partition: Partition): Promise<StateDigest>;
  /**
   * Reads every entry: checks its checksum and that each partition has as many as its checkpoint says.
   * Resolves with the reason of the first disagreement, or undefined. `signal` ends it early (undefined).
   */
  verify(signal?: AbortSignal): Promise<string | undefined>;
  close(): Promise<void>;
}

/** What a snapshot of a store says of itself before its rows. */
export interface SnapshotHead {
  /** Of keys and rows: only a store of the same format can take them. */
  readonly format: number;
  readonly identity: StoreIdentity;
  /** The position at which it was taken. */
  readonly checkpoints: readonly Checkpoint[];
}

/** Some rows of a snapshot. */
export interface SnapshotRun {
  /** One row behind the other (wire/snapshot-rows.ts). Never changed. */
  readonly bytes: Uint8Array;
  readonly rows: number;
  /** The key of the last one. */
  readonly last: Uint8Array;
}

/** A whole store as it was at one moment, whatever is written to it meanwhile. */
export interface StoreSnapshot extends SnapshotHead {
  /**
   * All rows behind `after` in the order of their keys, but for identity and checkpoints, which the head tells. Reads on only as the caller
   * asks for more. Errors: `store-failed`, `closed` (the store was closed).
   */
  read(after: Uint8Array | undefined): AsyncIterable<SnapshotRun>;
  /** Until then the database keeps all that it holds. Idempotent. */
  close(): Promise<void>;
}

/** A store that can be given to another node as a whole; some can. */
export interface SnapshotSource {
  /** Errors: `position-not-reached` (it does not know its log yet), `store-damaged`, `store-failed`, `closed`. */
  snapshot(): Promise<StoreSnapshot>;
}

/** A store being made from another node's snapshot, which is not trusted: each row is looked at. */
export interface StoreSeed {
  /** Rows taken. */
  readonly rows: number;
  /** The key of the last one, behind which the next must be. */
  readonly last: Uint8Array | undefined;
  /** Takes the `bytes` of a run. Errors: `store-damaged` (the rows are not those of a sound store), `store-failed` (this node's disk). */
  take(bytes: Uint8Array): Promise<void>;
  /**
   * Checks the whole, calls `vacate`, and puts the new store in the place of the old one, which must be closed when `vacate` has resolved.
   * Errors: as `take`, `directory-unusable`, `closed` (`signal`), whatever `vacate` throws. Only after `vacate` may the old store be gone.
   */
  finish(vacate: () => Promise<void>, signal?: AbortSignal): Promise<void>;
  /** Leaves nothing behind. Idempotent; nothing after `finish`. */
  abandon(): Promise<void>;
}

/** Where a node's store lies, and a seed beside it. */
export interface SeedPlace {
  /** One at a time. Errors: `store-damaged` (no store can be like this), `store-failed`, `directory-unusable`. */
  begin(head: SnapshotHead): Promise<StoreSeed>;
}

/** What a node needs of the store that it would take from another. */
export interface SeedWanted {
  readonly clusterId: string;
  readonly topic: string;
  readonly partitions: number;
  /** The id of the log's genesis record, when it is known; another one is refused. */
  readonly genesis?: string | undefined;
  /** Looks at what is offered, before anything of it is taken; resolves with why it will not do, or undefined. */
  readonly accept?: (head: SnapshotHead) => Promise<string | undefined>;
  /** Closes this node's store: the new one is complete, and is to take its place now. */
  readonly vacate: () => Promise<void>;
  /** How much of it has come, 0 to 1. */
  readonly progress?: (part: number) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/**
 * Takes a whole store from one of the other nodes. `seeded`: it is in its place and can be opened. `none`: no one gave a sound one, or `signal`
 * has ended it, and the place is as it was. Errors: `store-failed`, `directory-unusable` (this node's disk), whatever `vacate` throws.
 */
export type Seeding = (wanted: SeedWanted) => Promise<'seeded' | 'none'>;

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
  read(source: 'local' | 'peer' | 'stale', outcome: 'hit' | 'miss' | 'error'): void;
  rebuilt(reason: string): void;
}

export type * from './key-value.ts';
