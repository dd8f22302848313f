/** The faces of a node, opened from its settings: they share one key-value service, so the same guarantees. */
import { type AvroServer, openAvroServer } from '../../rpc/avro/server.ts';
import { type HttpServer, openHttpServer } from '../../rpc/http/server.ts';
import { askMember } from '../../rpc/http/v1/ask-member.ts';
import type { Logger, Membership, SnapshotSource } from '../ports.ts';
import type { Replica } from '../replica/replica.ts';
import type { Config } from './config/config.ts';
import type { Metrics } from './metrics.ts';
import { version } from './version.ts';

/** Errors: `port-taken`, `option-invalid`. */
export function serveHttp(
  config: Config,
  name: string,
  keyValue: Replica,
  membership: Membership,
  metrics: Metrics,
  logger: Logger,
  source: () => SnapshotSource | undefined,
): Promise<HttpServer> {
  return openHttpServer({
    keyValue,
    node: name,
    version,
    members: () => membership.others,
    askMember,
    host: config.httpHost,
    port: config.httpPort,
    limits: {
      maxValueBytes: config.maxValueBytes,
      maxHeaderBytes: config.maxHeaderBytes,
      maxBodiesBytes: config.maxBodiesBytes,
      maxConnections: config.maxConnections,
      headersTimeoutMs: config.headersTimeoutMs,
      requestTimeoutMs: config.requestTimeoutMs,
      keepAliveTimeoutMs: config.keepAliveTimeoutMs,
      writeTimeoutMs: config.writeTimeoutMs,
    },
    metrics: () => metrics.render(),
    observe: (route, method, status, seconds) => metrics.observeHttp(route, method, status, seconds),
    observeWatch: metrics.observeWatch,
    observeVerification: metrics.observeVerification,
    giving: { source, bytesPerSecond: config.seedBytesPerSecond, observe: metrics.givingMeter },
    logger,
    drainMs: config.drainTimeoutMs,
  });
}

/** Java cuts a frame into buffers of 8 KiB, and gives the call's head a few of its own. */
const smallestUsualBuffer = 1_024;

/** Undefined: it is off. Errors: `port-taken`, `option-invalid`. */
export async function serveAvro(
  config: Config,
  name: string,
  keyValue: Replica,
  metrics: Metrics,
  logger: Logger,
): Promise<AvroServer | undefined> {
  if (config.avroPort === undefined) return undefined;
  return openAvroServer({
    keyValue,
    node: name,
    host: config.httpHost,
    port: config.avroPort,
    limits: {
      maxKeyBytes: config.maxKeyBytes,
      maxValueBytes: config.maxValueBytes,
      maxFrameBytes: config.avroMaxFrameBytes,
      maxBuffers: Math.ceil(config.avroMaxFrameBytes / smallestUsualBuffer),
      maxConnections: config.maxConnections,
      maxCallsPerConnection: config.avroMaxCalls,
      maxBytesPerConnection: 2 * config.avroMaxFrameBytes,
      idleTimeoutMs: config.avroIdleTimeoutMs,
      frameTimeoutMs: config.requestTimeoutMs,
      takeTimeoutMs: config.requestTimeoutMs,
      writeTimeoutMs: config.writeTimeoutMs,
    },
    observe: (message, outcome, seconds) => metrics.observeAvro(message, outcome, seconds),
    logger,
    drainMs: config.drainTimeoutMs,
  });
}
