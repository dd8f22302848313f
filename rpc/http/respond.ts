/** The one way out: whole answers with a length, the last one of a connection marked as such, slow readers and slow senders bounded. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connections } from './connections.ts';
import type { Respond } from './exchange.ts';

/** How much longer a refused body is read and thrown away, so that its sender can read the answer: closing at once would reset him. */
const lingerMs = 2_000;
const lingerBytes = 16 * 1024 * 1024;
/** An unread body of this announced length is simply passed over, and the connection goes on. */
const passedOverBytes = 64 * 1024;

const bodiless: ReadonlySet<number> = new Set([204, 304]);

export function createRespond(connections: Connections, takeTimeoutMs: number): Respond {
  return (response, answer) => {
    const request = response.req;
    // Not `response.socket`: it is null while answers to earlier requests of the connection are owed.
    const { socket } = request;
    if (response.headersSent || response.destroyed || socket.destroyed) return;
    const length = typeof answer.body === 'string' ? Buffer.byteLength(answer.body) : answer.body.length;
    const headers = [...(answer.headers ?? [])];
    // A length of 0 would be wrong where there is no body by rule: a 304's is that of the 200.
    if (!bodiless.has(answer.status)) headers.unshift('Content-Length', String(length));
    if (length > 0) headers.push('Content-Type', answer.type);
    const refused = muchStillComes(request);
    if (connections.isLastAnswer(socket, response) || refused) headers.push('Connection', 'close');
    response.writeHead(answer.status, headers);
    if (refused) {
      connections.stop(socket);
      response.write(answer.body);
      linger(request, () => response.end());
    } else {
      response.end(answer.body);
      boundTaking(response, takeTimeoutMs);
    }
  };
}

/** A client that does not take its answer holds it in this node's memory: after the time limit its connection is cut. */
export function boundTaking(response: ServerResponse, takeTimeoutMs: number): void {
  const { socket } = response.req;
  if (socket.writableLength === 0) return;
  const timer = setTimeout(() => socket.destroy(), takeTimeoutMs);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
}

function muchStillComes(request: IncomingMessage): boolean {
  if (request.complete) return false;
  const length = Number(request.headers['content-length'] ?? 0);
  return request.headers['transfer-encoding'] !== undefined || length > passedOverBytes;
}

function linger(request: IncomingMessage, then: () => void): void {
  let left = lingerBytes;
  const done = (): void => {
    clearTimeout(timer);
    request.off('data', count).off('end', done).off('close', done);
    then();
  };
  const count = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) done();
  };
  const timer = setTimeout(done, lingerMs);
  request.on('data', count).on('end', done).on('close', done).resume();
}
