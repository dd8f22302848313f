/** A whole store, given to another node and taken from one. */
import type { Checkpoint, StoreIdentity } from './store.ts';

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
