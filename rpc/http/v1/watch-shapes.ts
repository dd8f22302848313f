/** The JSON of watches. */
import { oneOf, Type } from './schema.ts';
import { Time, TokenText, ValueBody, Version } from './shapes.ts';

const event = <const W extends readonly string[]>(words: W, description: string) => oneOf(words, { description });
const position = {
  position: Type.Optional(
    Type.String({
      ...TokenText,
      description:
        'All until here has been told: where the watch can be resumed. Not there: not here. `reset`: with the state from the start.',
    }),
  ),
};
const closed = { additionalProperties: false };

/** A line of NDJSON; of a long poll, without `position`. The data of server-sent events are these without `event` and `position`. */
export const WatchLine = Type.Union(
  [
    Type.Object({ event: event(['put'], 'The key has this value.'), ...position, ...ValueBody.properties }, closed),
    Type.Object(
      {
        event: event(['delete'], 'The key is gone.'),
        ...position,
        key: Type.String(),
        version: Version,
        updated: Type.Union([Time, Type.Null()]),
      },
      closed,
    ),
    Type.Object(
      {
        event: event(
          ['reset', 'sync', 'heartbeat'],
          '`reset`: changes were missed; the state follows as puts, and keys that they do not name are gone. `sync`: the state, or what was missed, has been told. `heartbeat`: nothing happened.',
        ),
        ...position,
      },
      closed,
    ),
  ],
  { description: 'What a watcher is told.' },
);

export const WatchBody = Type.Object(
  {
    events: Type.Array(WatchLine, { description: 'Changes in the order of the log within a partition; empty: there were none.' }),
    position: Type.String({ ...TokenText, description: 'What to send as `from` next; `reset`: the state could not be told here.' }),
  },
  closed,
);
