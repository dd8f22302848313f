/** The store: what a node holds of its log, and how far it goes. */
import type { Millis, Offset, Partition } from '../ports.ts';

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
