/**
 * An answer without an end, line by line. It is read only as its reader asks for more, so what waits here is one piece of the network's and
 * the beginning of a line; the rest waits with the node.
 *
 * Silence counts only while somebody waits for a line: who is slow himself hears nothing of the heartbeats either.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock } from '../../src/ports.ts';
import { ClientError } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';
import { Lost, reasonOf } from './exchange.ts';
import { failureOf } from './failures.ts';
import type { Wait } from './wait.ts';

export interface LinesOptions {
  readonly wait: Wait;
  readonly clock: Clock;
  /** Until the answer begins, in ms. */
  readonly openMs: number;
  /** Until the next bytes, in ms. */
  readonly silenceMs: number;
  readonly maxLineBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const maxProblemBytes = 1024 * 1024;
const newline = 0x0a;

/** Ends when the node ends the answer in order. Errors: `Lost`; a `ClientError` for an answer that is no success, or a line without end. */
export async function* linesOf(endpoint: Endpoint, path: string, options: LinesOptions): AsyncGenerator<string, void, undefined> {
  const request = endpoint.openStream(path, { Accept: 'application/x-ndjson', ...options.headers });
  let response: IncomingMessage | undefined;
  const cut = (error: Error): void => void (response ?? request).destroy(error);
  const unfollow = options.wait.follow(() => cut(new Error('nobody waits any more')));
  endpoint.streams++;
  try {
    response = await begun(request, options, cut);
    const pieces = piecesOf(response, options, cut);
    await checkSuccess(response, pieces, endpoint.name);
    endpoint.answered();
    yield* split(pieces, options.maxLineBytes, endpoint.name);
  } finally {
    endpoint.streams--;
    unfollow();
    request.destroy();
  }
}

/** Errors: `Lost`. */
async function begun(request: ClientRequest, { wait, clock, openMs }: LinesOptions, cut: (error: Error) => void): Promise<IncomingMessage> {
  const cancel = clock.after(openMs, () => cut(new Error(`no answer in ${openMs} ms`)));
  try {
    return await new Promise((resolve, reject) => {
      // Errors also come later, and then mean nothing.
      request.on('error', reject).on('response', resolve);
      request.on('close', () => reject(new Error('the connection was closed')));
      request.end();
      if (wait.over !== undefined) cut(wait.over);
    });
  } catch (error) {
    throw lost(error);
  } finally {
    cancel();
  }
}

/** The bytes as they come. Errors: `Lost`. */
async function* piecesOf(response: IncomingMessage, { clock, silenceMs }: LinesOptions, cut: (error: Error) => void) {
  const pieces = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    const cancel = clock.after(silenceMs, () => cut(new Error(`nothing was heard for ${silenceMs} ms`)));
    try {
      const { done, value } = await pieces.next();
      if (done) return;
      cancel();
      yield value;
    } catch (error) {
      throw lost(error);
    } finally {
      cancel();
    }
  }
}

/** Errors: what the answer means, if it is no success. */
async function checkSuccess(response: IncomingMessage, pieces: AsyncIterable<Buffer>, server: string): Promise<void> {
  const { statusCode: status = 0, headers } = response;
  const told = (body: Buffer) => failureOf({ status, headers, body }, false, server, Date.now());
  if (told(Buffer.alloc(0)) === undefined) {
    if (/^application\/x-ndjson\b/i.test(headers['content-type'] ?? '')) return;
    throw new ClientError('internal', `${server}: the answer is no stream of lines`, { server });
  }
  const body: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    body.push(piece);
    length += piece.length;
    if (length > maxProblemBytes) break;
  }
  throw told(Buffer.concat(body));
}

async function* split(pieces: AsyncIterable<Buffer>, maxLineBytes: number, server: string): AsyncGenerator<string, void, undefined> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    let from = 0;
    for (let end = piece.indexOf(newline); end >= 0; end = piece.indexOf(newline, from)) {
      begun.push(piece.subarray(from, end));
      yield Buffer.concat(begun).toString();
      begun = [];
      length = 0;
      from = end + 1;
    }
    begun.push(piece.subarray(from));
    length += piece.length - from;
    if (length > maxLineBytes) {
      throw new ClientError('internal', `${server}: a line is over ${maxLineBytes} bytes`, { retryable: false, server });
    }
  }
}

function lost(error: unknown): Lost {
  return new Lost(error instanceof Error ? reasonOf(error) : String(error), 'lost', true, error);
}
