/** Failures as RFC 9457 problems, by the one error table. */
import { type ErrorCode, type ErrorKind, errorTable, HistoryCompacted, VersionConflict } from '../../../src/core/errors.ts';
import { formatPosition } from '../../../src/core/position.ts';
import type { Logger } from '../../../src/ports.ts';
import type { Answer } from '../exchange.ts';
import { retryAfter, toldOf } from '../failures.ts';
import { tagOf } from './entity-tag.ts';
import type { Static } from './schema.ts';
import { type CompleteSince, problemJson } from './shapes.ts';

/** What helps, where one line can say it. */
const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  'not-found': 'written a moment ago? Send the Bitacora-Position of the write as Bitacora-Min-Position',
  'no-such-path': 'the paths are listed in /docs',
  'version-conflict': 'read the key again and write with its ETag',
  'history-compacted': 'ask for what was at complete_since, or after it',
  'position-foreign': 'forget the position: the topic was made anew, or this is another cluster',
  'position-not-reached': 'ask again, or another node; Prefer: wait=5 waits longer',
  'batch-invalid': 'send it without atomic, or give the keys a common {tag}',
  'unknown-outcome': 'repeat it with the same Idempotency-Key, or read the key first',
  'log-unavailable': 'nothing was written: repeat it',
  'log-sealed': 'write to a node of the log that it has moved to',
};

export interface ProblemContext {
  readonly node: string;
  /** The session token, when something was seen. */
  readonly position?: string | undefined;
  readonly headers?: readonly string[];
  /** Of which log the versions are; absent: nobody knows. */
  readonly log?: string | undefined;
  /** Beside what every problem has. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** The answer for anything thrown. What is not of the table is logged and told as `internal`, without its own words. */
export function problemAnswer(error: unknown, context: ProblemContext, logger: Logger): Answer {
  const { node, position, log, headers = [], more } = context;
  const told = problemOf(error, logger);
  const kind: ErrorKind = errorTable[told.code];
  const { code, title, detail, hint, current, completeSince } = told;
  const body = {
    type: `/docs#${code}`,
    title,
    status: kind.status,
    detail,
    code,
    hint,
    node,
    position: position === '' ? undefined : position,
    current,
    complete_since: completeSince,
    ...more,
  };
  const tag = error instanceof VersionConflict && error.current !== undefined ? ['ETag', tagOf(error.current, 'raw', log)] : [];
  const all = [...headers, ...tag, ...retryAfter(kind), 'Cache-Control', 'no-store'];
  return { status: kind.status, type: problemJson, headers: all, body: `${JSON.stringify(body)}\n` };
}

/** What is told of a failure, of a whole request or of one operation of a batch. */
export interface ToldProblem {
  readonly code: ErrorCode;
  readonly title: string;
  readonly detail: string;
  readonly hint: string | undefined;
  /** Of a conflict: what is there, null when nothing is. */
  readonly current: string | null | undefined;
  /** Of `history-compacted`. */
  readonly completeSince: Static<typeof CompleteSince> | undefined;
}

export function problemOf(error: unknown, logger: Logger): ToldProblem {
  const { code, message } = toldOf(error, logger);
  const current = error instanceof VersionConflict ? (error.current === undefined ? null : formatPosition(error.current)) : undefined;
  const completeSince = error instanceof HistoryCompacted ? { position: formatPosition(error.completeSince), time: null } : undefined;
  return { code, title: errorTable[code].title, detail: message, hint: hints[code], current, completeSince };
}
