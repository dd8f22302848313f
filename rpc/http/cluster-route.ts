/**
 * `GET /rpc/cluster`, what the other nodes ask: this node's own state, never forwarded.
 *
 * `Bitacora-Applied` (`partition:offset`, everything before it is applied) is told whether or not the key is there: the asking node lets the furthest position win, absence included. A node that
 * does not know its log yet has no such answer to give, and a 404 from it would be a lie.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatPosition } from '../../src/core/position.ts';
import type { Rooms, Route } from './exchange.ts';
import { queryOf } from './query.ts';
import { blankKeyBody, foundBody, json, messageBody, nodeBody, nodeJson, notFoundBody } from './rpc-json.ts';

export function clusterRoute(rooms: Rooms): Route {
  const { keyValue, respond, freshness } = rooms;

  async function get(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = queryOf(request.url ?? '').get('key');
    if (key === undefined || key.trim() === '') {
      respond(response, { status: 400, type: json, body: blankKeyBody });
      return;
    }
    const { state, genesis } = keyValue.status;
    if (state === 'starting' || state === 'stopped') {
      const body = messageBody(`The node is ${state} and cannot tell what it knows`);
      respond(response, { status: 503, type: json, headers: ['Retry-After', '1'], body });
      return;
    }
    const { found, applied, source } = await keyValue.readLocal(key);
    const headers = ['Bitacora-Applied', formatPosition(applied), ...freshness()];
    if (genesis !== undefined) headers.push('Bitacora-Genesis', genesis);
    if (found === undefined) {
      respond(response, { status: 404, type: json, headers, body: notFoundBody(key) });
      return;
    }
    const node = request.headers.accept?.includes(nodeJson) ?? false;
    const body = node ? nodeBody(key, found, source) : foundBody(key, found, source);
    respond(response, { status: 200, type: node ? nodeJson : json, headers, body });
  }

  return { path: '/rpc/cluster', methods: { GET: get } };
}
