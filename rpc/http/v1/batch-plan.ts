/** What one operation of a batch asks for, once it makes sense. */
import { bytesOf } from '../../../src/core/bytes.ts';
import { BitacoraError } from '../../../src/core/errors.ts';
import { parsePosition } from '../../../src/core/position.ts';
import type { Expectation, WriteOptions } from '../../../src/ports.ts';
import { deadlineOf } from './deadline.ts';
import { checkedType } from './representation.ts';
import type { Static } from './schema.ts';
import type { BatchOperation } from './shapes.ts';

type Asked = Static<typeof BatchOperation>;

export type Plan =
  | { readonly op: 'get'; readonly key: string }
  /** Without a value: a delete. */
  | { readonly op: 'write'; readonly key: string; readonly value: Uint8Array | undefined; readonly options: WriteOptions };

/** What each kind does not take: passed over, it would not do what its author believes. */
const foreign: Readonly<Record<Asked['op'], readonly (keyof Asked)[]>> = {
  get: ['value', 'value_b64', 'content_type', 'ttl', 'expires', 'if_version', 'if_absent', 'if_present', 'idempotency_key'],
  delete: ['value', 'value_b64', 'content_type', 'ttl', 'expires'],
  put: [],
};

/** Errors: `bad-request`. */
export function planOf(asked: Asked, now: number): Plan {
  const { op, key } = asked;
  const strange = foreign[op].find((name) => asked[name] !== undefined);
  if (strange !== undefined) throw new BitacoraError('bad-request', `a ${op} takes no ${strange}`);
  if (op === 'get') return { op, key };
  const value = op === 'put' ? putValueOf(asked) : undefined;
  const expires = deadlineOf(lifetimeIn(asked), now);
  const options = {
    condition: expectationOf(asked),
    idempotencyKey: asked.idempotency_key,
    ...(asked.content_type === undefined ? {} : { contentType: checkedType(asked.content_type) }),
    ...(expires === undefined ? {} : { expires }),
  };
  return { op: 'write', key, value, options };
}

function lifetimeIn({ ttl, expires }: Asked) {
  return { ...(ttl === undefined ? {} : { ttl }), ...(expires === undefined ? {} : { expires: String(expires) }) };
}

function putValueOf({ value, value_b64: base64 }: Asked): Uint8Array {
  if ((value === undefined) === (base64 === undefined)) throw new BitacoraError('bad-request', 'a put takes value or value_b64');
  if (value !== undefined) {
    // As bytes it would be another text.
    if (/\p{Surrogate}/u.test(value)) throw new BitacoraError('bad-request', 'the value is not well-formed text');
    return bytesOf(value);
  }
  const bytes = Buffer.from(base64 as string, 'base64');
  if (bytes.toString('base64') !== base64) throw new BitacoraError('bad-request', 'value_b64 is not base64');
  return bytes;
}

function expectationOf({ if_version: version, if_absent: absent, if_present: present }: Asked): Expectation | undefined {
  const given = [version !== undefined, absent === true, present === true].filter(Boolean).length;
  if (given > 1) throw new BitacoraError('bad-request', 'if_version, if_absent and if_present exclude one another');
  if (version === undefined) return absent === true ? 'absent' : present === true ? 'present' : undefined;
  const position = parsePosition(version);
  if (position === undefined) throw new BitacoraError('bad-request', 'if_version is no version: it looks like 0:17');
  return position;
}
