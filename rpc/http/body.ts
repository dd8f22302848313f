/** Takes a body within a bound: what is too much is refused by what it has come to, and the rest is left unread. `respond` sees to it. */
import type { IncomingMessage } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';

export interface BodyBound {
  readonly maxBytes: number;
  /** What a chunk counts for; its length unless told otherwise. */
  readonly weigh?: (chunk: Buffer) => number;
  /** The refusal. */
  readonly tooLarge: () => Error;
}

/** Errors: `bad-request` (compressed, or it ended early), and that of the bound. */
export async function readBody(request: IncomingMessage, { maxBytes, weigh, tooLarge }: BodyBound): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new BitacoraError('bad-request', 'the body may not be compressed');
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let weight = 0;
    const onData = (chunk: Buffer): void => {
      weight += weigh === undefined ? chunk.length : weigh(chunk);
      if (weight > maxBytes) fail(tooLarge());
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

/** The announced length; 0: none. */
export function announcedBytes(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}
