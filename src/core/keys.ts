/** What a key and a value may be, checked before anything is sent, by the same rules for every face. */
import { bytesOf } from './bytes.ts';
import { BitacoraError } from './errors.ts';

export interface Limits {
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
}

/** Keys that begin with NUL are the system's own: users can neither see nor write them. */
export const systemPrefix = '\0';
/** The topic's identity is written under this key, once. */
export const genesisKey = '\0genesis';

/** Before the log is sealed, where it goes and how it is opened again is written under this key. */
export const sealKey = '\0sealed';

/** Barriers of linearizable reads stand under keys like this; of the attempts one is in the partition itself. */
export function barrierKey(partition: number, attempt: number): string {
  return `${systemPrefix}barrier/${partition}/${attempt}`;
}

/** Under keys like this stand the marks at which all nodes take a digest of their state; the value names the run. */
const markPrefix = `${systemPrefix}verify/`;

export function markKey(partition: number, attempt: number): string {
  return `${markPrefix}${partition}/${attempt}`;
}

export function isMarkKey(key: string): boolean {
  return isSystemKey(key) && key.startsWith(markPrefix);
}

export function isSystemKey(key: string): boolean {
  return key.charCodeAt(0) === 0;
}

/** The key's bytes. Errors: `key-invalid`, saying why. */
export function checkKey(key: string, limits: Limits): Uint8Array {
  if (key.trim() === '') throw new BitacoraError('key-invalid', 'the key is missing or blank');
  if (isSystemKey(key)) throw new BitacoraError('key-invalid', 'keys that begin with a NUL byte are reserved');
  if (/\p{Surrogate}/u.test(key)) throw new BitacoraError('key-invalid', 'the key is not well-formed text');
  const bytes = bytesOf(key);
  if (bytes.length > limits.maxKeyBytes) {
    throw new BitacoraError('key-invalid', `the key has ${bytes.length} bytes, the limit is ${limits.maxKeyBytes}`);
  }
  return bytes;
}

const longestIdempotencyKey = 200;

/** Errors: `bad-request`. */
export function checkIdempotencyKey(text: string): void {
  if (/^[\x21-\x7e]+$/.test(text) && text.length <= longestIdempotencyKey) return;
  throw new BitacoraError('bad-request', `an idempotency key is 1 to ${longestIdempotencyKey} printable ASCII characters without space`);
}

/** Errors: `value-too-large`, with the limit. */
export function checkValue(value: Uint8Array, limits: Limits): void {
  if (value.length <= limits.maxValueBytes) return;
  throw new BitacoraError('value-too-large', `the value has ${value.length} bytes, the limit is ${limits.maxValueBytes}`);
}
