/** A running HTTP face over a key-value service in memory, and plain ways to talk to it. */
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type HttpLimits, type HttpServer, type HttpServerOptions, openHttpServer } from '../../../rpc/http/server.ts';
import { askMember } from '../../../rpc/http/v1/ask-member.ts';
import type { Logger } from '../../../src/ports.ts';
import { createMemoryKeyValue, type MemoryKeyValue, maxValueBytes } from '../memory-key-value.ts';

export interface Observed {
  readonly route: string;
  readonly method: string;
  readonly status: number;
}

export interface Running {
  readonly server: HttpServer;
  readonly keyValue: MemoryKeyValue;
  readonly port: number;
  readonly observed: Observed[];
  readonly logged: string[];
  /** What was heard of watches: `opened sse`. */
  readonly watches: string[];
  stop(): Promise<void>;
}

export const testLimits: HttpLimits = {
  maxValueBytes,
  maxHeaderBytes: 8192,
  maxBodiesBytes: 10_000_000,
  maxConnections: 200,
  headersTimeoutMs: 1_000,
  requestTimeoutMs: 1_500,
  keepAliveTimeoutMs: 5_000,
  writeTimeoutMs: 300,
};

export async function startServer(
  limits: Partial<HttpLimits> = {},
  drainMs = 5_000,
  keyValue: MemoryKeyValue = createMemoryKeyValue(),
  others: Pick<HttpServerOptions, 'members' | 'askMember' | 'heartbeatMs' | 'giving'> = { members: () => [], askMember },
): Promise<Running> {
  const observed: Observed[] = [];
  const logged: string[] = [];
  const watches: string[] = [];
  const log = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const server = await openHttpServer({
    keyValue,
    node: 'n1',
    version: '1.2.3',
    ...others,
    host: '127.0.0.1',
    port: 0,
    limits: { ...testLimits, ...limits },
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'bitacora_ready 1\n' }),
    observe: (route, method, status) => observed.push({ route, method, status }),
    observeWatch: (what, transport) => watches.push(`${what} ${transport}`),
    logger,
    drainMs,
  });
  return { server, keyValue, port: server.address.port, observed, logged, watches, stop: () => server.close() };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

/** The target is sent as it stands, so that broken ones can be. */
export function call(port: number, path: string, options: Call = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, method: options.method ?? 'GET', headers: options.headers ?? {}, agent: options.agent ?? false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

export const form = { 'content-type': 'application/x-www-form-urlencoded' };

export interface Raw {
  readonly socket: Socket;
  /** All that came until now. */
  received(): string;
  /** Resolves with all that came once the other side has closed. */
  closed: Promise<string>;
}

/** A bare connection, for what no HTTP client would send. */
export async function raw(port: number, ...parts: readonly (string | Uint8Array)[]): Promise<Raw> {
  const socket = connect({ host: '127.0.0.1', port });
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  // A reset is one of the ways in which the other side closes.
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => resolve(text));
  });
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  for (const part of parts) socket.write(part);
  return { socket, received: () => text, closed };
}
