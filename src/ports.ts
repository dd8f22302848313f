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
export type * from './ports/log.ts';
export type * from './ports/seeding.ts';
export type * from './ports/store.ts';
