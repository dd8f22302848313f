/** `/v1/watch`: what it takes and what it answers. */
import { operation } from './operation.ts';
import { oneOf, Type } from './schema.ts';
import { json, ndjson, TokenText } from './shapes.ts';
import { WatchBody, WatchLine } from './watch-shapes.ts';

export const eventStream = 'text/event-stream';

const from =
  'a `Bitacora-Position`, the `position` of an answer, or an event’s id, of whichever node. Partitions that it does not name have not been seen at all. `reset`, or a token of another log: the state is told.';

export const watchKeys = operation({
  id: 'watchKeys',
  method: 'GET',
  path: '/v1/watch',
  group: 'Keys',
  summary: 'Watch a key or a prefix',
  description:
    'Every change from now on, or from a position, in the order of the log within a partition, without gap or duplicate. Server-sent events unless `Accept` names `application/x-ndjson`, or `wait` asks for a long poll. `put`, `delete`; `sync` when what was missed has been told; `reset` when it cannot be: then the state follows as puts, up to `sync`, and keys that it does not name are gone. An event’s id stands for all that has been told: with it any node goes on where this one ended.',
  query: Type.Object(
    {
      key: Type.Optional(Type.String({ minLength: 1, description: 'The one key to watch. This or `prefix`.', examples: ['cfg/a'] })),
      prefix: Type.Optional(Type.String({ description: 'What the keys begin with; empty: all keys.', examples: ['cfg/'] })),
      from: Type.Optional(Type.String({ ...TokenText, description: `Only what came after this: ${from}` })),
      initial: Type.Optional(
        oneOf(['1', '0', 'true', 'false'], {
          description: 'Without a position to go on from: the state first, then `sync`.',
          default: '0',
        }),
      ),
      wait: Type.Optional(
        Type.String({
          description:
            'A long poll: answers when there is a change, or with an empty list after this time (`ms`, `s`, `m`; at most a minute). A state of more than 8 MiB is not told: a `reset` alone says that the keys are to be listed.',
          examples: ['30s'],
        }),
      ),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object({
    'Last-Event-ID': Type.Optional(
      Type.String({ ...TokenText, description: 'The id of the last event, as browsers send it by themselves. Goes before `from`.' }),
    ),
    Accept: Type.Optional(Type.String({ description: 'Which kind of stream.', examples: [ndjson] })),
  }),
  outcomes: {
    200: {
      description: 'The stream, which ends when the node goes away; or what the long poll came to.',
      headers: ['X-Accel-Buffering'],
      content: {
        [eventStream]: Type.String({ description: '`event`, `id` and `data` (JSON); a comment every 15 seconds.' }),
        [ndjson]: WatchLine,
        [json]: WatchBody,
      },
    },
  },
  errors: ['key-invalid', 'position-not-reached', 'in-doubt', 'store-failed', 'overloaded', 'draining'],
  curl: "curl -N 'localhost:8082/v1/watch?prefix=cfg/&initial=1'",
});
