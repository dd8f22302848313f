/** A batch: its operations as JSON, and what each came to. */
import { bytesOf, textOf } from '../../src/core/bytes.ts';
import { refused } from '../options.ts';
import { type Ask, queryOf } from './ask.ts';
import { checkCondition, checkedDeadline, checkedKey, checkedTtl, checkedType, idempotencyKeyOf, valueBytes } from './checks.ts';
import { errorOf } from './failures.ts';
import { Fields, fieldsOf, Malformed } from './fields.ts';
import { reading } from './keys.ts';
import { storedOf, writtenOf } from './records.ts';
import type { Seen } from './seen.ts';
import type { BatchOperation, BatchOptions, BatchResult } from './types.ts';

export function batch(
  seen: Seen,
  operations: readonly BatchOperation[],
  { atomic = false, consistency }: BatchOptions,
): Ask<BatchResult[]> {
  if (!Array.isArray(operations)) throw refused('the operations must be a list');
  const sent = operations.map((operation) => operationOf(operation, atomic));
  const writes = sent.filter(({ op }) => op !== 'get');
  return {
    ...reading(seen, consistency),
    write: writes.length > 0,
    idempotent: writes.every((each) => each['idempotency_key'] !== undefined),
    method: 'POST',
    path: `/v1/batch${queryOf({ consistency })}`,
    headers: { 'Content-Type': 'application/json' },
    body: bytesOf(JSON.stringify({ operations: sent, atomic })),
    take: (reply, server) => {
      const results = fieldsOf(reply).list('results');
      if (results.length !== operations.length) throw new Malformed('there is not one result an operation');
      return results.map((result, index) => resultOf(new Fields(result), operations[index] as BatchOperation, server));
    },
  };
}

function operationOf(operation: BatchOperation, atomic: boolean): Record<string, unknown> {
  const { op } = operation;
  const key = checkedKey(operation.key);
  if (op === 'get') return { op, key };
  if (op !== 'put' && op !== 'del') throw refused('the operations of a batch are get, put and del');
  const conditional = checkCondition(operation);
  const { ifVersion, ifAbsent, ifPresent } = operation;
  // An atomic batch takes no keys, but may be given them: the node says why not.
  const idempotencyKey = idempotencyKeyOf(operation.idempotencyKey, conditional && !atomic);
  const write = { key, if_version: ifVersion, if_absent: ifAbsent, if_present: ifPresent, idempotency_key: idempotencyKey };
  if (op === 'del') return { op: 'delete', ...write };
  const bytes = valueBytes(operation.value);
  const text = textOf(bytes);
  const value = text === undefined ? { value_b64: Buffer.from(bytes).toString('base64') } : { value: text };
  const lifetime = { ttl: checkedTtl(operation.ttlMs), expires: checkedDeadline(operation) };
  return { op, ...write, ...value, content_type: checkedType(operation.contentType), ...lifetime };
}

function resultOf(fields: Fields, { op }: BatchOperation, server: string): BatchResult {
  const known = { key: fields.text('key'), status: fields.number('status') };
  if (fields.has('error')) {
    const error = errorOf(fields.fields('error'), { write: op !== 'get', server });
    return error.code === 'not-found' && op === 'get' ? known : { ...known, error };
  }
  if (op === 'get') return { ...known, found: storedOf(fields) };
  return op === 'put' ? { ...known, written: writtenOf(fields) } : known;
}
