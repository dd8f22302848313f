/** One read and one write with all that the protocol says of them, as single messages and batches do them. */
import { BitacoraError } from '../../src/core/errors.ts';
import { reflects } from '../../src/core/position.ts';
import type { KeyValue, Millis, ReadAnswer, Seen, WriteOptions, Written } from '../../src/ports.ts';
import type { Put } from '../../wire/avro/messages.ts';
import type { Caller } from './caller.ts';

/** The last moment that a date can name, in milliseconds. */
const endOfTime = 8.64e15;
const mostContentType = 255;
/** Of what a caller has seen: one a partition is all that counts, and each key looks through them. */
const mostPositions = 4_096;

export interface Service {
  /** At once where memory has it; for a caller who has seen something, where memory has it as new as that. */
  read(key: string, seen: Seen, caller: Caller): ReadAnswer | Promise<ReadAnswer>;
  /** Errors: `bad-request` beside those of the write. */
  put(put: Put, signal: AbortSignal): Promise<Written>;
}

export function createService(keyValue: KeyValue): Service {
  const isNewEnough = (answer: ReadAnswer, seen: Seen): boolean =>
    seen.positions.length === 0 || (seen.genesis === keyValue.genesis && reflects(answer.applied, seen));
  return {
    read(key, seen, caller) {
      if (seen.positions.length > mostPositions) {
        throw new BitacoraError('bad-request', `${seen.positions.length} positions seen; the limit is ${mostPositions}`);
      }
      const hot = keyValue.peek(key);
      return hot !== undefined && isNewEnough(hot, seen) ? hot : caller.read((signal) => keyValue.read(key, { seen, signal }));
    },
    async put({ key, value, contentType, ttl }, signal) {
      const options: WriteOptions = { signal, contentType: checkContentType(contentType) };
      return keyValue.put(key, value, ttl === 0 ? options : { ...options, expires: deadline(ttl) });
    },
  };
}

/** Errors: `bad-request`. */
function deadline(ttl: number): Millis {
  const expires = Date.now() + ttl;
  if (ttl < 0 || expires > endOfTime) throw new BitacoraError('bad-request', `${ttl} ms is no time to live; 0 is for ever`);
  return expires as Millis;
}

/** It becomes a header of the record and of HTTP answers. Errors: `bad-request`. */
function checkContentType(contentType: string): string {
  if (contentType.length <= mostContentType && /^[\x20-\x7e]*$/.test(contentType)) return contentType;
  throw new BitacoraError('bad-request', `a content type is at most ${mostContentType} characters of printable ASCII`);
}
