/**
 * An export as it leaves: page by page, each asked for when the client has taken the one before, so that an export of any size holds one
 * page. It has no deadline of its own; every page has that of a listing. Who takes nothing for the time of a whole request is cut off.
 *
 * Invariant: when it is ended early, because the node drains or a page fails, the last line is a cursor from which nothing is missing. A
 * node that goes back between two pages, as its state is made anew, comes to where it was, or ends it: what it has then is not all.
 */
import { codeOf } from '../../../src/core/errors.ts';
import type { Listing } from '../../../src/ports.ts';
import { type ExportCursor, type ExportEnd, type ExportHeader, ExportSum, exportFormat } from '../../../wire/export-format.ts';
import { toldOf } from '../failures.ts';
import { boundTaking } from '../respond.ts';
import type { Call } from './answering.ts';
import { cursorOf } from './cursor.ts';
import { Footing } from './footing.ts';
import type { Reading } from './reading.ts';
import { valueBody } from './representation.ts';
import type { V1Rooms } from './rooms.ts';
import { ndjson } from './shapes.ts';
import { taken } from './taking.ts';

/** Keys of a page, at most; the service ends one earlier when its values are over 8 MiB. Of more it would read a page in two steps. */
const pageItems = 500;
/** Lines are sent together, in pieces of so many characters. */
const pieceLength = 64 * 1024;
/** A client has this long to take the end of its stream while the node drains, in milliseconds. */
const endMs = 500;

export interface ExportOptions extends Reading {
  readonly prefix: string;
  readonly cursor: string | undefined;
  /** The key that the cursor stands for. */
  readonly after: string | undefined;
}

/** Resolves when the stream is over. Errors: those of `KeyValue.list`, of the first page, before anything is sent. */
export async function tellExport(
  rooms: V1Rooms,
  { request, response, session }: Pick<Call, 'request' | 'response' | 'session'>,
  { prefix, cursor, after, consistency, waitMs }: ExportOptions,
): Promise<void> {
  const { streams, freshness, limits, logger, keyValue } = rooms;
  const { signal } = streams.open(response);
  const wait = waitMs === undefined ? {} : { waitMs };
  // The header says that all up to a position follows: of a state that is of no point in time that cannot be said.
  const footing = new Footing(keyValue, { consistency, seen: session.seen, itself: true });
  const page = async (behind: string | undefined): Promise<Listing> => {
    const options = { prefix, after: behind, delimiter: undefined, limit: pageItems, signal, ...wait };
    const listing = await footing.page((asked) => keyValue.list({ ...options, ...asked }));
    signal.throwIfAborted();
    session.noteApplied(listing.applied);
    return listing;
  };
  let listing = await page(after);
  // Before any item is noted: of a key that is newer than the rest of its page, the rest would be promised too.
  const header: ExportHeader = {
    ...{ bitacora: 'export', format: exportFormat, prefix, cursor: cursor ?? null, position: session.token },
    created: new Date().toISOString(),
  };
  const told = ['Content-Type', ndjson, 'Cache-Control', 'no-store', 'X-Accel-Buffering', 'no', ...freshness()];
  response.writeHead(200, [...told, ...(streams.begin(response) ? ['Connection', 'close'] : [])]);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }

  const sum = new ExportSum();
  let waiting = lineOf(header);
  /** The last key that was told, or looked at. */
  let last = after;
  const send = async (): Promise<void> => {
    const piece = waiting;
    waiting = '';
    if (!response.write(piece)) await taken(response, limits.requestTimeoutMs);
    signal.throwIfAborted();
  };
  const cursorLine = (code?: string): string =>
    last === undefined
      ? ''
      : lineOf({ cursor: cursorOf(last), ...sum.told, ...(code === undefined ? {} : { code }) } satisfies ExportCursor);
  const endEarly = (code: string): void => {
    if (!response.writableEnded && !response.destroyed) response.end(waiting + cursorLine(code));
  };
  const stop = (): void => {
    endEarly(codeOf(signal.reason));
    boundTaking(response, endMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  response.on('timeout', () => {
    logger.warn({ event: 'export.cut', limitMs: limits.requestTimeoutMs }, 'the client of an export took nothing and was cut off');
    request.socket.destroy();
  });
  try {
    for (;;) {
      for (const { key, found } of listing.items) {
        const line = lineOf(valueBody(key, found));
        session.note(found.version);
        sum.add(line);
        waiting += line;
        last = key;
        if (waiting.length >= pieceLength) await send();
      }
      if (listing.next === undefined) break;
      last = listing.next;
      waiting += cursorLine();
      await send();
      listing = await page(last);
    }
    response.end(waiting + lineOf({ end: true, ...sum.told, position: session.token } satisfies ExportEnd));
    boundTaking(response, limits.requestTimeoutMs);
  } catch (error) {
    // What the signal ended has been told.
    if (!signal.aborted) endEarly(toldOf(error, logger).code);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
