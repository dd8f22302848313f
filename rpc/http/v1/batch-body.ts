/** The body of a batch: read within a bound, taken apart, and checked before anything is done. */
import { textOf } from '../../../src/core/bytes.ts';
import { BitacoraError } from '../../../src/core/errors.ts';
import { announcedBytes, type Bodies } from '../body.ts';
import type { Call } from './answering.ts';
import { maxBatchBytes } from './rooms.ts';
import { check, type Static } from './schema.ts';
import { BatchBody, BatchList, type BatchOperation, maxOperations } from './shapes.ts';

export interface Batch {
  readonly operations: readonly Static<typeof BatchOperation>[];
  readonly atomic: boolean;
}

/** Errors: `bad-request`, `value-too-large`, `overloaded`. */
export async function readBatch(
  bodies: Bodies,
  { request, response }: Pick<Call, 'request' | 'response'>,
  contentType: string,
  maxValueBytes: number,
): Promise<Batch> {
  // Only types that a page of another site cannot send without asking first.
  const kind = /^application\/(json|x-ndjson)\s*(?:;|$)/i.exec(contentType)?.[1]?.toLowerCase();
  if (kind === undefined) throw new BitacoraError('bad-request', 'a batch is application/json or application/x-ndjson (curl --json)');
  const maxBytes = maxBatchBytes(maxValueBytes);
  const tooLarge = (): Error => new BitacoraError('value-too-large', `the batch is over the limit of ${maxBytes} bytes`);
  if (announcedBytes(request) > maxBytes) throw tooLarge();
  const text = textOf(await bodies.read(request, response, { maxBytes, tooLarge }));
  if (text === undefined) throw new BitacoraError('bad-request', 'the body is not valid UTF-8');
  if (kind === 'x-ndjson') return { operations: check(BatchList, lines(text), 'the operations:'), atomic: false };
  const parsed = parse(text, 'the body');
  if (Array.isArray(parsed)) return { operations: check(BatchList, parsed, 'the operations:'), atomic: false };
  const { operations, atomic = false } = check(BatchBody, parsed, 'the batch:');
  return { operations, atomic };
}

/** One more than are allowed is enough to be refused. */
function lines(text: string): unknown[] {
  const found: unknown[] = [];
  for (let at = 0, number = 1; at < text.length && found.length <= maxOperations; number++) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(at, end).trim();
    if (line !== '') found.push(parse(line, `line ${number}`));
    at = end + 1;
  }
  return found;
}

/** The parser's own words may hold parts of a value. */
function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BitacoraError('bad-request', `${what} is not JSON`, { cause: error });
  }
}
