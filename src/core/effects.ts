/**
 * What a record did that was applied long ago: the machine has decided it, and kept the fate of those that did not simply have their
 * effect. Pure. Of a record whose fate is not kept any more nothing may be said here.
 */
import type { Entry, Fate, LogRecord } from '../ports.ts';
import { isOfAnotherLog, written } from './entries.ts';
import { isSystemKey } from './keys.ts';
import { decodeRun, type Rules } from './machine.ts';
import { never } from './position.ts';

/** A write to a key; `entry` undefined: whether it had its effect is not known, or not all that came before it. */
export interface Effect {
  readonly key: string;
  readonly record: LogRecord;
  readonly entry: Entry | undefined;
  /** It could have had no other: a plain write. */
  readonly certain: boolean;
}

/** Undefined: none that a user could see. The entry's value is the record's own bytes. */
export function effectOf(record: LogRecord, fate: Fate | undefined, rules: Rules): Effect | undefined {
  if (fate === 'ignored') return undefined;
  const [decoded] = decodeRun([record], rules);
  if (decoded === undefined || typeof decoded === 'string' || isSystemKey(decoded.key)) return undefined;
  const { key, operation, idempotencyKey, batch } = decoded;
  if (fate === 'unknown') return { key, record, entry: undefined, certain: false };
  if (operation === 'statement' || operation === 'tombstone') return undefined;
  const certain = (operation === 'put' || operation === 'delete') && idempotencyKey === '' && batch === undefined;
  return { key, record, entry: written(record, decoded, true), certain };
}

/**
 * The version that a statement states, and when it was written; undefined: it is no statement, or says that there never was one. What it
 * says is right whether or not it was heeded: its writer held it.
 */
export function statedBy(record: LogRecord, rules: Rules): Entry | undefined {
  const [decoded] = decodeRun([record], rules);
  if (decoded === undefined || typeof decoded === 'string' || decoded.stated === undefined || isSystemKey(decoded.key)) return undefined;
  const { version, deleted, time, id, by } = decoded.stated;
  if (version === never || isOfAnotherLog(record, decoded.stated)) return undefined;
  const value = deleted || record.value === null ? new Uint8Array(0) : record.value;
  const [expires, contentType] = deleted ? [0, ''] : [decoded.expires, decoded.contentType];
  return { version, newest: version, settled: true, deleted, value, time, expires: expires as Entry['expires'], id, by, contentType };
}
