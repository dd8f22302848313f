/**
 * What a call can fail with: the codes of the nodes' error table, and those that only a client has. Decide by `code` and `retryable`, never
 * by the message. `docs/client.md` has a section for each of the client's own codes, held equal to this table by a test.
 */
import { type ErrorCode, type ErrorKind, errorTable } from '../src/core/errors.ts';

/** How a code of the client is told, and whether asking again is safe; `retry` as in the nodes' table. */
export type ClientErrorKind = Pick<ErrorKind, 'title' | 'retry'>;

/** Codes of this side. `closed` is a node's code too; said by a node, the error names the server. */
export const clientErrorTable = {
  connection: { title: 'No server can be reached, or the connection broke before anything was sent', retry: 'yes' },
  timeout: { title: 'No answer in time, and nothing was written', retry: 'yes' },
  aborted: { title: 'The caller stopped waiting, and nothing was written', retry: 'yes' },
  closed: { title: 'The client is closed', retry: 'no' },
  unsupported: { title: 'No server reached knows this call: they are of the first generation', retry: 'no' },
  'lock-taken': { title: 'Somebody else held the lock all the time, and nothing was done', retry: 'yes' },
  'lock-lost': { title: 'The lock may have been somebody else’s before the work under it was done', retry: 'no' },
} as const satisfies Record<string, ClientErrorKind>;

/** Every code that this version knows. */
export type ClientErrorCode = ErrorCode | keyof typeof clientErrorTable;

/** Codes of nodes newer than this client come through as they are. */
type LaterCode = string & Record<never, never>;

export interface ClientErrorOptions {
  /** Default: what the code's table says about a read. */
  readonly retryable?: boolean;
  /** `host:port` of the server concerned. */
  readonly server?: string | undefined;
  /** What the server asks to wait, in ms; 0: nothing. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** Why a call failed. */
export class ClientError extends Error {
  readonly code: ClientErrorCode | LaterCode;
  /** Repeating the very same call is safe and may succeed. Never true for a write that may have happened. */
  readonly retryable: boolean;
  /** `host:port` of the server that said so or was lost; undefined: none was involved. */
  readonly server: string | undefined;
  /** What the server asked to wait before the next attempt, in ms; 0: it did not. */
  readonly retryAfterMs: number;

  constructor(code: ClientErrorCode | LaterCode, message: string, options: ClientErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClientError';
    this.code = code;
    this.retryable = options.retryable ?? retryOf(code) !== 'no';
    this.server = options.server;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** A server that was tried, and why it is of no use. */
export interface Tried {
  readonly server: string;
  readonly reason: string;
}

/** No server can be reached, or the one that had the call was lost; code `connection`. A write that was sent is `unknown-outcome` instead. */
export class ClientConnectionError extends ClientError {
  /** All that was tried, for people. */
  readonly tried: readonly Tried[];

  constructor(message: string, tried: readonly Tried[], options: Omit<ClientErrorOptions, 'retryable'> = {}) {
    super('connection', message, { ...options, retryable: true });
    this.name = 'ClientConnectionError';
    this.tried = tried;
  }
}

/** The table's word on repeating; a code that no table has is not repeated. */
export function retryOf(code: string): ErrorKind['retry'] {
  const kinds: Readonly<Record<string, ClientErrorKind | undefined>> = { ...errorTable, ...clientErrorTable };
  return kinds[code]?.retry ?? 'no';
}

/** How a code of the client begins its section of docs/client.md. */
export function clientErrorHead(code: keyof typeof clientErrorTable): string {
  const { title, retry } = clientErrorTable[code];
  return `### \`${code}\`\n\n${title}. ${retry === 'yes' ? 'Safe to repeat.' : 'The same call fails again.'}`;
}
