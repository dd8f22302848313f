/** Reads the body of a form within a bound: refused by its announced length before reading, by what it has come to while reading. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';
import { announcedBytes, type Bodies } from './body.ts';
import { type Parameters, parseParameters } from './query.ts';

/** Room for the key and the names beside the value. */
const beside = 64 * 1024;
/** An escaped byte takes three. */
const escapeFactor = 3;
const percent = 0x25;

/** True when the announced length alone is enough to refuse, so that a client that asks first need not send it. */
export function formTooLong(request: IncomingMessage, maxValueBytes: number): boolean {
  return announcedBytes(request) > (maxValueBytes + beside) * escapeFactor;
}

/**
 * The parameters of a form; none when the body is of another type, which is read and thrown away.
 * Errors: `value-too-large`, `bad-request`, `overloaded`. After an error the rest of the body is left unread: `respond` sees to it.
 */
export async function readForm(
  bodies: Bodies,
  request: IncomingMessage,
  response: ServerResponse,
  maxValueBytes: number,
): Promise<Parameters> {
  const tooLarge = (): Error => new BitacoraError('value-too-large', `the value is over the limit of ${maxValueBytes} bytes`);
  if (formTooLong(request, maxValueBytes)) throw tooLarge();
  const weigh = (chunk: Buffer): number => chunk.length - 2 * escapesIn(chunk);
  const body = await bodies.read(request, response, { maxBytes: maxValueBytes + beside, weigh, tooLarge });
  const type = request.headers['content-type'] ?? '';
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(type);
  return isForm ? parseParameters(body.toString('latin1')) : new Map();
}

function escapesIn(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(percent); at >= 0; at = chunk.indexOf(percent, at + 1)) count++;
  return count;
}
