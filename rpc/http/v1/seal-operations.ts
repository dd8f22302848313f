/** The end of a log that has moved, and its way back. */
import { operation } from './operation.ts';
import { orNull, Type } from './schema.ts';
import { json } from './shapes.ts';

export const SealedBody = Type.Object(
  {
    sealed: Type.Boolean(),
    to: orNull(Type.String(), 'Where the log went, as the one who sealed it first has said.'),
    position: Type.String({ description: 'The last record of every partition, as a session token: who has seen it has seen all.' }),
  },
  { additionalProperties: false },
);

const noHeaders = { headers: Type.Object({}) };
const longestTo = 1_000;

export const sealLog = operation({
  id: 'sealLog',
  method: 'POST',
  path: '/v1/seal',
  group: 'Node',
  summary: 'Closes the log to all writes',
  description:
    'For a log that moves. From the answer on no write is acknowledged by any node of this log, also not by one that was away: the log itself refuses, with `log-sealed`. Reads go on. It holds over restarts, until it is taken back. Repeated, it tells the last records anew, and what was said first. On Kafka it alters a setting of the topic (`max.message.bytes`), which this node must be allowed to. No body.',
  query: Type.Object(
    {
      to: Type.Optional(
        Type.String({
          maxLength: longestTo,
          description: 'Where callers should go: told with every refusal.',
          examples: ['new-node:8082'],
        }),
      ),
    },
    { additionalProperties: false },
  ),
  ...noHeaders,
  outcomes: { 200: { description: 'It is sealed.', content: { [json]: SealedBody } } },
  errors: ['log-unavailable', 'unknown-outcome', 'overloaded', 'draining'],
  curl: "curl -X POST 'localhost:8082/v1/seal?to=new-node:8082'",
});

export const unsealLog = operation({
  id: 'unsealLog',
  method: 'DELETE',
  path: '/v1/seal',
  group: 'Node',
  summary: 'Opens a sealed log again',
  description:
    'Writes are taken again: here at once, by other nodes within seconds. What was written to another log meanwhile is not in this one.',
  query: Type.Object({}, { additionalProperties: false }),
  ...noHeaders,
  outcomes: { 204: { description: 'It is open.' } },
  errors: ['log-unavailable', 'position-not-reached', 'unknown-outcome', 'overloaded', 'draining'],
  curl: 'curl -X DELETE localhost:8082/v1/seal',
});
