/** What a run has seen: every operation with its interval and outcome, every watch, the log itself, and what the nodes held at the end. */

export type Consistency = 'local' | 'session' | 'latest' | 'linearizable';

/**
 * `ok` was answered as done (a read: with a value or with its absence); `refused`: the condition failed; `failed`: certainly nothing
 * happened; `unknown`: it may have happened, or may still.
 */
export type Outcome = 'ok' | 'refused' | 'failed' | 'unknown';

/** One request, as its caller saw it. Times are milliseconds since 1970 by one clock that does not step. */
export interface Operation {
  readonly client: string;
  readonly node: string;
  readonly kind: 'put' | 'delete' | 'get';
  readonly key: string;
  /** Of a put. No two requests write the same value, but those that repeat one with its idempotency key. */
  readonly value?: string;
  /** `absent`, `present` or a version. */
  readonly condition?: string;
  readonly idempotencyKey?: string;
  readonly consistency?: Consistency;
  /** Requests of one session follow one another, and each carries the token of the one before. */
  readonly session?: string;
  /** The token sent. */
  readonly token?: string;
  readonly began: number;
  readonly ended: number;
  readonly outcome: Outcome;
  /** 0: no answer. */
  readonly status: number;
  readonly code?: string;
  /** `Bitacora-Lag-Ms`: 0 says that the node knows itself at the log's end. */
  readonly lagMs?: number;
  /** The token answered. */
  readonly position?: string;
  /** Of a put that is done, or of the value read. */
  readonly version?: string;
  /** Of a refusal: what stood in the way; null: nothing did. */
  readonly current?: string | null;
  /** The value read; not there: the key was absent. */
  readonly found?: string;
}

export interface HeardEvent {
  readonly event: string;
  readonly id?: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

/** All connections of one watcher; each came back with the last id of the one before. */
export interface WatchHistory {
  readonly name: string;
  /** Undefined: all keys with the prefix. */
  readonly key?: string;
  readonly prefix: string;
  /** It begins with the state. */
  readonly initial: boolean;
  readonly connections: readonly { readonly from: string; readonly events: readonly HeardEvent[] }[];
}

/** A record of the topic, as text. */
export interface LoggedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly time: number;
  readonly key: string;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a node said of itself at the end. */
export interface Held {
  readonly node: string;
  readonly key: string;
  readonly at: number;
  /** 200, 404, or a failure, which at the end is none of the answers allowed. */
  readonly status: number;
  readonly value?: string;
  readonly version?: string;
}

export interface History {
  readonly partitions: number;
  /** `min.compaction.lag.ms` of the topic. */
  readonly lagMs: number;
  /** The furthest that a node's clock was wrong. */
  readonly skewMs: number;
  readonly operations: readonly Operation[];
  readonly watches: readonly WatchHistory[];
  /** Kafka may have told an old end: a leader that was deposed while it was frozen, or while a stranger's transaction was open. */
  readonly oldEnds: boolean;
  /** Nodes may have found holes where compaction had been. */
  readonly compacted: boolean;
  /** The whole log; nothing of it was compacted before it was read here. */
  readonly log: readonly LoggedRecord[];
  readonly held: readonly Held[];
  /** What has no place in a history but is wrong: a node that ended by itself, one that did not get ready again. */
  readonly troubles: readonly string[];
}

/** A broken promise. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
}

/** Now, for histories: does not step when the machine's clock does. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
