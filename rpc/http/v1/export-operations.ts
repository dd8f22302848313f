/** `/v1/export`: what it takes and what it answers. */
import { ExportLine } from './export-shapes.ts';
import { readErrors } from './key-operations.ts';
import { operation } from './operation.ts';
import { readHeadersShape, readQueryShape } from './reading.ts';
import { Type } from './schema.ts';
import { ndjson } from './shapes.ts';

export const exportKeys = operation({
  id: 'exportKeys',
  method: 'GET',
  path: '/v1/export',
  group: 'Keys',
  summary: 'Export all keys of a prefix',
  description:
    'All live keys that begin with `prefix`, in the order of their bytes, as one answer of any length: a header, one item a line, a cursor after every page, and an end with count and checksum, without which it is not whole. `cursor` goes on where another answer broke off, on whichever node. It is read only as fast as its client takes it. As a listing it is no snapshot: a key written meanwhile is there or not, one that was there all the time is there once; the position in the header is one to watch from.',
  query: Type.Object(
    {
      ...readQueryShape,
      prefix: Type.Optional(Type.String({ description: 'What the keys begin with; empty: all keys.', default: '', examples: ['cfg/'] })),
      cursor: Type.Optional(
        Type.String({ maxLength: 8_192, description: 'The last one of an export of the same prefix, or of a listing without delimiter.' }),
      ),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object(readHeadersShape),
  outcomes: { 200: { description: 'The export.', headers: ['X-Accel-Buffering'], content: { [ndjson]: ExportLine } } },
  errors: ['key-invalid', ...readErrors],
  curl: "curl -N 'localhost:8082/v1/export?prefix=cfg/'",
});
