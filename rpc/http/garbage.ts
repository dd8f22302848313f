/** What to do with a connection that does not speak HTTP, or not in time: a short answer where one can still be given, then the end. */
import { STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BitacoraError, type ErrorCode, errorTable } from '../../src/core/errors.ts';
import type { Connections } from './connections.ts';
import type { Tell } from './exchange.ts';

/** How long the other side may take to read the answer and hang up, in milliseconds. */
const partingMs = 500;

/** By the codes of Node and of its parser; anything else is a `bad-request`. */
const codes: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'value-too-large',
};

/** Where the title of the code does not help. `curl` sends what is typed: `?key=ñ` is no request target, `?key=%C3%B1` is. */
const hints: Readonly<Record<string, string>> = {
  HPE_INVALID_URL: 'The address holds bytes that must be percent-encoded',
};

/** To be called for every `clientError`; `told` hears the status when there was somebody to tell. */
export function answerGarbage(
  error: NodeJS.ErrnoException,
  duplex: Duplex,
  connections: Connections,
  tellerOf: (url: string) => Tell,
  told: (status: number) => void,
): void {
  const socket = duplex instanceof Socket ? duplex : undefined;
  if (socket === undefined || !socket.writable || error.code === 'ECONNRESET') {
    duplex.destroy();
    return;
  }
  if (connections.isClosing(socket)) return;
  const code = codes[error.code ?? ''] ?? 'bad-request';
  const newest = connections.newest(socket);
  const bodyBroken = newest !== undefined && !newest.req.complete;
  const say = (): void => {
    if (socket.writable)
      socket.end(shortAnswer(code, hints[error.code ?? ''], tellerOf(bodyBroken ? (newest.req.url ?? '') : targetIn(error))));
    setTimeout(() => socket.destroy(), partingMs).unref();
    told(errorTable[code].status);
  };
  if (bodyBroken && connections.owed(socket) === 1) {
    // Its handler waits for a body that will never be whole: this is the request's answer, unless one has begun.
    connections.stop(socket);
    if (newest.headersSent) socket.destroy();
    else say();
  } else {
    // What is owed goes first, or the client would take this answer for one of those.
    connections.stop(socket, say);
  }
}

function shortAnswer(code: ErrorCode, hint: string | undefined, tell: Tell): string {
  const { status, type, headers = [], body } = tell(new BitacoraError(code, hint ?? errorTable[code].title));
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'Connection: close', `Content-Type: ${type}`];
  for (let at = 0; at + 1 < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
  return `${lines.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** The target of a request that could not be read, as far as it can be told; empty: it cannot. */
function targetIn(error: object): string {
  const rawPacket: unknown = 'rawPacket' in error ? error.rawPacket : undefined;
  const packet = Buffer.isBuffer(rawPacket) ? rawPacket.subarray(0, 128).toString('latin1') : '';
  return /^[A-Z]+ (\S+)/.exec(packet)?.[1] ?? '';
}
