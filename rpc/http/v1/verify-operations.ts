/** Whether all nodes hold the same, and the way back for one that does not. */
import { operation } from './operation.ts';
import { oneOf, orNull, Type } from './schema.ts';
import { json, Version } from './shapes.ts';

const Run = Type.String({ pattern: '^[0-9a-f-]{36}$', description: 'Names a verification.' });
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 over the values of the partition.' });

export const DigestsBody = Type.Object(
  {
    run: Run,
    node: Type.String(),
    digests: Type.Array(
      Type.Object(
        {
          position: Version,
          entries: orNull(Type.Integer({ minimum: 0 }), 'Values counted; null: this node is in doubt, or cannot read them.'),
          hash: orNull(Hash, 'Null: as `entries`.'),
        },
        { additionalProperties: false },
      ),
      { description: 'By partition, as far as this node has come.' },
    ),
  },
  { additionalProperties: false },
);

export const VerifiedBody = Type.Object(
  {
    run: Run,
    agree: Type.Boolean({ description: 'All nodes answered, and hold the same.' }),
    partitions: Type.Array(
      Type.Object(
        {
          position: Version,
          entries: orNull(Type.Integer({ minimum: 0 }), 'Null: no node knows, or as many say one thing as another.'),
          hash: orNull(Hash, 'What most of the nodes hold; null: as `entries`.'),
        },
        { additionalProperties: false },
      ),
    ),
    nodes: Type.Array(
      Type.Object(
        {
          address: Type.String(),
          result: oneOf(['agrees', 'differs', 'unsure', 'silent'], {
            description: '`differs`: it holds something else than most. `unsure`: it is in doubt itself. `silent`: no answer in time.',
          }),
          partitions: Type.Array(Type.Integer({ minimum: 0 }), { description: 'Those of the result, unless it agrees.' }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

const noHeaders = { headers: Type.Object({}) };

export const verifyNodes = operation({
  id: 'verifyNodes',
  method: 'POST',
  path: '/v1/verify',
  group: 'Node',
  summary: 'Whether all nodes hold the same',
  description:
    'Writes a mark into every partition of the log. Each node takes a hash of its values there, at the same place of the log, while it goes on serving; this node collects and compares them. Who holds something else than most is named; where there are as many one way as another, all of them are.',
  query: Type.Object(
    {
      wait: Type.Optional(
        Type.String({ description: 'How long the slowest node may take, up to 10m.', default: '60s', examples: ['60s'] }),
      ),
    },
    { additionalProperties: false },
  ),
  ...noHeaders,
  outcomes: { 200: { description: 'What was found.', content: { [json]: VerifiedBody } } },
  errors: ['log-unavailable', 'log-sealed', 'position-not-reached', 'unknown-outcome', 'overloaded', 'draining'],
  curl: 'curl -X POST localhost:8082/v1/verify',
});

export const getDigests = operation({
  id: 'getDigests',
  method: 'GET',
  path: '/v1/verify/{run}',
  group: 'Node',
  summary: 'What this node came to in a verification',
  description: 'For the node that compares. Of a run that this node does not know, or not any more, there are none.',
  inPath: { name: 'run', schema: Run },
  query: Type.Object({}, { additionalProperties: false }),
  ...noHeaders,
  outcomes: { 200: { description: 'Its hashes.', content: { [json]: DigestsBody } } },
  errors: [],
  curl: 'curl localhost:8082/v1/verify/00000000-0000-4000-8000-000000000000',
});

export const resyncNode = operation({
  id: 'resyncNode',
  method: 'POST',
  path: '/v1/node/resync',
  group: 'Node',
  summary: 'Makes the local state anew from the log',
  description: 'The old state is set aside and the log read from its beginning. This node is not ready until it has caught up again.',
  query: Type.Object({}, { additionalProperties: false }),
  ...noHeaders,
  outcomes: { 202: { description: 'It has begun; `/readyz` and `/v1/node` tell how far it is.' } },
  errors: ['log-unavailable'],
  curl: 'curl -X POST localhost:8082/v1/node/resync',
});
