/** `/v1/history/{key}` and `/v1/revert/{key}`: what they take and what they answer. */

import { HistoryBody } from './history-shapes.ts';
import { conditionHeadersShape, group, inPath, lifetimeShape, readErrors, writeErrors } from './key-operations.ts';
import { operation } from './operation.ts';
import { readHeadersShape, readQueryShape } from './reading.ts';
import { Type } from './schema.ts';
import { json, MomentText, Version, WrittenBody } from './shapes.ts';

export const getHistory = operation({
  id: 'getHistory',
  method: 'GET',
  path: '/v1/history/{key}',
  group,
  inPath,
  summary: 'Read the versions of a key',
  description:
    'Puts and deletes that had their effect, the newest first, read from the log. The log removes what was overwritten after a while: from `complete_since` on the answer has everything that was ever written, before it only what happens to be left. A page ends at `limit`, when its values are over 8 MiB, or after five seconds of reading (`Prefer` says otherwise); `cursor` goes on from there. A key without any version has an empty list.',
  query: Type.Object(
    {
      ...readQueryShape,
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100, description: 'Versions on the page.' })),
      before: Type.Optional(
        Type.String({ ...Version, description: 'Only versions before this place: the `cursor` of the page before.', examples: ['0:17'] }),
      ),
      since: Type.Optional(
        Type.String({
          ...MomentText,
          description: `Only versions from this moment on, and all of them or \`history-compacted\`. ${MomentText.description}`,
        }),
      ),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object(readHeadersShape),
  outcomes: { 200: { description: 'A page of versions.', headers: ['Bitacora-Position'], content: { [json]: HistoryBody } } },
  errors: ['key-invalid', 'history-compacted', ...readErrors],
  curl: "curl 'localhost:8082/v1/history/cfg/a?since=24h'",
});

export const revertKey = operation({
  id: 'revertKey',
  method: 'POST',
  path: '/v1/revert/{key}',
  group,
  inPath,
  summary: 'Make a key what it was',
  description:
    'Writes the value of that moment once more, with its content type and without its deadline, or deletes the key if there was nothing. Without a condition of its own it has no effect if the key changes meanwhile. No body. From a page in a browser (`Origin`) it must carry `If-Match`, `If-None-Match`, `Bitacora-Min-Position` or `Prefer`, which pages of other sites cannot send unasked.',
  query: Type.Object({ at: MomentText, ...lifetimeShape, ...readQueryShape }, { additionalProperties: false }),
  headers: Type.Object({ ...readHeadersShape, ...conditionHeadersShape }),
  outcomes: {
    200: {
      description: 'The value is what it was.',
      headers: ['ETag', 'Bitacora-Position', 'Bitacora-Expires'],
      content: { [json]: WrittenBody },
    },
    201: {
      description: 'The same, under a key that was absent: with `If-None-Match: *`.',
      headers: ['ETag', 'Bitacora-Position', 'Bitacora-Expires'],
      content: { [json]: WrittenBody },
    },
    204: { description: 'There was nothing then: deleted.', headers: ['Bitacora-Position'] },
  },
  errors: ['value-too-large', 'history-compacted', 'in-doubt', ...writeErrors],
  curl: "curl -X POST 'localhost:8082/v1/revert/cfg/a?at=10m'",
});
