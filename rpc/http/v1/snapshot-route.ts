/**
 * `GET /v1/snapshot`: this node's whole store as it is now, for another node (the frames stand in wire/snapshot-frames.ts). It is between
 * nodes, as `/rpc/cluster` is, and not in the document.
 *
 *     ?name=<of the head>&after=<key of the last row, base64url>&rows=<so many>&checksum=<of all of them>
 *
 * goes on where a connection broke, in that snapshot and no other. 503: this node is not ready, going away, or gives to two others already;
 * 410 `snapshot-gone`; 404: it has no store that could be given.
 *
 * It is read from the database only as fast as its taker takes it and the rate allows, so that it holds two runs of rows in memory.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { BitacoraError, codeOf } from '../../../src/core/errors.ts';
import type { NodeStatus, SnapshotSource } from '../../../src/ports.ts';
import { jsonFrame, rowsFrameHead, snapshotFormat, snapshotPath, snapshotType } from '../../../wire/snapshot-frames.ts';
import type { Handler, Route } from '../exchange.ts';
import { queryOf } from '../query.ts';
import { boundTaking } from '../respond.ts';
import type { V1Rooms } from './rooms.ts';
import { Pace } from './snapshot-pace.ts';
import { type KeptSnapshot, type ShelfLimits, type SnapshotEnd, SnapshotShelf } from './snapshot-shelf.ts';
import { taken } from './taking.ts';

/** What of the node's store others may take. */
export interface Giving extends Partial<ShelfLimits> {
  /** Undefined: there is none that can be given, now. */
  readonly source: () => SnapshotSource | undefined;
  /** To all takers together; 0: nothing is given. */
  readonly bytesPerSecond: number;
  readonly observe?: GivingMeter;
}

/** Hears what is given. Calls are cheap and never throw. */
export interface GivingMeter {
  /** Rows were written to a taker's connection. */
  sent(bytes: number): void;
  /** What became of a snapshot; `refused`: it was not opened, because the node is not ready, goes away or gives to two others already. */
  ended(outcome: SnapshotEnd | 'refused'): void;
}

const unheard: GivingMeter = { sent: () => undefined, ended: () => undefined };

const usual: ShelfLimits = { idleMs: 30_000, maxAgeMs: 60 * 60_000 };

/** Where a stream goes on. */
interface Point {
  readonly name: string;
  readonly after: Uint8Array | undefined;
  readonly rows: number;
  readonly checksum: number;
}

export function snapshotRoute(rooms: V1Rooms, giving: Giving): Route {
  const { keyValue, logger, streams, limits, freshness } = rooms;
  const { observe = unheard } = giving;
  const shelf = new SnapshotShelf({ ...usual, ...giving }, logger, (end) => observe.ended(end));
  const pace = new Pace(giving.bytesPerSecond);
  streams.onDrain(() => shelf.closeAll());

  const get: Handler = async (request, response) => {
    const point = pointOf(request.url ?? '');
    const source = giving.bytesPerSecond > 0 ? giving.source() : undefined;
    if (source === undefined) throw new BitacoraError('no-such-path', 'this node gives no store');
    await orRefused(async () => assertReady(keyValue.status));
    const ending = streams.open(response);
    const head = ['Content-Type', snapshotType, 'Cache-Control', 'no-store', ...freshness()];
    if (request.method === 'HEAD') {
      response.writeHead(200, head).end();
      return;
    }
    const kept = point === undefined ? await orRefused(() => shelf.open(source, ending)) : shelf.find(point.name, ending);
    try {
      ending.signal.throwIfAborted();
      // Whatever is waited for then: a taker who takes nothing must not hold up the drain, nor the connection that comes after his.
      ending.signal.addEventListener('abort', () => response.destroy(), { once: true });
      response.writeHead(200, [...head, ...(streams.begin(response) ? ['Connection', 'close'] : [])]);
      await give(kept, point, response, ending.signal);
      shelf.close(kept.name, 'taken');
    } catch (error) {
      // Without its end a stream says nothing but that it broke; what was taken of it is good all the same.
      if (response.headersSent) response.destroy();
      // Whatever the database said, the snapshot will not say anything else: he who took it shall not come back to it.
      if (!ending.signal.aborted) {
        logger.error({ event: 'snapshot.failed', code: codeOf(error), reason: String(error) }, 'a snapshot of the store cannot be read on');
        shelf.close(kept.name, 'unreadable');
      }
      if (!response.headersSent) throw error;
    } finally {
      shelf.leave(kept.name, ending);
    }
  };

  async function orRefused<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      observe.ended('refused');
      throw error;
    }
  }

  async function give(
    { name, snapshot }: KeptSnapshot,
    point: Point | undefined,
    response: Parameters<Handler>[1],
    signal: AbortSignal,
  ): Promise<void> {
    let { rows, checksum } = point ?? { rows: 0, checksum: 0 };
    response.on('timeout', () => {
      logger.warn(
        { event: 'snapshot.cut', name, limitMs: limits.requestTimeoutMs },
        'the taker of a snapshot took nothing and was cut off',
      );
      response.destroy();
    });
    const { format, identity, checkpoints } = snapshot;
    response.write(jsonFrame('head', { snapshot: snapshotFormat, name, format, identity, checkpoints }));
    for await (const run of snapshot.read(point?.after)) {
      const delayMs = pace.delayFor(run.bytes.length);
      if (delayMs > 0) await pause(delayMs, undefined, { signal });
      signal.throwIfAborted();
      checksum = crc32(run.bytes, checksum);
      rows += run.rows;
      response.cork();
      response.write(rowsFrameHead(run.bytes.length, checksum));
      const full = !response.write(run.bytes);
      response.uncork();
      observe.sent(run.bytes.length);
      if (full) await taken(response, limits.requestTimeoutMs);
      signal.throwIfAborted();
    }
    response.end(jsonFrame('end', { rows, checksum }));
    boundTaking(response, limits.requestTimeoutMs);
    // As long as part of it is still here, the taker may have to come back for it.
    if (!response.destroyed) await new Promise<void>((resolve) => response.once('close', resolve));
    if (!response.writableFinished) throw new BitacoraError('closed', 'the taker is gone');
  }

  return { path: snapshotPath, methods: { GET: get } };
}

/** Errors: `draining`, `position-not-reached`. */
function assertReady({ state, ready }: NodeStatus): void {
  if (state === 'draining' || state === 'stopped') throw new BitacoraError('draining', 'the node is going away');
  if (!ready) throw new BitacoraError('position-not-reached', `the node is ${state}: its store is not whole yet`);
}

/** Undefined: a new snapshot is asked for. Errors: `bad-request`. */
function pointOf(url: string): Point | undefined {
  const query = queryOf(url);
  const name = query.get('name');
  if (name === undefined) return undefined;
  const [rows, checksum] = [Number(query.get('rows') ?? 0), Number(query.get('checksum') ?? 0)];
  const after = Buffer.from(query.get('after') ?? '', 'base64url');
  const fits = Number.isSafeInteger(rows) && rows >= 0 && Number.isInteger(checksum) && checksum >= 0 && checksum <= 0xffffffff;
  if (!fits || rows > 0 !== after.length > 0) throw new BitacoraError('bad-request', 'after, rows and checksum do not fit together');
  return { name, after: after.length === 0 ? undefined : after, rows, checksum };
}
