/** What to do with a connection that does not speak HTTP, or not in time: a short answer where one can still be given, then the end. */
import { STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ErrorCode, errorTable } from '../../src/core/errors.ts';
import type { Connections } from './connections.ts';
import { json, messageBody } from './rpc-json.ts';

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
  told: (status: number) => void,
): void {
  const socket = duplex instanceof Socket ? duplex : undefined;
  if (socket === undefined || !socket.writable || error.code === 'ECONNRESET') {
    duplex.destroy();
    return;
  }
  if (connections.isClosing(socket)) return;
  const code = codes[error.code ?? ''] ?? 'bad-request';
  const say = (): void => {
    if (socket.writable) socket.end(shortAnswer(code, hints[error.code ?? '']));
    setTimeout(() => socket.destroy(), partingMs).unref();
    told(errorTable[code].status);
  };
  const newest = connections.newest(socket);
  const bodyBroken = newest !== undefined && !newest.req.complete;
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

function shortAnswer(code: ErrorCode, hint: string | undefined): string {
  const { status, title } = errorTable[code];
  const body = messageBody(hint ?? title, code);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: ${json}\r\n`;
  return `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
