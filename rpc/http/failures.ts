/** How a failure is told to a client: by the error table, in one JSON object, and never with a stack trace. */
import { BitacoraError, codeOf, type ErrorCode, type ErrorKind, errorTable } from '../../src/core/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Answer } from './exchange.ts';
import { json, messageBody } from './rpc-json.ts';

/** The answer for anything thrown. What did not come from the table is logged and told as `internal`, without its own words. */
export function failureAnswer(error: unknown, logger: Logger, headers: readonly string[] = []): Answer {
  const { code, message } = toldOf(error, logger);
  const kind: ErrorKind = errorTable[code];
  return { status: kind.status, type: json, headers: [...headers, ...retryAfter(kind)], body: messageBody(message, code) };
}

/** The code of anything thrown, and what its caller may hear about it. */
export function toldOf(error: unknown, logger: Logger): { readonly code: ErrorCode; readonly message: string } {
  const code = codeOf(error);
  if (code === 'internal')
    logger.error({ event: 'http.failed', err: error }, 'a request failed for a reason that is not in the error table');
  return { code, message: error instanceof BitacoraError && code !== 'internal' ? error.message : errorTable[code].title };
}

/** Where waiting helps. */
export function retryAfter(kind: ErrorKind): readonly string[] {
  return kind.retryAfter === undefined ? [] : ['Retry-After', String(kind.retryAfter)];
}
