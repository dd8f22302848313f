/** `/v1/kv`: what it takes and what it answers. */
import { readErrors } from './key-operations.ts';
import { operation } from './operation.ts';
import { readHeadersShape, readQueryShape, writeHeadersShape } from './reading.ts';
import { oneOf, Type } from './schema.ts';
import { CountBody, DeletedBody, json, ListBody, ListedItem, ndjson } from './shapes.ts';

const path = '/v1/kv';
const group = 'Keys';
const flag = (description: string) => oneOf(['1', '0', 'true', 'false'], { description, default: '0' });

/** How many keys `count=1` counts at most. */
export const maxCount = 100_000;

export const listKeys = operation({
  id: 'listKeys',
  method: 'GET',
  path,
  group,
  summary: 'List or count keys',
  description:
    'Live keys that begin with `prefix`, in the order of their bytes: what this node has. A page ends at `limit`, or when its values are over 8 MiB; `cursor` goes on from there. A key written meanwhile is listed or not, one that was there all the time is listed once.',
  query: Type.Object(
    {
      ...readQueryShape,
      prefix: Type.Optional(Type.String({ description: 'What the keys begin with; empty: all keys.', default: '', examples: ['cfg/'] })),
      delimiter: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 64,
          description: 'Keys with this text behind the prefix are not listed; what stands up to it is, once, in `prefixes`.',
          examples: ['/'],
        }),
      ),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100, description: 'Items and prefixes together.' })),
      cursor: Type.Optional(Type.String({ maxLength: 8_192, description: 'Of the page before; nothing to look into.' })),
      keys_only: Type.Optional(flag('Without the values.')),
      count: Type.Optional(flag(`\`{count, more}\` in the place of a page, of up to ${maxCount} keys. Not with delimiter or cursor.`)),
      format: Type.Optional(
        oneOf(['json', 'ndjson'], {
          description: '`ndjson`: one item a line, then one line `{prefix}` for each prefix, then `{cursor, position}`.',
          default: 'json',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object(readHeadersShape),
  outcomes: {
    200: {
      description: 'A page, or the count.',
      headers: ['Bitacora-Position'],
      content: { [json]: Type.Union([ListBody, CountBody]), [ndjson]: ListedItem },
    },
  },
  errors: ['key-invalid', ...readErrors],
  curl: "curl 'localhost:8082/v1/kv?prefix=cfg/&delimiter=/&keys_only=1'",
});

export const deletePrefix = operation({
  id: 'deletePrefix',
  method: 'DELETE',
  path,
  group,
  summary: 'Delete all keys under a prefix',
  description:
    'Page by page, up to 10,000 keys or half a minute a request: `more` says that it is to be sent again. The keys are looked for by the end of the log. Not atomic: when the log stops taking writes, the problem says how many were deleted until then. Keys written meanwhile may be deleted too.',
  query: Type.Object(
    {
      prefix: Type.String({ minLength: 1, description: 'What the keys begin with; never empty.', examples: ['tmp/'] }),
      confirm: Type.Optional(Type.String({ description: 'The prefix once more: nobody deletes by a slip.', examples: ['tmp/'] })),
      dry_run: Type.Optional(flag('Deletes nothing and counts: `{count, more}`.')),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object(writeHeadersShape),
  outcomes: {
    200: {
      description: 'What was deleted, or would be.',
      headers: ['Bitacora-Position'],
      content: { [json]: Type.Union([DeletedBody, CountBody]) },
    },
  },
  errors: ['key-invalid', ...readErrors, 'unknown-outcome'],
  curl: "curl -X DELETE 'localhost:8082/v1/kv?prefix=tmp/&confirm=tmp/'",
});
