/** What a caller gives, checked before anything is sent. */
import { bytesOf } from '../../src/core/bytes.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { checkIdempotencyKey, checkKey } from '../../src/core/keys.ts';
import { parsePosition } from '../../src/core/position.ts';
import type { Value, ValueOptions } from '../client.ts';
import { ClientError } from '../errors.ts';
import { refused } from '../options.ts';
import type { Condition, Deadline } from './types.ts';

/** The nodes have limits of their own, and tell them. */
const limits = { maxKeyBytes: 1_000_000, maxValueBytes: Number.MAX_SAFE_INTEGER };

/** Errors: `key-invalid`. */
export function checkedKey(key: string): string {
  if (typeof key !== 'string') throw new ClientError('key-invalid', 'the key is not text', { retryable: false });
  asClientError(() => checkKey(key, limits));
  return key;
}

/**
 * A key as a path. Slashes stay as they are, so that logs can be read, unless something on the way could take the path for another one:
 * empty parts and dots are often cleaned up.
 */
export function pathOf(key: string, under: 'kv' | 'history' | 'revert' = 'kv'): string {
  const parts = checkedKey(key).split('/');
  if (!parts.some((part) => part === '' || part === '.' || part === '..')) return `/v1/${under}/${parts.map(encodeURIComponent).join('/')}`;
  return `/v1/${under}/${encodeURIComponent(key).replaceAll('.', '%2E')}`;
}

/** Errors: `bad-request`. */
export function valueBytes(value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'string') throw refused('the value is neither text nor bytes');
  // Half a character would be stored as U+FFFD, unnoticed.
  if (/\p{Surrogate}/u.test(value)) throw refused('the value is not well-formed text; give bytes');
  return bytesOf(value);
}

/** Errors: `bad-request`. */
export function checkedTtl(ttlMs: number | undefined): string | undefined {
  if (ttlMs === undefined) return undefined;
  if (!(Number.isSafeInteger(ttlMs) && ttlMs >= 1)) throw refused('ttlMs must be a whole number from 1 on');
  return `${ttlMs}ms`;
}

/** Milliseconds since 1970. Errors: `bad-request`. */
export function checkedDeadline({ ttlMs, expires }: ValueOptions & Deadline): number | undefined {
  if (expires === undefined) return undefined;
  if (ttlMs !== undefined) throw refused('ttlMs and expires exclude each other');
  const time = expires instanceof Date ? expires.getTime() : Number.NaN;
  if (!(time >= 1)) throw refused('expires must be a Date');
  return time;
}

/** Errors: `bad-request` for what no header can hold; what is a media type, the nodes decide. */
export function checkedType(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return undefined;
  if (typeof contentType !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(contentType)) throw refused('contentType is no media type');
  return contentType;
}

/** Whether there is a condition. Errors: `bad-request`. */
export function checkCondition({ ifVersion, ifAbsent, ifPresent }: Condition): boolean {
  const given = [ifVersion !== undefined, ifAbsent === true, ifPresent === true].filter(Boolean).length;
  if (given > 1) throw refused('ifVersion, ifAbsent and ifPresent exclude one another');
  if (ifVersion !== undefined && parsePosition(String(ifVersion)) === undefined) {
    throw refused('a version is partition:offset, as in 0:17');
  }
  return given > 0;
}

/**
 * The caller's own, or one for a write with a condition: repeated by a proxy or by this client it would otherwise conflict with itself.
 * Errors: `bad-request`.
 */
export function idempotencyKeyOf(given: string | undefined, conditional: boolean): string | undefined {
  if (given === undefined) return conditional ? crypto.randomUUID() : undefined;
  asClientError(() => checkIdempotencyKey(String(given)));
  return given;
}

function asClientError(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (error instanceof BitacoraError) throw new ClientError(error.code, error.message, { retryable: false, cause: error });
    throw error;
  }
}
