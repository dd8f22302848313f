/** `/rpc`, the original's key-value calls: see the table in `docs/` and `rpc-json.ts` for the bodies. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bytesOf } from '../../src/core/bytes.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { formatPosition } from '../../src/core/position.ts';
import type { Written } from '../../src/ports.ts';
import type { Rooms, Route } from './exchange.ts';
import { readForm } from './form-body.ts';
import { type Parameters, queryOf } from './query.ts';
import { blankKeyBody, foundBody, json, notFoundBody, seen } from './rpc-json.ts';
import { goneSignal, withDeadline } from './wait.ts';

export function rpcRoute(rooms: Rooms): Route {
  const { keyValue, limits, respond, freshness } = rooms;

  async function get(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = queryOf(request.url ?? '').get('key');
    if (key === undefined || key.trim() === '') {
      respond(response, { status: 400, type: json, body: blankKeyBody });
      return;
    }
    const answer = keyValue.peek(key) ?? (await keyValue.read(key, { signal: goneSignal(response) }));
    const headers = [...seen(answer), ...freshness()];
    const body = answer.found === undefined ? notFoundBody(key) : foundBody(key, answer.found, answer.source);
    respond(response, { status: answer.found === undefined ? 404 : 200, type: json, headers, body });
  }

  async function post(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The body is taken first, so that the connection can go on whatever is wrong with the query.
    const form = await readForm(rooms.bodies, request, response, limits.maxValueBytes);
    const query = queryOf(request.url ?? '');
    const key = requiredKey(query, form);
    const value = query.get('value') ?? form.get('value');
    if (value === undefined) throw new BitacoraError('value-missing', 'a write needs a parameter "value", in the query or in a form body');
    const bytes = bytesOf(value);
    const written = await withDeadline(response, limits.writeTimeoutMs, (signal) => keyValue.put(key, bytes, { signal }));
    done(response, written);
  }

  async function remove(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = requiredKey(queryOf(request.url ?? ''));
    const written = await withDeadline(response, limits.writeTimeoutMs, (signal) => keyValue.delete(key, { signal }));
    done(response, written);
  }

  function done(response: ServerResponse, written: Written): void {
    const headers = ['Bitacora-Position', formatPosition(written.position), ...freshness()];
    respond(response, { status: 200, type: json, headers, body: '' });
  }

  return { path: '/rpc', methods: { GET: get, POST: post, DELETE: remove } };
}

/** The first of the sources that has it. What a key may be, the key-value service decides. */
function requiredKey(...sources: readonly Parameters[]): string {
  for (const source of sources) {
    const key = source.get('key');
    if (key !== undefined) return key;
  }
  throw new BitacoraError('key-invalid', 'the parameter "key" is missing');
}
