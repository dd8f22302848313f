/** One thing asked of the servers, whichever answers: what to send to one, and what its answer means. Attempts follow one another. */
import type { CallError } from '../../wire/avro/codec.ts';
import { ClientError, type Tried } from '../errors.ts';
import type { Connection, Request } from './connection.ts';

export interface Operation<R> {
  readonly write: boolean;
  /** What to send to this server. Errors: `unsupported` (another server may know it), `value-too-large`. */
  request(connection: Connection): Request;
  /** What the answer to the last request means. A `ClientError` thrown counts as the server's refusal. */
  result(answer: unknown, connection: Connection): R;
  /** What the server's refusal of the last request means; as a rule, itself. */
  refusal(error: ClientError): ClientError;
}

/** A server's failure as an error; a failure in words has no code, and its effect is not known. */
export function errorOf(failure: CallError, write: boolean, server: string): ClientError {
  if (typeof failure === 'string') return new ClientError('internal', `${server}: ${failure}`, { retryable: !write, server });
  const { code, message, retry, retryAfterMs } = failure;
  const retryable = retry === 'yes' || (retry === 'reads' && !write);
  return new ClientError(code, `${server}: ${message}`, { retryable, server, retryAfterMs: Math.max(0, retryAfterMs) });
}

/** A server of the first generation was asked for what it cannot do. */
export function unsupported(what: string, server: string): ClientError {
  return new ClientError('unsupported', `${server} is of the first generation and does not know ${what}`, { retryable: false, server });
}

export const namesOf = (tried: readonly Tried[]): string => tried.map(({ server, reason }) => `${server} (${reason})`).join(', ');
