/** What an answer that is no success means: a node's problem (RFC 9457) by its code, anything else by what HTTP says of its status. */
import { type ErrorKind, errorTable } from '../../src/core/errors.ts';
import { ClientError } from '../errors.ts';
import type { Reply } from './exchange.ts';
import { type Fields, fieldsOf, Malformed } from './fields.ts';

/** A conditional write did not find what it expected; code `version-conflict`. Nothing was written. */
export class VersionConflictError extends ClientError {
  /** The version that stood in the way; undefined: the key was absent. Of a repeated or an atomic write, as of its place in the log. */
  readonly current: string | undefined;

  constructor(message: string, current: string | undefined, server: string) {
    super('version-conflict', message, { retryable: false, server });
    this.name = 'VersionConflictError';
    this.current = current;
  }
}

/** From where on the log tells all; before it, only what happens to be left. */
export interface CompleteSince {
  /** `partition:offset`. */
  readonly position: string;
  /** When the log took what stands there; undefined: nothing does, or it was not said. */
  readonly time: Date | undefined;
}

/** The log has removed what was asked for; code `history-compacted`. */
export class HistoryCompactedError extends ClientError {
  /** What may be asked for; undefined: the node did not say. */
  readonly completeSince: CompleteSince | undefined;

  constructor(message: string, completeSince: CompleteSince | undefined, server: string) {
    super('history-compacted', message, { retryable: false, server });
    this.name = 'HistoryCompactedError';
    this.completeSince = completeSince;
  }
}

/** Errors: `Malformed`. */
export function completeSinceOf(fields: Fields): CompleteSince {
  return { position: fields.text('position'), time: fields.timeIfAny('time') };
}

/** Every answer of a node under `/v1` names it. */
export function isOfNode({ headers }: Reply): boolean {
  return headers['bitacora-node'] !== undefined;
}

/**
 * Undefined: a success. What comes of somebody between, a proxy's own error page, has no code of ours, whatever it says, and is never taken
 * for a missing key: `internal` for 5xx and what makes no sense, as nobody can tell what happened behind it; `bad-request` for 4xx.
 */
export function failureOf(reply: Reply, write: boolean, server: string, now: number): ClientError | undefined {
  const { status, headers } = reply;
  if (status >= 200 && status < 300 && isOfNode(reply)) return undefined;
  const retryAfterMs = retryAfterOf(headers['retry-after'], now);
  const isProblem = isOfNode(reply) && /^application\/problem\+json\b/i.test(headers['content-type'] ?? '');
  const problem = isProblem ? problemOf(reply) : undefined;
  if (problem !== undefined) return errorOf(problem, { write, server, retryAfterMs });
  const message = `${server}: ${isOfNode(reply) ? '' : 'somebody who is no node '}answered ${status}`;
  if (status >= 400 && status < 500) return new ClientError('bad-request', message, { retryable: false, server, retryAfterMs });
  return new ClientError('internal', message, { retryable: !write, server, retryAfterMs });
}

export interface FailureContext {
  readonly write: boolean;
  readonly server: string;
  readonly retryAfterMs?: number;
}

/** Whether what a node said may be repeated, by its own table: `closed` of a node is not that of a client. A code that it lacks may not. */
export function nodesWordOn(code: string): ErrorKind['retry'] {
  return (errorTable as Readonly<Record<string, ErrorKind | undefined>>)[code]?.retry ?? 'no';
}

/** A problem, of a whole answer or of one operation of a batch. Errors: `Malformed`. */
export function errorOf(problem: Fields, { write, server, retryAfterMs = 0 }: FailureContext): ClientError {
  const code = problem.text('code');
  const message = `${server}: ${problem.textIfAny('detail') ?? problem.textIfAny('title') ?? code}`;
  if (code === 'version-conflict') return new VersionConflictError(message, problem.textIfAny('current'), server);
  if (code === 'history-compacted') {
    const since = problem.has('complete_since') ? completeSinceOf(problem.fields('complete_since')) : undefined;
    return new HistoryCompactedError(message, since, server);
  }
  const retry = nodesWordOn(code);
  return new ClientError(code, message, { retryable: retry === 'yes' || (retry === 'reads' && !write), server, retryAfterMs });
}

function problemOf(reply: Reply): Fields | undefined {
  try {
    const problem = fieldsOf(reply);
    problem.text('code');
    return problem;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Seconds, or a date. 0: none, or none that can be understood. */
function retryAfterOf(text: string | undefined, now: number): number {
  if (text === undefined) return 0;
  if (/^\d{1,7}$/.test(text)) return Number(text) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}
