/**
 * The Avro face: one TCP server that speaks `RPCHandlerAvro` in Avro's Netty framing, with Java clients of any version and our own.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { BitacoraError } from '../../src/core/errors.ts';
import type { KeyValue, Logger } from '../../src/ports.ts';
import { listen } from '../listen.ts';
import { Calls } from './calls.ts';
import { Connection } from './connection.ts';
import type { AvroLimits, Observe } from './exchange.ts';
import { Handshakes, maxProtocolBytes } from './handshake.ts';

export type { AvroLimits } from './exchange.ts';

export interface AvroServerOptions {
  readonly keyValue: KeyValue;
  /** This node's name, told by `getNode`. */
  readonly node: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly limits: AvroLimits;
  readonly observe: Observe;
  readonly logger: Logger;
  /** Bound of `drain`, in milliseconds. */
  readonly drainMs: number;
}

export interface AvroServer {
  readonly address: { readonly host: string; readonly port: number };
  /** Connections open now. */
  readonly connections: number;
  /**
   * Stops accepting, answers the calls in flight and tells further ones `draining`; waits until every connection has ended, at most
   * `drainMs`. Connections on which nothing is owed stay for a moment, for what is already on its way. Idempotent, never rejects.
   */
  drain(): Promise<void>;
  /** Cuts what is left. Idempotent. */
  close(): Promise<void>;
}

/** What a frame has beside the largest key and value: a handshake with the client's protocol, and names. See `AvroLimits.maxFrameBytes`. */
const frameRoomBytes = maxProtocolBytes + 8 * 1024;
/** How long a connection is kept in a drain, in milliseconds: more than a call is under way. */
const graceMs = 500;
/** Refused connections are told of once in so many milliseconds. */
const refusalsMs = 5_000;
const keepAliveMs = 60_000;

/** Errors: `port-taken`; `option-invalid`, also for a frame that could not hold a value. */
export async function openAvroServer(options: AvroServerOptions): Promise<AvroServer> {
  const { limits, logger, observe } = options;
  checkLimits(limits);
  const calls = new Calls(options);
  const shared = { limits, logger, observe, calls, handshakes: new Handshakes() };
  const connections = new Set<Connection>();
  let whenEmpty: (() => void) | undefined;

  // Half-open is ours to end: answers that were made when the client's end is heard shall still leave.
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
  server.maxConnections = limits.maxConnections;
  server.on('connection', (socket: Socket) => {
    const connection = new Connection(socket, shared);
    connections.add(connection);
    socket.on('close', () => {
      connections.delete(connection);
      if (connections.size === 0) whenEmpty?.();
    });
  });
  tellRefusals(server, limits.maxConnections, logger);

  const address = await listen(server, options.host, options.port, 'AVRO_PORT');
  server.on('error', (err) => logger.error({ event: 'avro.error', err }, 'the Avro server reported an error'));
  const watch = setInterval(() => {
    const now = performance.now();
    for (const connection of connections) connection.check(now);
  }, checkIntervalMs(limits));
  watch.unref();

  const cut = (): void => {
    for (const connection of connections) connection.destroy();
  };
  const close = async (): Promise<void> => {
    server.close();
    clearInterval(watch);
    cut();
  };
  const end = async (): Promise<void> => {
    server.close();
    calls.drain();
    const grace = setTimeout(
      () => {
        for (const connection of connections) connection.end();
      },
      Math.min(graceMs, options.drainMs),
    );
    const limit = setTimeout(cut, options.drainMs);
    await new Promise<void>((resolve) => {
      whenEmpty = resolve;
      if (connections.size === 0) resolve();
    });
    clearTimeout(grace);
    clearTimeout(limit);
    await close();
  };
  let drained: Promise<void> | undefined;
  return {
    address,
    get connections() {
      return connections.size;
    },
    drain() {
      drained ??= end();
      return drained;
    },
    close,
  };
}

function checkLimits({ maxFrameBytes, maxKeyBytes, maxValueBytes }: AvroLimits): void {
  const least = maxKeyBytes + maxValueBytes + frameRoomBytes;
  if (maxFrameBytes >= least) return;
  throw new BitacoraError('option-invalid', `an Avro frame of ${maxFrameBytes} bytes cannot hold every value; it takes ${least}`);
}

/** Late clients are noticed within a quarter of their time. */
function checkIntervalMs({ idleTimeoutMs, frameTimeoutMs, takeTimeoutMs }: AvroLimits): number {
  return Math.min(1_000, Math.max(10, Math.min(idleTimeoutMs, frameTimeoutMs, takeTimeoutMs) / 4));
}

function tellRefusals(server: Server, limit: number, logger: Logger): void {
  let refused = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    refused++;
    const now = performance.now();
    if (now - toldAt < refusalsMs) return;
    logger.warn({ event: 'avro.connection-refused', limit, refused }, 'too many Avro connections');
    toldAt = now;
    refused = 0;
  });
}
