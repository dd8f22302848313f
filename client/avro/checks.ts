/** What a caller gives, checked before anything is sent and made what the wire takes. */
import { BitacoraError } from '../../src/core/errors.ts';
import { checkKey } from '../../src/core/keys.ts';
import { isText } from '../../wire/avro/codec.ts';
import type { Node, Put } from '../../wire/avro/messages.ts';
import type { Value, ValueOptions } from '../client.ts';
import { ClientError } from '../errors.ts';
import { refused } from '../options.ts';

/** The nodes have limits of their own, and tell them. */
const limits = { maxKeyBytes: 1_000_000, maxValueBytes: Number.MAX_SAFE_INTEGER };

/** The key's bytes. Errors: `key-invalid`. */
export function keyBytes(key: string): Uint8Array {
  if (typeof key !== 'string') throw new ClientError('key-invalid', 'the key is not text', { retryable: false });
  try {
    return checkKey(key, limits);
  } catch (error) {
    if (error instanceof BitacoraError) throw new ClientError(error.code, error.message, { retryable: false, cause: error });
    throw error;
  }
}

/** Errors: `bad-request`. */
export function putOf(key: string, value: Value, { ttlMs, contentType = '' }: ValueOptions): Put {
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs >= 1)) throw refused('ttlMs must be a whole number from 1 on');
  if (typeof contentType !== 'string') throw refused('contentType must be text');
  return { key, value: valueBytes(value), contentType, ttl: ttlMs ?? 0 };
}

/** How long a call may take. Errors: `bad-request`. */
export function timeoutOf(timeoutMs: number | undefined, otherwise: number): number {
  if (timeoutMs === undefined) return otherwise;
  if (Number.isFinite(timeoutMs) && timeoutMs > 0) return timeoutMs;
  throw refused('timeoutMs must be more than 0');
}

/** Errors: `key-invalid` for a key that is too long for this server. */
export function checkLength(bytes: Uint8Array, node: Node | undefined): void {
  if (node === undefined || node.maxKeyBytes <= 0 || bytes.length <= node.maxKeyBytes) return;
  throw new ClientError('key-invalid', `the key has ${bytes.length} bytes, the limit is ${node.maxKeyBytes}`, { retryable: false });
}

function valueBytes(value: Value): Buffer {
  if (typeof value === 'string') {
    // Half a character would be stored as U+FFFD, unnoticed.
    if (!isText(value)) throw refused('the value is not well-formed text; give bytes');
    return Buffer.from(value, 'utf8');
  }
  if (!(value instanceof Uint8Array)) throw refused('the value is neither text nor bytes');
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.length);
}
