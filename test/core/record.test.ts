/** The record codec: golden headers, round trips, and every reason for which a record is skipped. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asciiOf, bytesOf } from '../../src/core/bytes.ts';
import { decodeRun } from '../../src/core/machine.ts';
import { conditionalPutRecord, type Decoded, decodeRecord, deleteRecord, putRecord, statementRecord } from '../../src/core/record.ts';
import type { Headers, Millis, NewRecord, Offset, Partition } from '../../src/ports.ts';
import { at, by, foreignNull, ifDelete, put, rules, tombstone } from './records.ts';

const key = bytesOf('k');
const value = bytesOf('v');
const author = { id: 'u-1', by: 'host:8082/ab12/7' };
const stated = {
  ...{ deleted: false, version: 3 as Offset, asof: 9 as Offset, at: 20 as Millis, id: 'u-0', by: 'n/i/1', time: 10 as Millis },
};

/** The headers as text. */
const headersOf = ({ headers }: NewRecord): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, asciiOf(bytes)]));
/** The record as understood; fails when it was not. */
function understood(record: NewRecord): Decoded {
  const decoded = decodeRecord(at(0, record));
  if (typeof decoded === 'string') throw new Error(`not understood: ${decoded}`);
  return decoded;
}
const withHeaders = (headers: Record<string, string>, bytes: Uint8Array | null = value): NewRecord => ({
  ...{ key, value: bytes, headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, bytesOf(text)])) },
});

describe('golden headers', () => {
  test('a put carries its author, and what else was given', () => {
    expect(headersOf(putRecord(key, value, author))).toEqual({ id: 'u-1', by: 'host:8082/ab12/7' });
    const more = { expires: 1_700_000_000_000 as Millis, contentType: 'text/plain', idempotencyKey: 'ik-1' };
    expect(headersOf(putRecord(key, value, author, more))).toEqual({
      ...{ id: 'u-1', by: 'host:8082/ab12/7', exp: '1700000000000', ct: 'text/plain', ik: 'ik-1' },
    });
  });

  test('a delete is a marker with an empty value, never a null', () => {
    const record = deleteRecord(key, author);
    expect(headersOf(record)).toEqual({ op: 'd', id: 'u-1', by: 'host:8082/ab12/7' });
    expect(record.value).toHaveLength(0);
  });

  test('a conditional put says what it expects', () => {
    expect(headersOf(conditionalPutRecord(key, value, 'absent', author))).toMatchObject({ op: 'c', if: 'absent' });
    expect(headersOf(conditionalPutRecord(key, value, 42 as Offset, author))).toMatchObject({ op: 'c', if: '42' });
  });

  test('a statement carries the value with all that belongs to it, or absence', () => {
    const record = statementRecord(key, value, stated, author, { contentType: 'a/b' });
    expect(headersOf(record)).toEqual({
      ...{ op: 's', ver: '3', asof: '9', at: '20', vid: 'u-0', vby: 'n/i/1', vts: '10', ct: 'a/b', id: 'u-1', by: 'host:8082/ab12/7' },
    });
    const absence = statementRecord(key, value, { ...stated, deleted: true, version: -1 as Offset }, author, {});
    expect(headersOf(absence)).toMatchObject({ op: 'sd', ver: '-1' });
    expect(absence.value).toHaveLength(0);
  });
});

describe('decoding', () => {
  test('what was written is what is read', () => {
    const anyDetails = fc.record({
      ...{ expires: fc.maxSafeNat(), contentType: fc.string({ unit: 'binary' }), idempotencyKey: fc.string({ unit: 'binary' }) },
    });
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), anyDetails, fc.nat(), (text, raw, sequence) => {
        const more = { ...raw, expires: raw.expires as Millis };
        const decoded = understood(putRecord(bytesOf(text), value, by(sequence), more));
        expect(decoded).toMatchObject({ key: text, operation: 'put', writer: 'n1/a', sequence, ...more });
      }),
    );
  });

  test('a statement comes back whole', () => {
    expect(understood(statementRecord(key, value, stated, author, {})).stated).toEqual(stated);
    const absence = { ...stated, deleted: true, version: -1 as Offset };
    expect(understood(statementRecord(key, value, absence, author, {})).stated).toEqual(absence);
  });

  test('records of other producers: without headers, with unknown ones, with null', () => {
    const bare = { ...at(0, put('k', 'v')), headers: undefined };
    expect(decodeRecord(bare)).toMatchObject({ operation: 'put', writer: '', expires: 0 });
    expect(decodeRecord({ ...bare, value: null })).toMatchObject({ operation: 'delete' });
    expect(understood(withHeaders({ traceparent: '00-1' }))).toMatchObject({ operation: 'put' });
    expect(understood(foreignNull('k'))).toMatchObject({ operation: 'delete' });
    expect(understood(tombstone('k'))).toMatchObject({ operation: 'tombstone' });
    expect(understood(ifDelete('k', 'absent', author))).toMatchObject({ operation: 'conditional-delete', condition: 'absent' });
  });

  test.each<[string, NewRecord]>([
    ['bad-header', withHeaders({ exp: '-1' })],
    ['bad-header', withHeaders({ exp: '' })],
    ['bad-header', withHeaders({ exp: '99999999999999999' })],
    ['bad-header', withHeaders({ by: 'n/i/x' })],
    ['bad-header', withHeaders({ by: 'no-slash' })],
    ['bad-header', withHeaders({ op: 'c' })],
    ['bad-header', withHeaders({ op: 'c', if: '-1' })],
    ['bad-header', withHeaders({ op: 'cd', if: 'Absent' })],
    ['bad-header', withHeaders({ op: 's', ver: '1', asof: '2', at: '3' })],
    ['bad-header', withHeaders({ op: 'sd', ver: '-2', asof: '2', at: '3', vts: '1' })],
    ['unknown-operation', withHeaders({ op: 'x' })],
    ['unknown-operation', withHeaders({ op: 'toString' })],
    ['unknown-operation', withHeaders({ op: 'D' })],
    ['value-missing', withHeaders({ op: 'c', if: 'absent' }, null)],
    ['value-missing', withHeaders({ op: 's', ver: '1', asof: '2', at: '3', vts: '1' }, null)],
    ['bad-header', withHeaders({ tx: 'id/0' })],
    ['bad-header', withHeaders({ tx: 'id/2/2' })],
    ['bad-header', withHeaders({ tx: '/0/2' })],
    ['bad-header', withHeaders({ tx: 'id/0/2/1' })],
    ['bad-header', withHeaders({ tx: 'id/x/2' })],
    ['bad-header', withHeaders({ op: 't', tx: 'id/0/2' })],
    ['key-not-text', { ...put('k', 'v'), key: new Uint8Array([0xff]) }],
    ['key-missing', { ...put('k', 'v'), key: new Uint8Array(0) }],
  ])('%s: %j', (reason, record) => expect(decodeRecord(at(0, record))).toBe(reason));

  test('a record without a key, or in a partition that its key does not belong to, is skipped', () => {
    expect(decodeRecord({ ...at(0, put('k', 'v')), key: null })).toBe('key-missing');
    const verdicts = [0, 1, 2].map(
      (partition) => decodeRun([at(0, put('k', 'v'))], { ...rules, partitions: 3, partition: partition as Partition })[0],
    );
    expect(verdicts.filter((verdict) => verdict === 'wrong-partition')).toHaveLength(2);
  });

  test('garbage in headers never throws', () => {
    const names = fc.constantFrom('op', 'id', 'by', 'exp', 'ct', 'if', 'ver', 'asof', 'at', 'vid', 'vby', 'vts', 'tx', '__proto__', 'x');
    const words = fc.constantFrom('c', 's', 'sd', 't', 'd', '-1', '0', 'absent', 'a/1', '/', '__proto__').map(bytesOf);
    const anyHeaders = fc.array(fc.tuple(names, fc.oneof(words, fc.uint8Array({ maxLength: 20 }))), { maxLength: 8 });
    fc.assert(
      fc.property(anyHeaders, fc.option(fc.uint8Array(), { nil: null }), fc.uint8Array(), (pairs, bytes, keyBytes) => {
        const decoded = decodeRecord({ ...at(0, { key: keyBytes, value: bytes, headers: Object.fromEntries(pairs) }) });
        expect(['string', 'object']).toContain(typeof decoded);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a header named __proto__ cannot pass off what every byte array has as headers of ours', () => {
    const headers = Object.create(Buffer.from('at')) as Headers;
    expect(decodeRecord({ ...at(0, put('k', 'v')), headers })).toMatchObject({ operation: 'put' });
    expect(decodeRecord({ ...at(0, put('k', 'v')), headers: Object.assign(headers, { op: bytesOf('s'), ver: bytesOf('1') }) })).toBe(
      'bad-header',
    );
  });
});

describe('the author of a record', () => {
  const read = (by: string) => decodeRecord(at(0, withHeaders({ by })));

  test('is read from each record, whoever wrote the one before', () => {
    const anyWriter = fc.constantFrom('a/b', 'a/b/1', 'a', 'a/', '/', 'a/bc', 'é/1');
    fc.assert(
      fc.property(fc.array(fc.tuple(anyWriter, fc.maxSafeNat()), { maxLength: 8 }), (authors) => {
        for (const [writer, sequence] of authors) {
          const latin1 = asciiOf(bytesOf(writer));
          expect(read(`${writer}/${sequence}`)).toMatchObject({ writer: latin1, sequence, by: `${latin1}/${sequence}` });
        }
      }),
    );
  });

  test('cannot be understood without node or sequence', () => {
    for (const by of ['a/b/1', 'a/b/', 'a/b/x', 'a/b', '/1', '1', 'a/b/12345678901234567', 'a/b/9999999999999999', 'a/b/-1', 'a/b/1 ']) {
      expect(read('a/b/1')).toMatchObject({ sequence: 1 });
      if (by !== 'a/b/1') expect(read(by)).toBe('bad-header');
    }
  });
});

describe('headers as a log gives them', () => {
  const read = (headers: Record<string, unknown>) => decodeRecord({ offset: 0 as never, time: 0 as never, key, value, headers });

  test('an empty set is none', () => expect(read({})).toMatchObject({ operation: 'put', by: '', id: '' }));

  test('the first of a name counts', () => {
    expect(read({ op: [bytesOf('d'), bytesOf('x')], id: [bytesOf('one'), bytesOf('two')] })).toMatchObject({
      operation: 'delete',
      id: 'one',
    });
  });

  test('a name without bytes is none', () => {
    expect(read({ op: null, id: undefined, by: [] })).toMatchObject({ operation: 'put', id: '', by: '' });
  });
});
