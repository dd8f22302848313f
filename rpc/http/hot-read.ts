/**
 * `GET /rpc?key=` for what memory holds, answered before Express sees it: routing there costs several times what the answer does.
 *
 * Everything unusual (another parameter, a blank or invalid key, a key that memory does not hold) is left to the route, which gives the
 * same answer for what both can answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FoundValue, KeyValue, ReadAnswer } from '../../src/ports.ts';
import { decodeComponent } from './query.ts';
import { boundTaking } from './respond.ts';
import { foundBody, json, notFoundBody, seen } from './rpc-json.ts';

const prefix = '/rpc?key=';

export interface HotReadOptions {
  readonly keyValue: KeyValue;
  readonly freshness: () => readonly string[];
  readonly takeTimeoutMs: number;
}

interface Body {
  readonly text: string;
  readonly length: string;
}

/** True when the request has been answered. */
export type HotRead = (request: IncomingMessage, response: ServerResponse) => boolean;

export function createHotRead(options: HotReadOptions): HotRead {
  const { keyValue, freshness, takeTimeoutMs } = options;
  // A value that is read again and again comes as the same object until it changes: its body is made once.
  const bodies = new WeakMap<FoundValue, Body>();
  return (request, response) => {
    const key = request.method === 'GET' ? plainKey(request.url ?? '') : undefined;
    const answer = key === undefined ? undefined : peek(keyValue, key);
    if (key === undefined || answer === undefined) return false;
    const found = answer.found;
    const body = (found && bodies.get(found)) ?? makeBody(key, answer);
    if (found !== undefined) bodies.set(found, body);
    response.writeHead(found === undefined ? 404 : 200, [
      'Content-Type',
      json,
      'Content-Length',
      body.length,
      ...seen(answer),
      ...freshness(),
    ]);
    response.end(body.text);
    boundTaking(response, takeTimeoutMs);
    return true;
  };
}

function makeBody(key: string, { found, source }: ReadAnswer): Body {
  const text = found === undefined ? notFoundBody(key) : foundBody(key, found, source);
  return { text, length: String(Buffer.byteLength(text)) };
}

/** The key of a request that has nothing but a key. */
function plainKey(url: string): string | undefined {
  if (!url.startsWith(prefix) || url.indexOf('&', prefix.length) >= 0) return undefined;
  try {
    const key = decodeComponent(url.slice(prefix.length));
    return key.trim() === '' ? undefined : key;
  } catch {
    // The route says what is wrong with it.
    return undefined;
  }
}

function peek(keyValue: KeyValue, key: string): ReadAnswer | undefined {
  try {
    return keyValue.peek(key);
  } catch {
    // The route asks again and tells the reason.
    return undefined;
  }
}
