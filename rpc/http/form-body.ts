/** Reads the body of a form within a bound: refused by its announced length before reading, by what it has come to while reading. */
import type { IncomingMessage } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';
import { type Parameters, parseParameters } from './query.ts';

/** Room for the key and the names beside the value. */
const beside = 64 * 1024;
/** An escaped byte takes three. */
const escapeFactor = 3;
const percent = 0x25;

/** True when the announced length alone is enough to refuse, so that a client that asks first need not send it. */
export function announcesTooMuch(request: IncomingMessage, maxValueBytes: number): boolean {
  return Number(request.headers['content-length'] ?? 0) > (maxValueBytes + beside) * escapeFactor;
}

/**
 * The parameters of a form; none when the body is of another type, which is read and thrown away.
 * Errors: `value-too-large`, `bad-request`. After an error the rest of the body is left unread: `respond` sees to it.
 */
export async function readForm(request: IncomingMessage, maxValueBytes: number): Promise<Parameters> {
  if (announcesTooMuch(request, maxValueBytes)) throw tooLarge(maxValueBytes);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new BitacoraError('bad-request', 'the body may not be compressed');
  const body = await readBody(request, maxValueBytes);
  const type = request.headers['content-type'] ?? '';
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(type);
  return isForm ? parseParameters(body.toString('latin1')) : new Map();
}

function readBody(request: IncomingMessage, maxValueBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let decodedBytes = 0;
    const onData = (chunk: Buffer): void => {
      decodedBytes += chunk.length - 2 * escapesIn(chunk);
      if (decodedBytes > maxValueBytes + beside) fail(tooLarge(maxValueBytes));
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      release();
      resolve(Buffer.concat(chunks));
    };
    const onGone = (): void => fail(new BitacoraError('bad-request', 'the request ended before its body'));
    const fail = (error: Error): void => {
      release();
      request.pause();
      reject(error);
    };
    const release = (): void => {
      request.off('data', onData).off('end', onEnd).off('close', onGone);
    };
    // An 'error' listener stays: a connection reset after the answer must not end the process.
    request.on('error', onGone).on('data', onData).on('end', onEnd).on('close', onGone);
  });
}

function escapesIn(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(percent); at >= 0; at = chunk.indexOf(percent, at + 1)) count++;
  return count;
}

function tooLarge(maxValueBytes: number): BitacoraError {
  return new BitacoraError('value-too-large', `the value is over the limit of ${maxValueBytes} bytes`);
}
