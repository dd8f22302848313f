/** The JSON of `/v1`: what a value, a failure and a node look like. */
import { errorTable } from '../../../src/core/errors.ts';
import { oneOf, orNull, Type } from './schema.ts';

export const json = 'application/json';
/** A value with what is known of it. */
export const valueJson = 'application/vnd.bitacora+json';
export const problemJson = 'application/problem+json';
export const ndjson = 'application/x-ndjson';
export const anyBytes = '*/*';

export const Bytes = Type.String({ format: 'binary', description: 'Bytes as they are.' });
export const Version = Type.String({
  pattern: '^\\d{1,10}:\\d{1,16}$',
  description: 'A place in the log, `partition:offset`.',
  examples: ['0:17'],
});
export const Time = Type.String({ description: 'ISO 8601, UTC, with milliseconds.', examples: ['2026-11-21T15:00:00.000Z'] });
/** A moment of the past, as a parameter. */
export const MomentText = Type.String({
  minLength: 1,
  maxLength: 64,
  description:
    'A place in the log, `0:17`; a time, in milliseconds since 1970 or ISO 8601 with its zone; or how long ago, a whole number with `ms`, `s`, `m`, `h` or `d`.',
  examples: ['24h'],
});
export const TokenText = Type.String({
  maxLength: 32_768,
  description: 'Positions by comma, one a partition, then `@` and the first 8 digits of the genesis id.',
  examples: ['0:1204,3:77@8f14e45f'],
});

/** What is known of a value. */
export const known = {
  version: orNull(Version, 'Null: not known, in the answer of an older node.'),
  updated: orNull(Time, 'When the log took it.'),
  expires: orNull(Time, 'Deadline; null: for ever.'),
  content_type: orNull(Type.String(), 'As it was stored; null: none was given.'),
  id: Type.String({ description: 'The id of the write; empty when another producer wrote it.' }),
};
/** The value, in one of two ways. */
export const valueOr64 = {
  value: Type.Optional(Type.String({ description: 'The value, when it is UTF-8.' })),
  value_b64: Type.Optional(Type.String({ description: 'The value in base64, when it is not.' })),
};

export const ValueBody = Type.Object({ key: Type.String(), ...valueOr64, ...known }, { additionalProperties: false });
export const WrittenBody = Type.Object(
  { key: Type.String(), version: Version, expires: known.expires, id: known.id },
  { additionalProperties: false },
);

export const ListedItem = Type.Object(
  { key: Type.String(), ...valueOr64, ...known, size: Type.Integer({ minimum: 0, description: 'Bytes of the value.' }) },
  { additionalProperties: false },
);
export const ListBody = Type.Object(
  {
    items: Type.Array(ListedItem),
    prefixes: Type.Array(Type.String(), { description: 'What stands up to the delimiter, each once.' }),
    cursor: orNull(Type.String(), 'For the next page; null: this was the last.'),
    position: TokenText,
  },
  { additionalProperties: false },
);
export const CountBody = Type.Object(
  { count: Type.Integer({ minimum: 0 }), more: Type.Boolean({ description: 'There are more than were counted.' }) },
  { additionalProperties: false },
);
export const DeletedBody = Type.Object(
  {
    deleted: Type.Integer({ minimum: 0 }),
    more: Type.Boolean({ description: 'The bound of one request was reached: send it again.' }),
    position: TokenText,
  },
  { additionalProperties: false },
);

/** From where on the log tells all. */
export const CompleteSince = Type.Object(
  { position: Version, time: orNull(Time, 'When the log took what stands there; null: nothing stands there, or the answer is a failure.') },
  {
    description:
      'From here on everything that was ever written is told; before it only what happens to be left, as the log removes what was overwritten.',
    additionalProperties: false,
  },
);

const codes = Object.keys(errorTable) as (keyof typeof errorTable)[];

/** RFC 9457. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Where the code is explained.', examples: ['/docs#version-conflict'] }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'For people; never a value.' }),
    code: oneOf(codes, { description: 'What to decide by.' }),
    hint: Type.Optional(Type.String({ description: 'What helps.' })),
    node: Type.String(),
    position: Type.Optional(TokenText),
    current: Type.Optional(orNull(Version, 'With `version-conflict`: the version that is there; null: the key is absent.')),
    complete_since: Type.Optional(CompleteSince),
    deleted: Type.Optional(Type.Integer({ minimum: 0, description: 'Of a prefix delete: how many keys were deleted before it failed.' })),
  },
  { additionalProperties: false },
);

export const BatchOperation = Type.Object(
  {
    op: oneOf(['get', 'put', 'delete'], { description: 'What to do.' }),
    key: Type.String(),
    value: Type.Optional(Type.String({ description: 'Of a put: the value as text.' })),
    value_b64: Type.Optional(Type.String({ description: 'Of a put: the value in base64.' })),
    content_type: Type.Optional(Type.String({ maxLength: 255 })),
    ttl: Type.Optional(
      Type.Union([Type.String(), Type.Integer({ minimum: 1 })], { description: 'As the parameter `ttl` of a put; a number is seconds.' }),
    ),
    expires: Type.Optional(
      Type.Union([Type.String(), Type.Integer({ minimum: 1 })], {
        description: 'As the parameter `expires` of a put; a number is milliseconds since 1970.',
      }),
    ),
    if_version: Type.Optional(Version),
    if_absent: Type.Optional(Type.Boolean()),
    if_present: Type.Optional(Type.Boolean()),
    idempotency_key: Type.Optional(Type.String({ minLength: 1, maxLength: 200, pattern: '^[\\x20-\\x7e]+$' })),
  },
  { additionalProperties: false },
);
/** How many operations a batch may have. */
export const maxOperations = 1_000;
const Operations = Type.Array(BatchOperation, { minItems: 1, maxItems: maxOperations });
export const BatchBody = Type.Object(
  {
    operations: Operations,
    atomic: Type.Optional(
      Type.Boolean({ description: 'All or none, of keys of one partition; no gets and no idempotency keys.', default: false }),
    ),
  },
  { additionalProperties: false },
);
export const BatchList = Operations;
export const BatchResult = Type.Object(
  {
    status: Type.Integer({ description: 'As the same request alone would have had.' }),
    key: Type.String(),
    ...valueOr64,
    version: Type.Optional(known.version),
    updated: Type.Optional(known.updated),
    expires: Type.Optional(known.expires),
    content_type: Type.Optional(known.content_type),
    id: Type.Optional(known.id),
    error: Type.Optional(Type.Pick(Problem, ['code', 'title', 'detail', 'hint', 'current'])),
  },
  { additionalProperties: false },
);
export const BatchAnswer = Type.Object(
  { results: Type.Array(BatchResult, { description: 'In the order of the operations.' }), position: TokenText },
  { additionalProperties: false },
);

export const NodeBody = Type.Object(
  {
    node: Type.String({ description: 'Its name, `host:port` of its HTTP face.' }),
    version: Type.String({ description: 'Of the software.' }),
    state: oneOf(['starting', 'restoring', 'ready', 'stuck', 'draining', 'stopped'], { description: 'What it is doing.' }),
    reason: orNull(Type.String(), 'Why, when there is something to say.'),
    ready: Type.Boolean({ description: 'Reads are whole.' }),
    writable: Type.Boolean({ description: 'Writes have a chance.' }),
    sealed: Type.Boolean({ description: 'The log is sealed: every write is refused.' }),
    stale: Type.Boolean({ description: 'Reads are answered from the state of before, while the node makes another.' }),
    progress: Type.Number({ minimum: 0, maximum: 1, description: 'Of catching up, by position.' }),
    applied: Type.String({ description: 'What it has applied, as a session token.' }),
    lag_ms: Type.Integer({ minimum: 0 }),
    log: Type.String({ description: 'Whether the log answers.' }),
    genesis: orNull(Type.String(), 'Which log it follows.'),
    partitions: Type.Integer({ minimum: 0 }),
    entries: Type.Integer({ minimum: 0, description: 'Entries held, markers of deletes included.' }),
    skipped: Type.Optional(
      Type.Object(
        {
          count: Type.Integer({ minimum: 0, description: 'Since the process started; the newest 1,000 are counted.' }),
          newest: Type.Array(
            Type.Object({
              position: Version,
              key: Type.String({ description: 'As far as it is text, cut off after 256 bytes.' }),
              reason: Type.String(),
            }),
            { description: 'At most 20, the newest last.' },
          ),
        },
        { description: 'Records that could not be understood, and are not served.' },
      ),
    ),
    limits: Type.Object({
      value_bytes: Type.Integer(),
      header_bytes: Type.Integer(),
      batch_operations: Type.Integer(),
      batch_bytes: Type.Integer(),
      list_items: Type.Integer(),
    }),
    supports: Type.Array(Type.String(), { description: 'What this face can do.' }),
  },
  { description: 'A node’s own word on itself.' },
);
export const MemberBody = Type.Object(
  {
    address: Type.String(),
    reachable: Type.Boolean(),
    reason: Type.Optional(Type.String({ description: 'Why it is not.' })),
    status: Type.Optional(NodeBody),
  },
  { additionalProperties: false },
);
export const ClusterBody = Type.Object(
  { nodes: Type.Array(MemberBody, { description: 'The node that answers first, then the others it knows.' }) },
  { additionalProperties: false },
);
