/**
 * The Avro protocol `RPCHandlerAvro`: what a call may be named and what it carries.
 *
 * The first three messages and `KeyValueRawAvro` are the original's, unchanged for ever. Those after them say all that a node knows and
 * are ours. Both stand in one protocol because Avro resolves by name: a client that brings the original's protocol in its handshake finds
 * its three messages here and never sees the rest. What may change later is what Avro can resolve: new messages, and new fields that
 * have defaults.
 *
 * The same document, for other languages, is docs/avro/RPCHandlerAvro.avpr; a test holds it equal to this one.
 */

/** Avro schemas as JSON; what they may hold is Avro's business. */
export interface AvroProtocol {
  readonly protocol: string;
  readonly namespace: string;
  readonly types: readonly object[];
  readonly messages: Readonly<
    Record<
      string,
      { readonly request: readonly object[]; readonly response: unknown; readonly errors?: unknown; readonly 'one-way'?: unknown }
    >
  >;
}

const name = 'RPCHandlerAvro';
const namespace = 'com.grayscaleconsulting.bitacora.rpc.avro';
const long = (field: string) => ({ name: field, type: 'long' });
const int = (field: string) => ({ name: field, type: 'int' });
const text = (field: string) => ({ name: field, type: 'string' });

/** Declared by the original and used by none of its messages. */
const keyValueRaw = {
  type: 'record',
  name: 'KeyValueRawAvro',
  fields: [text('key'), text('value'), long('timestamp'), int('source'), long('ttl'), text('uuid')],
};

const originalMessages = {
  getValue: { request: [text('key')], response: ['null', 'string'] },
  setValue: { request: [text('key'), text('value')], response: 'null' },
  delete: { request: [text('key')], response: 'null' },
};

/** What clients of the original bring in their handshake. */
export const originalProtocol: AvroProtocol = { protocol: name, namespace, types: [keyValueRaw], messages: originalMessages };

/** A failure of the error table. `retry`: `yes`, `reads` or `no`, as docs/errors.md means them; `retryAfterMs` 0: no hint. */
const failure = {
  type: 'error',
  name: 'Failure',
  fields: [text('code'), text('message'), text('retry'), long('retryAfterMs')],
};

/** A place in the log. */
const position = { type: 'record', name: 'Position', fields: [int('partition'), long('offset')] };

/** What the caller has seen of a log, so that no answer may be older. `genesis` names the log; no positions: anything will do. */
const seen = {
  type: 'record',
  name: 'Seen',
  fields: [text('genesis'), { name: 'positions', type: { type: 'array', items: 'Position' } }],
};

/** A value and all that is known of it. `timestamp` is the log's time of the write, `expires` its deadline (0: none), both ms since 1970. */
const keyValue = {
  type: 'record',
  name: 'KeyValue',
  fields: [
    { name: 'value', type: 'bytes' },
    text('contentType'),
    { name: 'version', type: ['null', 'Position'] },
    long('timestamp'),
    long('expires'),
    text('uuid'),
  ],
};

/** `found` null: absent. `source`: 1 this node, 2 a peer. `applied`: everything before it was known to whoever answered. */
const answer = {
  type: 'record',
  name: 'Answer',
  fields: [{ name: 'found', type: ['null', 'KeyValue'] }, int('source'), { name: 'applied', type: 'Position' }, text('genesis')],
};

/** A write that is in the log: its place, which is the version, and its name. */
const written = {
  type: 'record',
  name: 'Written',
  fields: [{ name: 'position', type: 'Position' }, text('uuid'), text('genesis')],
};

/** `ttl` in ms from when the node takes the write, 0: for ever. `contentType` may be empty. */
const put = {
  type: 'record',
  name: 'Put',
  fields: [text('key'), { name: 'value', type: 'bytes' }, text('contentType'), long('ttl')],
};

/** Whom the client talks to, and within which limits. `genesis` empty: the node does not know its log yet. */
const node = {
  type: 'record',
  name: 'Node',
  fields: [text('node'), text('state'), text('genesis'), int('partitions'), int('maxKeyBytes'), int('maxValueBytes'), int('maxFrameBytes')],
};

const errors = ['Failure'];
const many = (items: string) => ({ type: 'array', items: [items, 'Failure'] });

/** What a node serves: the original's messages and ours. */
export const protocol = {
  protocol: name,
  namespace,
  types: [keyValueRaw, failure, position, seen, keyValue, answer, written, put, node],
  messages: {
    ...originalMessages,
    getNode: { request: [], response: 'Node', errors },
    getRecord: { request: [text('key'), { name: 'seen', type: 'Seen' }], response: 'Answer', errors },
    setRecord: { request: [{ name: 'put', type: 'Put' }], response: 'Written', errors },
    deleteRecord: { request: [text('key')], response: 'Written', errors },
    getMany: {
      request: [
        { name: 'keys', type: { type: 'array', items: 'string' } },
        { name: 'seen', type: 'Seen' },
      ],
      response: many('Answer'),
      errors,
    },
    setMany: { request: [{ name: 'puts', type: { type: 'array', items: 'Put' } }], response: many('Written'), errors },
  },
} as const satisfies AvroProtocol;

/** Every message a node serves. */
export type MessageName = keyof (typeof protocol)['messages'];
