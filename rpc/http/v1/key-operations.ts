/** `/v1/kv/{key}`: what it takes and what it answers. */
import { operation } from './operation.ts';
import { readHeadersShape, readQueryShape, writeHeadersShape } from './reading.ts';
import { oneOf, Type } from './schema.ts';
import { anyBytes, Bytes, json, MomentText, ValueBody, valueJson, WrittenBody } from './shapes.ts';

const path = '/v1/kv/{key}';
export const group = 'Keys';
export const inPath = {
  name: 'key',
  schema: Type.String({
    minLength: 1,
    description:
      'The whole rest of the path, percent-decoded once: slashes belong to the key, `+` is itself, and nothing is normalised (clients may do so: send `..` and `//` escaped). 1 to 1,024 bytes of UTF-8, not blank, not beginning with NUL.',
    examples: ['cfg/a'],
  }),
};

/** Headers of a write that expects something. */
export const conditionHeadersShape = {
  'If-Match': Type.Optional(
    Type.String({
      description: '`"0:17"`: only if this is the version; `*`: only if the key is there. One strong tag.',
      examples: ['"0:17"'],
    }),
  ),
  'If-None-Match': Type.Optional(Type.String({ description: '`*`: only if the key is absent.', examples: ['*'] })),
};
const idempotencyKey = {
  'Idempotency-Key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: '^[\\x20-\\x7e]+$',
      description: 'A repeated write of this key with the same text gets the answer of the first, on whichever node.',
      examples: ['5f0c3b1e'],
    }),
  ),
};
/** Parameters of what leaves a value: how long it is to live. */
export const lifetimeShape = {
  ttl: Type.Optional(
    Type.String({
      description: 'How long it is to live: a whole number with `ms`, `s`, `m`, `h` or `d`; of seconds without.',
      examples: ['30s'],
    }),
  ),
  expires: Type.Optional(
    Type.String({ description: 'Until when: milliseconds since 1970, or ISO 8601 with its zone.', examples: ['2030-01-01T00:00:00Z'] }),
  ),
};
/** Of every write. */
export const writeErrors = [
  'key-invalid',
  'position-foreign',
  'version-conflict',
  'conditions-unsupported',
  'store-failed',
  'log-unavailable',
  'log-sealed',
  'overloaded',
  'draining',
  'unknown-outcome',
  'position-not-reached',
] as const;
/** Of every operation that reads. */
export const readErrors = [
  'position-foreign',
  'position-not-reached',
  'in-doubt',
  'store-failed',
  'log-unavailable',
  'log-sealed',
  'overloaded',
  'draining',
] as const;

export const getValue = operation({
  id: 'getValue',
  method: 'GET',
  path,
  group,
  inPath,
  summary: 'Read a value',
  description:
    'The bytes as they were written, with their content type (`application/octet-stream` when none was given), or JSON: by `?format=json`, or by `Accept`. A value that is not UTF-8 is told in `value_b64` there. With `at` the value of that moment, read from the log within five seconds, or as long as `Prefer` says.',
  query: Type.Object(
    {
      ...readQueryShape,
      format: Type.Optional(oneOf(['raw', 'json'], { description: 'The form; goes before `Accept`.' })),
      at: Type.Optional(
        Type.String({ ...MomentText, description: `What stood there then, in the place of what is there now. ${MomentText.description}` }),
      ),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object({
    ...readHeadersShape,
    Accept: Type.Optional(Type.String({ description: `\`${valueJson}\`: the JSON form.` })),
    'If-None-Match': Type.Optional(
      Type.String({ description: 'ETags that the caller has: 304 when one is still right.', examples: ['"0:17"'] }),
    ),
    'If-Match': Type.Optional(Type.String({ description: 'Only this version, or 412.', examples: ['"0:17"'] })),
  }),
  outcomes: {
    200: {
      description: 'The value.',
      headers: ['ETag', 'Last-Modified', 'Bitacora-Position', 'Bitacora-Source', 'Bitacora-Expires', 'Vary'],
      content: { [anyBytes]: Bytes, [valueJson]: ValueBody },
    },
    304: {
      description: 'The caller has it already.',
      headers: ['ETag', 'Last-Modified', 'Bitacora-Position', 'Bitacora-Source', 'Bitacora-Expires', 'Vary'],
    },
  },
  errors: ['key-invalid', 'not-found', 'version-conflict', 'history-compacted', ...readErrors],
  curl: "curl -i 'localhost:8082/v1/kv/cfg/a?consistency=latest'",
});

export const putValue = operation({
  id: 'putValue',
  method: 'PUT',
  path,
  group,
  inPath,
  summary: 'Write a value',
  description:
    'The body is the value, byte for byte; an empty body is an empty value. Its content type is kept, but for `application/x-www-form-urlencoded`, which `curl -d` says of anything. Done when the log has it, and as a rule when this node serves it.',
  query: Type.Object(lifetimeShape, { additionalProperties: false }),
  headers: Type.Object({
    ...writeHeadersShape,
    ...conditionHeadersShape,
    ...idempotencyKey,
    'Content-Type': Type.Optional(Type.String({ maxLength: 255, description: 'Stored with the value.', examples: ['application/json'] })),
  }),
  body: { description: 'The value.', required: false, content: { [anyBytes]: Bytes } },
  outcomes: {
    200: {
      description: 'Written. Whether there was something before, a node cannot say.',
      headers: ['ETag', 'Bitacora-Position', 'Bitacora-Expires'],
      content: { [json]: WrittenBody },
    },
    201: {
      description: 'Written under a key that was absent: with `If-None-Match: *`.',
      headers: ['ETag', 'Bitacora-Position', 'Bitacora-Expires'],
      content: { [json]: WrittenBody },
    },
  },
  errors: ['value-too-large', ...writeErrors],
  curl: "curl -X PUT 'localhost:8082/v1/kv/cfg/a?ttl=10m' -d 'on'",
});

export const deleteValue = operation({
  id: 'deleteValue',
  method: 'DELETE',
  path,
  group,
  inPath,
  summary: 'Delete a key',
  description: 'Done when the log has it. Deleting what is not there is a write too.',
  query: Type.Object({}, { additionalProperties: false }),
  headers: Type.Object({ ...writeHeadersShape, ...conditionHeadersShape, ...idempotencyKey }),
  outcomes: { 204: { description: 'Deleted.', headers: ['Bitacora-Position'] } },
  errors: writeErrors,
  curl: "curl -X DELETE 'localhost:8082/v1/kv/cfg/a'",
});
