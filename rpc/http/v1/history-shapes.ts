/** The JSON of a key's versions. */
import { oneOf, orNull, Type } from './schema.ts';
import { CompleteSince, known, Time, Version, valueOr64 } from './shapes.ts';

export const HistoryItem = Type.Object(
  {
    version: Version,
    op: oneOf(['put', 'delete'], { description: 'What was done. A delete has no value.' }),
    time: orNull(Time, 'When the log took it.'),
    ...valueOr64,
    content_type: known.content_type,
    expires: known.expires,
    size: Type.Integer({ minimum: 0, description: 'Bytes of the value; of a delete 0.' }),
    id: known.id,
    by: Type.String({ description: 'The node that wrote it; empty when another producer did.' }),
  },
  { additionalProperties: false },
);
export const HistoryBody = Type.Object(
  {
    key: Type.String(),
    versions: Type.Array(HistoryItem, { description: 'The newest first.' }),
    complete_since: CompleteSince,
    cursor: orNull(Version, 'What to send as `before` for older versions; null: there are none, or none that were asked for.'),
  },
  { additionalProperties: false },
);
