/** `GET /v1/export`: all keys of a prefix as one stream. */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Route } from '../exchange.ts';
import { answering, type CallOf } from './answering.ts';
import { afterCursor } from './cursor.ts';
import { exportKeys } from './export-operations.ts';
import { tellExport } from './export-stream.ts';
import { checkPrefix, readingOf } from './reading.ts';
import type { V1Rooms } from './rooms.ts';

/** Exports of one node that are under way at once: each holds a page of up to 8 MiB. */
export const maxExports = 8;

export function exportRoute(rooms: V1Rooms): Route {
  let underWay = 0;

  async function give(call: CallOf<typeof exportKeys>): Promise<undefined> {
    const { query, headers } = call;
    const { prefix = '', cursor } = query;
    checkPrefix(prefix);
    const after = afterCursor(cursor, prefix);
    if (underWay >= maxExports) throw new BitacoraError('overloaded', `${maxExports} exports are under way`);
    underWay++;
    try {
      await tellExport(rooms, call, { prefix, cursor, after, ...readingOf(query.consistency, headers.Prefer) });
    } finally {
      underWay--;
    }
    return undefined;
  }

  return { path: exportKeys.path, methods: { GET: answering(rooms, exportKeys, give) } };
}
