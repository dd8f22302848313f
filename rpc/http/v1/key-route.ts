/** `GET`, `HEAD`, `PUT` and `DELETE` of one key. */
import { BitacoraError } from '../../../src/core/errors.ts';
import { formatPosition } from '../../../src/core/position.ts';
import type { Expectation, WriteOptions } from '../../../src/ports.ts';
import { announcedBytes, readBody } from '../body.ts';
import type { Route } from '../exchange.ts';
import { withDeadline } from '../wait.ts';
import { answering, type CallOf, type Told } from './answering.ts';
import { deadlineOf, isoOf } from './deadline.ts';
import { tagOf } from './entity-tag.ts';
import { deleteValue, getValue, putValue } from './key-operations.ts';
import { checkMatch, expectationOf, isKnown } from './preconditions.ts';
import { patience, readingOf, readKey } from './reading.ts';
import { checkedType, expiresHeader, formOf, rawHeaders, sentType, valueBody, valueHeaders } from './representation.ts';
import type { V1Rooms } from './rooms.ts';
import { valueJson } from './shapes.ts';
import { keyOf } from './target.ts';

export function keyRoute(rooms: V1Rooms): Route {
  const { keyValue, limits } = rooms;

  async function get({ request, response, query, headers, session, headersOut }: CallOf<typeof getValue>): Promise<Told> {
    const key = keyOf(request.url ?? '');
    const { consistency, waitMs } = readingOf(query.consistency, headers.Prefer);
    const answer = await readKey(rooms, session, key, consistency, patience(response, waitMs));
    const { found } = answer;
    headersOut.push('Bitacora-Source', answer.source);
    if (query.format === undefined) headersOut.push('Vary', 'Accept');
    if (found === undefined) throw new BitacoraError('not-found', 'there is nothing under this key');
    checkMatch(headers['If-Match'], found.version);
    const form = formOf(query.format, headers.Accept);
    const about = valueHeaders(found, form);
    if (isKnown(headers['If-None-Match'], found.version === undefined ? '' : tagOf(found.version, form)))
      return { status: 304, headers: about };
    if (form === 'json') return { status: 200, type: valueJson, headers: about, body: `${JSON.stringify(valueBody(key, found))}\n` };
    return { status: 200, type: sentType(found.contentType), headers: [...about, ...rawHeaders(found)], body: found.value };
  }

  async function put({ request, response, query, headers, session }: CallOf<typeof putValue>): Promise<Told> {
    const key = keyOf(request.url ?? '');
    const expires = deadlineOf(query, Date.now());
    const condition = expectationOf(headers);
    const contentType = storedType(headers['Content-Type']);
    const maxBytes = limits.maxValueBytes;
    const tooLarge = (): Error => new BitacoraError('value-too-large', `the value is over the limit of ${maxBytes} bytes`);
    if (announcedBytes(request) > maxBytes) throw tooLarge();
    const value = await readBody(request, { maxBytes, tooLarge });
    const options = { ...writing(headers['Idempotency-Key'], condition), ...(expires === undefined ? {} : { expires }), contentType };
    const { position, id } = await withDeadline(response, limits.writeTimeoutMs, (signal) =>
      keyValue.put(key, value, { ...options, signal }),
    );
    session.note(position);
    return {
      status: condition === 'absent' ? 201 : 200,
      headers: ['ETag', tagOf(position, 'raw'), ...expiresHeader(expires ?? 0), 'Cache-Control', 'no-store'],
      body: `${JSON.stringify({ key, version: formatPosition(position), expires: isoOf(expires ?? 0) ?? null, id })}\n`,
    };
  }

  async function remove({ request, response, headers, session }: CallOf<typeof deleteValue>): Promise<Told> {
    const key = keyOf(request.url ?? '');
    const options = writing(headers['Idempotency-Key'], expectationOf(headers));
    const { position } = await withDeadline(response, limits.writeTimeoutMs, (signal) => keyValue.delete(key, { ...options, signal }));
    session.note(position);
    return { status: 204, headers: ['Cache-Control', 'no-store'] };
  }

  return {
    path: getValue.path,
    pattern: /^\/v1\/kv\//,
    methods: {
      GET: answering(rooms, getValue, get),
      PUT: answering(rooms, putValue, put),
      DELETE: answering(rooms, deleteValue, remove),
    },
  };
}

function writing(idempotencyKey: string | undefined, condition: Expectation | undefined): WriteOptions {
  return { condition, idempotencyKey };
}

/** Empty: none is stored. `curl -d` calls whatever it sends a form, which says nothing of the value. Errors: `bad-request`. */
function storedType(contentType: string | undefined): string {
  if (contentType === undefined || /^application\/x-www-form-urlencoded\b/i.test(contentType)) return '';
  return checkedType(contentType);
}
