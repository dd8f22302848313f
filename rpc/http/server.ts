/**
 * The HTTP face: one node:http server. Hot reads are answered at once, everything else goes through the router; garbage, silence and
 * slowness end in a short answer and a closed connection, and never reach the others.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { KeyValue, Logger, Member } from '../../src/ports.ts';
import { listen } from '../listen.ts';
import { Bodies } from './body.ts';
import { clusterRoute } from './cluster-route.ts';
import { Connections } from './connections.ts';
import type { HttpLimits, Route, Tell } from './exchange.ts';
import { failureAnswer } from './failures.ts';
import { createFreshness } from './freshness.ts';
import { answerGarbage } from './garbage.ts';
import { healthRoutes, type Metrics } from './health-routes.ts';
import { createHotRead } from './hot-read.ts';
import { createRespond } from './respond.ts';
import { createRouter } from './router.ts';
import { rpcRoute } from './rpc-routes.ts';
import { Streams } from './streams.ts';
import { announcesTooMuch } from './too-much.ts';
import type { AskMember, ObserveVerification, ObserveWatch, V1Rooms } from './v1/rooms.ts';
import { internalRoutes, tellV1, v1Routes } from './v1/routes.ts';
import type { Giving } from './v1/snapshot-route.ts';
import { isV1 } from './v1/target.ts';

export type { HttpLimits } from './exchange.ts';

export interface HttpServerOptions {
  readonly keyValue: KeyValue;
  /** This node's name, told in `Bitacora-Node`. */
  readonly node: string;
  /** The software's version. */
  readonly version: string;
  /** The other nodes, for `/v1/cluster`, and how to ask one of them what it says of itself. */
  readonly members: () => readonly Member[];
  readonly askMember: AskMember;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly limits: HttpLimits;
  readonly metrics: () => Promise<Metrics>;
  /** Hears of every answer: route as a path or template of the table, or `other`, method, status (499: the client went away), seconds. */
  readonly observe: (route: string, method: string, status: number, seconds: number) => void;
  /** Hears of watches. */
  readonly observeWatch?: ObserveWatch;
  /** Hears of verifications. */
  readonly observeVerification?: ObserveVerification;
  /** What other nodes may take of this node's store; absent: nothing. */
  readonly giving?: Giving;
  /** How often a watch without changes shows that it lives, in milliseconds; default 15,000. */
  readonly heartbeatMs?: number;
  readonly logger: Logger;
  /** Bound of `drain`. */
  readonly drainMs: number;
}

export interface HttpServer {
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Stops accepting, ends the streams, gives every connection its last answer and waits for them, at most `drainMs`. Requests that were begun are
   * finished; idle connections stay for a moment, for what is already on its way. Idempotent, never rejects.
   */
  drain(): Promise<void>;
  /** Cuts what is left. Idempotent. */
  close(): Promise<void>;
}

/** Shorter than what balancers wait for a silent answer, which is half a minute or more. */
const usualHeartbeatMs = 15_000;
/** How long an idle connection is kept in a drain, in milliseconds: more than a request is under way. */
const idleGraceMs = 500;
const maxHeaders = 64;
/** How often Node looks for late requests: its own 30 s would make every limit that much longer. */
const checkIntervalMs = 1_000;
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']);

/** Errors: `port-taken`, `option-invalid`. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { keyValue, limits, observe, logger } = options;
  const connections = new Connections();
  const respond = createRespond(connections, limits.requestTimeoutMs);
  const freshness = createFreshness(keyValue, options.node);
  const streams = new Streams(connections);
  const { node, version, members, askMember, observeWatch = () => undefined, heartbeatMs = usualHeartbeatMs } = options;
  const observeVerification = options.observeVerification ?? (() => undefined);
  const watching = { streams, observeWatch, observeVerification, heartbeatMs };
  const bodies = new Bodies(limits.maxBodiesBytes);
  const rooms: V1Rooms = { keyValue, limits, respond, bodies, logger, freshness, node, version, members, askMember, ...watching };
  const routes = [
    rpcRoute(rooms),
    clusterRoute(rooms),
    ...healthRoutes(rooms, options.metrics),
    ...v1Routes(rooms),
    ...internalRoutes(rooms, options.giving),
  ];
  const labelOf = createLabels(routes);
  const [tellProblem, tellRpc] = [tellV1(rooms), (error: unknown, headers?: readonly string[]) => failureAnswer(error, logger, headers)];
  const tellerOf = (url: string): Tell => (isV1(url) ? tellProblem : tellRpc);
  const route = createRouter(routes, respond, tellerOf);
  const hotRead = createHotRead({ keyValue, freshness, takeTimeoutMs: limits.requestTimeoutMs });

  const server = createServer({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: checkIntervalMs,
  });
  server.maxConnections = limits.maxConnections;
  server.maxHeadersCount = maxHeaders;

  server.on('connection', (socket: Socket) => connections.opened(socket));
  server.on('drop', () => logger.warn({ event: 'http.connection-refused', limit: limits.maxConnections }, 'too many HTTP connections'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    answerGarbage(error, socket, connections, tellerOf, (status) => observe('other', 'other', status, 0));
  });

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const start = performance.now();
    const { socket } = request;
    if (!connections.draining && !connections.isClosing(socket) && hotRead(request, response)) {
      observe('/rpc', 'GET', response.statusCode, (performance.now() - start) / 1000);
      return;
    }
    if (!connections.begin(socket, response)) return;
    response.once('close', () => {
      connections.settled(socket);
      // A stream is answered when it has begun, and leaving it is how its client ends it.
      const begunAt = streams.begunAt(response);
      const status = response.writableFinished || begunAt !== undefined ? response.statusCode : 499;
      const label = labelOf((request.url ?? '').split('?', 1)[0] ?? '');
      const method = methods.has(request.method ?? '') ? (request.method as string) : 'other';
      observe(label, method, status, ((begunAt ?? performance.now()) - start) / 1000);
    });
    // In a drain the rest of what has arrived is begun before the first answer could be called the connection's last.
    if (connections.draining) setImmediate(route, request, response);
    else route(request, response);
  };
  server.on('request', onRequest);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (!announcesTooMuch(request, limits.maxValueBytes)) response.writeContinue();
    onRequest(request, response);
  });

  const address = await listen(server, options.host, options.port, 'API_PORT');
  server.on('error', (err) => logger.error({ event: 'http.error', err }, 'the HTTP server reported an error'));
  return { address, ...ending(server, connections, streams, options.drainMs) };
}

/** Names few enough for metrics: keys in paths must not become labels. */
function createLabels(routes: readonly Route[]): (path: string) => string {
  const exact = new Set(routes.filter(({ pattern }) => pattern === undefined).map(({ path }) => path));
  const templates = routes.filter(({ pattern }) => pattern !== undefined);
  return (path) => (exact.has(path) ? path : (templates.find(({ pattern }) => pattern?.test(path))?.path ?? 'other'));
}

function ending(server: Server, connections: Connections, streams: Streams, drainMs: number): Pick<HttpServer, 'drain' | 'close'> {
  let drained: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    server.close();
    connections.destroyAll();
  };
  return {
    drain() {
      // Of http.Server, close() would also cut idle connections at once, with requests that are already on their way to them.
      NetServer.prototype.close.call(server);
      if (drained === undefined) {
        drained = connections.drain(idleGraceMs, drainMs).then(close);
        // Behind it: what is answered now is to be its connection's last.
        streams.drain();
      }
      return drained;
    },
    close,
  };
}
