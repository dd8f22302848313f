/** How a failure is told to a client: by the error table, in one JSON object, and never with a stack trace. */
import { BitacoraError, codeOf, type ErrorCode, type ErrorKind, errorTable } from '../../src/core/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Answer } from './exchange.ts';
import { json, messageBody } from './rpc-json.ts';

/** The answer for anything thrown. What did not come from the table is logged and told as `internal`, without its own words. */
export function failureAnswer(error: unknown, logger: Logger): Answer {
  const code = codeOf(error);
  if (code === 'internal')
    logger.error({ event: 'http.failed', err: error }, 'a request failed for a reason that is not in the error table');
  const kind: ErrorKind = errorTable[code];
  const message = error instanceof BitacoraError && code !== 'internal' ? error.message : kind.title;
  return codedAnswer(code, message);
}

/** An answer with a code of the table, and `Retry-After` where waiting helps. */
export function codedAnswer(code: ErrorCode, message: string, headers: readonly string[] = []): Answer {
  const kind: ErrorKind = errorTable[code];
  const wait = kind.retryAfter === undefined ? [] : ['Retry-After', String(kind.retryAfter)];
  return { status: kind.status, type: json, headers: [...headers, ...wait], body: messageBody(message, code) };
}
