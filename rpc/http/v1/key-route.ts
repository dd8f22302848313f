/** `GET`, `HEAD`, `PUT` and `DELETE` of one key. */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Expectation, WriteOptions } from '../../../src/ports.ts';
import { announcedBytes } from '../body.ts';
import type { Route } from '../exchange.ts';
import { withDeadline } from '../wait.ts';
import { answering, type CallOf, type Told } from './answering.ts';
import { deadlineOf } from './deadline.ts';
import { deleteValue, getValue, putValue } from './key-operations.ts';
import { momentOf } from './moment.ts';
import { checkMatch, expectationOf, isKnown } from './preconditions.ts';
import { patience, readingOf, readKey, readKeyAt } from './reading.ts';
import { checkedType, formOf, rawHeaders, sentType, valueBody, valueHeaders } from './representation.ts';
import type { V1Rooms } from './rooms.ts';
import { valueJson } from './shapes.ts';
import { keyOf } from './target.ts';
import { removedAnswer, writtenAnswer } from './written.ts';

export function keyRoute(rooms: V1Rooms): Route {
  const { keyValue, limits } = rooms;

  async function get({ request, response, query, headers, session, headersOut }: CallOf<typeof getValue>): Promise<Told> {
    const key = keyOf(request.url ?? '', getValue.path);
    const at = query.at === undefined ? undefined : momentOf(query.at, 'at', Date.now());
    const { consistency, waitMs } = readingOf(query.consistency, headers.Prefer);
    const patiently = patience(response, waitMs);
    const answer = await (at === undefined
      ? readKey(rooms, session, key, consistency, patiently)
      : readKeyAt(rooms, session, key, at, consistency, patiently));
    const { found } = answer;
    headersOut.push('Bitacora-Source', answer.source);
    if (query.format === undefined) headersOut.push('Vary', 'Accept');
    if (found === undefined) throw new BitacoraError('not-found', `there ${at === undefined ? 'is' : 'was'} nothing under this key`);
    const { log } = session;
    checkMatch(headers['If-Match'], found.version, log);
    const form = formOf(query.format, headers.Accept);
    const about = valueHeaders(found, form, log);
    if (isKnown(headers['If-None-Match'], found.version, form, log)) return { status: 304, headers: about };
    if (form === 'json') return { status: 200, type: valueJson, headers: about, body: `${JSON.stringify(valueBody(key, found))}\n` };
    return { status: 200, type: sentType(found.contentType), headers: [...about, ...rawHeaders(found)], body: found.value };
  }

  async function put({ request, response, query, headers, session }: CallOf<typeof putValue>): Promise<Told> {
    const key = keyOf(request.url ?? '', putValue.path);
    const expires = deadlineOf(query, Date.now());
    const condition = expectationOf(headers, session.log);
    const contentType = storedType(headers['Content-Type']);
    const maxBytes = limits.maxValueBytes;
    const tooLarge = (): Error => new BitacoraError('value-too-large', `the value is over the limit of ${maxBytes} bytes`);
    if (announcedBytes(request) > maxBytes) throw tooLarge();
    const value = await rooms.bodies.read(request, response, { maxBytes, tooLarge });
    const options = { ...writing(headers['Idempotency-Key'], condition), ...(expires === undefined ? {} : { expires }), contentType };
    const written = await withDeadline(response, limits.writeTimeoutMs, (signal) => keyValue.put(key, value, { ...options, signal }));
    session.note(written.position);
    return writtenAnswer(key, written, expires, condition, session.log);
  }

  async function remove({ request, response, headers, session }: CallOf<typeof deleteValue>): Promise<Told> {
    const key = keyOf(request.url ?? '', deleteValue.path);
    const options = writing(headers['Idempotency-Key'], expectationOf(headers, session.log));
    const { position } = await withDeadline(response, limits.writeTimeoutMs, (signal) => keyValue.delete(key, { ...options, signal }));
    session.note(position);
    return removedAnswer;
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
