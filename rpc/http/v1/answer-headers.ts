/** The headers of answers, by name: what they mean and how they look. */
import { type TSchema, Type } from './schema.ts';

const text = (description: string, example: string): TSchema => Type.String({ description, examples: [example] });

export const answerHeaders = {
  ETag: text(
    'The version of the value and its log, `"partition:offset@log"`; of its JSON form with `.json` at the end.',
    '"0:17@8f14e45f"',
  ),
  'Last-Modified': text('When the log took the value, to the second.', 'Sat, 21 Nov 2026 15:00:00 GMT'),
  'Bitacora-Position': text(
    'What the caller has now seen: the positions it sent in `Bitacora-Min-Position`, moved on by what this answer reflects. Sent back with the next request, to whichever node, it makes a session.',
    '0:1204,3:77@8f14e45f',
  ),
  'Bitacora-Node': text('The node that answered.', 'node-1:8082'),
  'Bitacora-Source': Type.String({
    description: 'Where the value came from. `stale`: from the state of before, while the node makes another.',
    enum: ['local', 'peer', 'stale'],
  }),
  'Bitacora-Lag-Ms': Type.Integer({
    minimum: 0,
    description: 'How long the node has not known itself at the end of the log; 0: it is there.',
  }),
  'Bitacora-Expires': text('The deadline from which the value reads as absent; not there: for ever.', '2026-11-21T15:00:30.000Z'),
  Vary: text('The form of the value depends on `Accept`.', 'Accept'),
  'Cache-Control': text(
    '`no-cache`: may be kept, and is asked for again each time with its ETag. `no-store`: may not be kept.',
    'no-cache',
  ),
  'X-Accel-Buffering': text('For nginx: each event is passed on as it comes.', 'no'),
  'Retry-After': Type.Integer({ minimum: 0, description: 'Seconds after which to try again.' }),
  Allow: text('The methods that the path knows.', 'GET, HEAD, PUT, DELETE'),
} as const satisfies Record<string, TSchema>;

export type HeaderName = keyof typeof answerHeaders;

/** On every answer of `/v1`. */
export const alwaysHeaders = ['Bitacora-Node', 'Bitacora-Lag-Ms', 'Cache-Control'] as const satisfies readonly HeaderName[];
