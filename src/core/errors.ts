/**
 * The one error table. Every failure that leaves a room is a `BitacoraError` with one of these codes; callers decide by code, never by
 * message. `docs/errors.md` is held equal to this table by a test.
 */
import type { Position } from '../ports.ts';

/** How a code is shown, and whether asking again is safe. */
export interface ErrorKind {
  readonly status: number;
  /** One line for people. */
  readonly title: string;
  /** `yes`: nothing happened, ask again. `reads`: a read may be repeated, a write may have happened. `no`: the same request fails again. */
  readonly retry: 'yes' | 'reads' | 'no';
  /** Seconds for `Retry-After`, where waiting helps. */
  readonly retryAfter?: number;
}

export const errorTable = {
  // What a caller sent
  'bad-request': { status: 400, title: 'The request cannot be understood', retry: 'no' },
  'key-invalid': { status: 400, title: 'The key is missing, blank, too long, not text, or reserved', retry: 'no' },
  'value-missing': { status: 400, title: 'A write needs a value', retry: 'no' },
  'not-found': { status: 404, title: 'There is nothing under this key', retry: 'no' },
  'no-such-path': { status: 404, title: 'There is nothing under this path', retry: 'no' },
  'method-not-allowed': { status: 405, title: 'This path does not know this method', retry: 'no' },
  'request-timeout': { status: 408, title: 'The request did not arrive in time', retry: 'yes' },
  'history-compacted': { status: 410, title: 'The log does not hold this any more', retry: 'no' },
  'snapshot-gone': { status: 410, title: 'The snapshot is not kept any more', retry: 'no' },
  'value-too-large': { status: 413, title: 'The value is over the limit', retry: 'no' },
  'headers-too-large': { status: 431, title: 'The request line and headers are over the limit', retry: 'no' },
  'position-foreign': { status: 409, title: 'The position is of another log', retry: 'no' },
  'version-conflict': { status: 412, title: 'The key is not at the version expected', retry: 'no' },
  'batch-invalid': { status: 422, title: 'The batch cannot be atomic', retry: 'no' },
  'conditions-unsupported': { status: 501, title: 'This topic does not allow conditional writes', retry: 'no' },
  // What the node or the log cannot do now
  internal: { status: 500, title: 'The node made a mistake; its log says more', retry: 'reads' },
  'store-failed': { status: 503, title: 'The local database does not answer; the node is mending it', retry: 'reads', retryAfter: 1 },
  'position-not-reached': { status: 503, title: 'This node has not applied the position in time', retry: 'yes', retryAfter: 1 },
  'in-doubt': {
    status: 503,
    title: 'This node does not know the value for certain yet, and no other has told',
    retry: 'yes',
    retryAfter: 1,
  },
  'log-unavailable': {
    status: 503,
    title: 'The log does not take writes now; this one is certainly not in it',
    retry: 'yes',
    retryAfter: 1,
  },
  'log-sealed': {
    status: 503,
    title: 'The log is sealed and takes no writes; this one is not in it',
    retry: 'yes',
    retryAfter: 1,
  },
  overloaded: { status: 503, title: 'Too much is waiting; this request was not begun', retry: 'yes', retryAfter: 1 },
  draining: { status: 503, title: 'The node is going away', retry: 'yes', retryAfter: 1 },
  'unknown-outcome': { status: 504, title: 'The write was sent and may or may not be in the log', retry: 'reads' },
  // What stops a node: shown on its terminal, never sent to a client
  'option-invalid': { status: 500, title: 'A setting is unknown or has an impossible value', retry: 'no' },
  'port-taken': { status: 500, title: 'Another process listens on this port', retry: 'no' },
  'directory-locked': { status: 500, title: 'Another node uses this data directory', retry: 'no' },
  'directory-unusable': { status: 500, title: 'The data directory cannot be written', retry: 'no' },
  'topic-unusable': { status: 500, title: 'The topic would lose data, or cannot be used as it is', retry: 'no' },
  'dependency-missing': { status: 500, title: 'An optional part is needed and not installed', retry: 'no' },
  // Between rooms
  'log-changed': { status: 503, title: 'The log is another one, or ends before what was applied', retry: 'reads', retryAfter: 1 },
  'resync-asked': { status: 503, title: 'The local state is made anew, as was asked for', retry: 'reads', retryAfter: 1 },
  'store-damaged': { status: 503, title: 'The local database is damaged and will be rebuilt', retry: 'reads', retryAfter: 1 },
  closed: { status: 503, title: 'This part is closed', retry: 'reads', retryAfter: 1 },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;

/** A failure with a code of the table. `detail` is for people and never holds a value. */
export class BitacoraError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.name = 'BitacoraError';
    this.code = code;
  }

  get kind(): ErrorKind {
    return errorTable[this.code];
  }
}

/** A condition did not hold: with the version that was there instead; undefined: the key was absent. */
export class VersionConflict extends BitacoraError {
  readonly current: Position | undefined;
  /** Of several keys, the one that stood in the way. */
  readonly key: string | undefined;

  constructor(current: Position | undefined, key?: string) {
    super('version-conflict', current === undefined ? 'the key is absent' : `the key is at ${current.partition}:${current.offset}`);
    this.current = current;
    this.key = key;
  }
}

/** `history-compacted`, with the place from which the log still tells all. */
export class HistoryCompacted extends BitacoraError {
  readonly completeSince: Position;

  constructor(completeSince: Position) {
    super('history-compacted', `all is known from ${completeSince.partition}:${completeSince.offset} on`);
    this.completeSince = completeSince;
  }
}

/** The code of any thrown thing; `internal` for what did not come from here. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof BitacoraError ? error.code : 'internal';
}

const retryWords: Readonly<Record<ErrorKind['retry'], string>> = {
  yes: 'Safe to repeat: nothing happened.',
  reads: 'A read may be repeated; a write may have happened.',
  no: 'The same request fails again.',
};

/** How a code begins its section of docs/errors.md: heading, status, retry and title. */
export function errorHead(code: ErrorCode): string {
  const { status, title, retry, retryAfter }: ErrorKind = errorTable[code];
  const wait = retryAfter === undefined ? '' : ` \`Retry-After: ${retryAfter}\`.`;
  return `## \`${code}\`\n\n${title}. HTTP status ${status}. ${retryWords[retry]}${wait}`;
}
