/**
 * A watch as a stream. The next event is asked for only when the client has taken the ones before: what waits is the service's queue, which
 * is bounded and turns into a `reset` when it is full. Who takes nothing for the time of a whole request is cut off.
 */
import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf } from '../../../src/core/errors.ts';
import type { WatchEvent } from '../../../src/ports.ts';
import { toldOf } from '../failures.ts';
import { boundTaking } from '../respond.ts';
import type { Transport, V1Rooms } from './rooms.ts';
import { taken } from './taking.ts';
import type { StreamFormat } from './watch-formats.ts';
import type { Watch } from './watch-route.ts';

/** A client has this long to take the end of its stream while the node drains, in milliseconds. */
const endMs = 500;

export interface StreamOptions {
  readonly transport: Transport;
  readonly format: StreamFormat;
  readonly headers: readonly string[];
}

/** Resolves when the stream is over. Errors: those of `KeyValue.watch` that come at once, before anything is sent. */
export async function tellStream(rooms: V1Rooms, response: ServerResponse, watch: Watch, options: StreamOptions): Promise<void> {
  const { streams, observeWatch, logger } = rooms;
  const { transport, format, headers } = options;
  const { signal } = streams.open(response);
  const events = watch.begin(signal)[Symbol.asyncIterator]();
  let next = events.next();
  // A refusal comes in this turn, and is a problem; the headers wait for nothing else.
  await Promise.race([next, turn()]);
  if (signal.aborted) {
    void letGo(events);
    throw signal.reason;
  }
  response.writeHead(200, [...headers, ...(streams.begin(response) ? ['Connection', 'close'] : [])]);
  response.write(format.begin(watch.startsWithState ? watch.progress.position : undefined));
  observeWatch('opened', transport);
  const beats = setInterval(() => {
    if (!response.writableNeedDrain) response.write(format.heartbeat);
  }, rooms.heartbeatMs);
  const end = (reason: string): void => {
    clearInterval(beats);
    if (!response.writableEnded) response.end(format.end(reason));
    // The service lets go of the watch now, whatever the client does.
    void letGo(events);
  };
  const stop = (): void => {
    end(codeOf(signal.reason));
    boundTaking(response, endMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  response.on('timeout', () => {
    observeWatch('cut', transport);
    logger.warn({ event: 'watch.cut', transport, limitMs: rooms.limits.requestTimeoutMs }, 'a watcher took nothing and was cut off');
    response.req.socket.destroy();
  });
  try {
    for (;;) {
      const { done, value } = await next;
      if (done || response.writableEnded || response.destroyed) break;
      observeWatch('told', transport);
      if (!response.write(format.event(value, watch.progress.after(value)))) await taken(response, rooms.limits.requestTimeoutMs);
      if (signal.aborted) break;
      next = events.next();
    }
    end('the watch has ended');
  } catch (error) {
    end(toldOf(error, logger).code);
  } finally {
    observeWatch('closed', transport);
  }
}

async function letGo(events: AsyncIterator<WatchEvent>): Promise<void> {
  // What fails now fails for nobody: the watch is over.
  await events.return?.().catch(() => undefined);
}
