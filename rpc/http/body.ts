/** Takes bodies within bounds: what is too much is refused by what it has come to, and the rest is left unread. `respond` sees to it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';

export interface BodyBound {
  readonly maxBytes: number;
  /** What a chunk counts for; its length unless told otherwise. */
  readonly weigh?: (chunk: Buffer) => number;
  /** The refusal. */
  readonly tooLarge: () => Error;
  /** Hears of every chunk that is kept. What it throws is the refusal. */
  readonly kept?: (bytes: number) => void;
}

/** The bodies of all requests that are not answered yet: thousands of them, each within its own bound, would take up gigabytes. */
export class Bodies {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The body, which counts until the request is answered. Errors: those of `readBody`, `overloaded`. */
  read(request: IncomingMessage, response: ServerResponse, bound: BodyBound): Promise<Buffer> {
    let mine = 0;
    response.once('close', () => {
      this.#bytes -= mine;
      mine = 0;
    });
    const kept = (bytes: number): void => {
      if (response.destroyed) return;
      if (this.#bytes + bytes > this.#maxBytes)
        throw new BitacoraError('overloaded', `the bodies of the requests under way take up ${this.#bytes} bytes`);
      this.#bytes += bytes;
      mine += bytes;
    };
    return readBody(request, { ...bound, kept });
  }
}

/** Errors: `bad-request` (compressed, or it ended early), and that of the bound. */
export async function readBody(request: IncomingMessage, { maxBytes, weigh, tooLarge, kept }: BodyBound): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw new BitacoraError('bad-request', 'the body may not be compressed');
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let weight = 0;
    const onData = (chunk: Buffer): void => {
      weight += weigh === undefined ? chunk.length : weigh(chunk);
      try {
        if (weight > maxBytes) throw tooLarge();
        kept?.(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        fail(error as Error);
      }
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
