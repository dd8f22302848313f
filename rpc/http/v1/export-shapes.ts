/** The lines of an export in JSON Schema. */
import { exportFormat } from '../../../wire/export-format.ts';
import { orNull, Type } from './schema.ts';
import { Time, TokenText, ValueBody } from './shapes.ts';

const count = Type.Integer({ minimum: 0, description: 'Items since the header.' });
const checksum = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the lines of these items, newlines included, in hexadecimal.',
});

const ExportHeader = Type.Object(
  {
    bitacora: Type.Literal('export'),
    format: Type.Literal(exportFormat),
    prefix: Type.String(),
    cursor: orNull(Type.String(), 'Where this goes on; null: at the beginning.'),
    position: Type.String({ ...TokenText, description: 'Everything up to here is in what follows; newer writes may be.' }),
    created: Time,
  },
  { description: 'The first line.', additionalProperties: false },
);
const ExportCursor = Type.Object(
  {
    cursor: Type.String(),
    items: count,
    checksum,
    code: Type.Optional(Type.String({ description: 'The node has ended the answer here, for this reason: go on from the cursor.' })),
  },
  { description: 'After every page: what was told so far is good, and another request can go on from here.', additionalProperties: false },
);
const ExportEnd = Type.Object(
  {
    end: Type.Literal(true),
    items: count,
    checksum,
    position: Type.String({ ...TokenText, description: 'Nothing in this answer is newer.' }),
  },
  { description: 'The last line: without it the export is not whole.', additionalProperties: false },
);

export const ExportLine = Type.Union([ValueBody, ExportHeader, ExportCursor, ExportEnd]);
