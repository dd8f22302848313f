/**
 * One request and its whole answer, or word that there is none and whether the request may have had an effect.
 *
 * A request counts as sent from the moment that it has a connection: Node writes it there and then. Before (refused, name not found, not
 * connected yet, waiting for a free connection) no byte of it has left, and a write may go to another node.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../src/ports.ts';
import type { Endpoint } from './endpoint.ts';
import type { Wait } from './wait.ts';

export interface Outgoing {
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'POST';
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface ExchangeOptions {
  readonly wait: Wait;
  readonly clock: Clock;
  readonly maxAnswerBytes: number;
  /** After so long another node is asked, if that is safe; undefined: there is no other. */
  readonly moveOnMs: number | undefined;
  /** It may be sent again though it was sent. */
  readonly repeatable: boolean;
}

/** There was no whole answer. */
export class Lost extends Error {
  readonly reason: 'lost' | 'slow' | 'too-large';
  /** It may have had its effect. */
  readonly sent: boolean;

  constructor(message: string, reason: Lost['reason'], sent: boolean, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.sent = sent;
  }
}

/** Errors: `Lost`; when nobody waits any more, too. */
export function exchange(endpoint: Endpoint, outgoing: Outgoing, options: ExchangeOptions): Promise<Reply> {
  const { wait, clock, moveOnMs, maxAnswerBytes, repeatable } = options;
  return new Promise((resolve, reject) => {
    const request = endpoint.open(outgoing.method, outgoing.path, lengthened(outgoing));
    let sent = false;
    let settled = false;
    const settle = (then: () => void): void => {
      if (settled) return;
      settled = true;
      unfollow();
      cancel?.();
      endpoint.inFlight--;
      then();
    };
    const lose = (reason: Lost['reason'], message: string, cause?: unknown): void =>
      settle(() => {
        request.destroy();
        reject(new Lost(message, reason, sent, cause));
      });
    endpoint.inFlight++;
    const unfollow = wait.follow(() => lose('lost', 'nobody waits any more'));
    const slow = (): void => {
      if (!sent || repeatable) lose('slow', `no answer in ${moveOnMs} ms`);
    };
    const cancel = moveOnMs === undefined ? undefined : clock.after(moveOnMs, slow);
    onSent(request, () => {
      sent = true;
    });
    // Errors also come after the answer or the end of the wait, and then mean nothing.
    request.on('error', (error) => lose('lost', reasonOf(error), error));
    request.on('close', () => lose('lost', 'the connection was closed'));
    request.on('response', (response) => {
      collect(response, maxAnswerBytes, {
        whole: (reply) => settle(() => resolve(reply)),
        tooLarge: () => lose('too-large', `the answer is over ${maxAnswerBytes} bytes`),
        broken: (error) => lose('lost', `the answer broke off: ${error.message}`, error),
      });
    });
    request.end(outgoing.body);
  });
}

function onSent(request: ClientRequest, then: () => void): void {
  request.once('socket', (socket) => {
    // Of TLS nothing leaves before the other side has shown who it is.
    if (socket.connecting) socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', then);
    else then();
  });
}

interface Collected {
  whole(reply: Reply): void;
  tooLarge(): void;
  broken(error: Error): void;
}

function collect(response: IncomingMessage, maxBytes: number, { whole, tooLarge, broken }: Collected): void {
  const chunks: Buffer[] = [];
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxBytes) tooLarge();
    else chunks.push(chunk);
  });
  response.on('error', broken);
  response.on('end', () => whole({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks, length) }));
}

/** With a length always: without one Node would send a body in chunks. */
function lengthened({ method, headers, body }: Outgoing): Readonly<Record<string, string>> {
  return method === 'PUT' || body !== undefined ? { ...headers, 'Content-Length': String(body?.length ?? 0) } : headers;
}

/** Several addresses of one name fail as one error without words. */
export function reasonOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((each: unknown) => (each instanceof Error ? each.message : String(each))).join(', ');
}
