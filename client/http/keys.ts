/** Requests on one key. */
import type { KeyRecord, Value } from '../client.ts';
import { type Ask, queryOf } from './ask.ts';
import { checkCondition, checkedDeadline, checkedTtl, checkedType, idempotencyKeyOf, pathOf, valueBytes } from './checks.ts';
import { fieldsOf } from './fields.ts';
import { momentText } from './moment.ts';
import { recordOf, writtenOf } from './records.ts';
import type { Seen } from './seen.ts';
import type { Condition, GetOptions, PutOptions, ReadOptions, WriteOptions, Written } from './types.ts';

/** What all reads send of how new they are to be. Errors: `position-foreign`, once, when it is owed. */
export function reading(seen: Seen, consistency: ReadOptions['consistency']) {
  seen.settle();
  return { write: false, seen, unseen: consistency === 'local' } as const;
}

/** The bytes as they are. */
export function getBytes(seen: Seen, key: string, { consistency, at }: GetOptions): Ask<Buffer | undefined> {
  return {
    ...reading(seen, consistency),
    method: 'GET',
    // The form is said, so that nothing between has a choice.
    path: `${pathOf(key)}${queryOf({ format: 'raw', at: momentText(at, 'at'), consistency })}`,
    take: ({ body }) => body,
    absent: () => undefined,
  };
}

export function getRecord(seen: Seen, key: string, { consistency, at }: GetOptions): Ask<KeyRecord | undefined> {
  return {
    ...reading(seen, consistency),
    method: 'GET',
    path: `${pathOf(key)}${queryOf({ format: 'json', at: momentText(at, 'at'), consistency })}`,
    take: recordOf,
    absent: () => undefined,
  };
}

export function put(seen: Seen, key: string, value: Value, options: PutOptions): Ask<Written> {
  const contentType = checkedType(options.contentType);
  const { headers, idempotent } = writing(options);
  return {
    write: true,
    idempotent,
    seen,
    method: 'PUT',
    path: `${pathOf(key)}${queryOf({ ttl: checkedTtl(options.ttlMs), expires: checkedDeadline(options) })}`,
    headers: { ...headers, ...(contentType === undefined ? {} : { 'Content-Type': contentType }) },
    body: valueBytes(value),
    take: (reply) => writtenOf(fieldsOf(reply)),
  };
}

export function del(seen: Seen, key: string, options: WriteOptions): Ask<void> {
  return { write: true, ...writing(options), seen, method: 'DELETE', path: pathOf(key), take: () => undefined };
}

function writing(options: WriteOptions): { headers: Record<string, string>; idempotent: boolean } {
  const condition = conditionHeaders(options);
  const idempotencyKey = idempotencyKeyOf(options.idempotencyKey, condition !== undefined);
  const idempotent = idempotencyKey !== undefined;
  return { headers: { ...condition, ...(idempotent ? { 'Idempotency-Key': idempotencyKey } : {}) }, idempotent };
}

/** Undefined: there is no condition. Errors: `bad-request`. */
export function conditionHeaders(condition: Condition): Record<string, string> | undefined {
  if (!checkCondition(condition)) return undefined;
  const { ifVersion, ifAbsent } = condition;
  return ifAbsent ? { 'If-None-Match': '*' } : { 'If-Match': ifVersion === undefined ? '*' : `"${ifVersion}"` };
}
