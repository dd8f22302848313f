/** How a failure is told to a client: by the error table, as the call's message declares it, and never with a stack trace. */
import { BitacoraError, codeOf, type ErrorCode, type ErrorKind, errorTable } from '../../src/core/errors.ts';
import type { Logger } from '../../src/ports.ts';
import { declaresFailure, encodeFailure, text } from '../../wire/avro/codec.ts';
import type { Encode } from '../../wire/avro/frames.ts';
import type { Failure } from '../../wire/avro/messages.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import { inWords } from './encode.ts';

/** Characters of a message: some hold what a library said about a client's whole protocol. */
const mostWords = 300;

/** The failure for anything thrown. What did not come from the table is told as `internal`, without its own words, and `log` hears of it. */
export function failureOf(error: unknown, log: (error: unknown) => void, words = mostWords): Failure & { readonly code: ErrorCode } {
  const code = codeOf(error);
  if (code === 'internal') log(error);
  const { title, retry, retryAfter = 0 }: ErrorKind = errorTable[code];
  const message = error instanceof BitacoraError && code !== 'internal' ? error.message : title;
  return { code, message: message.slice(0, words), retry, retryAfterMs: retryAfter * 1_000 };
}

/** A logger of such errors: one line for one call, however many of its parts fail. */
export function oneLine(logger: Logger): (err: unknown) => void {
  let said = false;
  return (err) => {
    if (said) return;
    said = true;
    logger.error({ event: 'avro.failed', err }, 'a call failed for a reason that is not in the error table');
  };
}

/**
 * The error of a call, behind its flag: a `Failure` where the message declares it, `<code>: <message>` where it does not, or where the
 * client's message is none of ours (`undefined`).
 */
export function failureParts(name: MessageName | undefined, failure: Failure): readonly Encode[] {
  const words = `${failure.code}: ${failure.message}`;
  if (name !== undefined && declaresFailure(name)) return [encodeFailure(name, failure)];
  return [inWords, text.encode(words)];
}
