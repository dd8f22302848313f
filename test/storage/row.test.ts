import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LoggedPut } from '../../src/core/logged-put.ts';
import type { Entry, Millis, Offset } from '../../src/ports.ts';
import { entryOf, isSettled, partitionOf, RowEncoder, rowFits } from '../../storage/store/row.ts';
import { anyEntry } from '../contract/store-model.ts';
import { entryWith, plain } from '../contract/store-values.ts';

/** Key and row of their own. */
function encoded(partition: number, key: string, entry = entryWith()): { key: Buffer; row: Buffer } {
  const encoder = new RowEncoder();
  encoder.encode(partition, key, entry);
  return { key: Buffer.from(encoder.key), row: Buffer.from(encoder.row) };
}

describe('the row of an entry', () => {
  test('has these bytes', () => {
    const entry = entryWith({
      version: 258 as Offset,
      newest: 259 as Offset,
      expires: 1 as Millis,
      contentType: 'a/b',
      value: Buffer.from('xyz'),
    });
    const { key, row } = encoded(513, 'k', entry);
    expect(key.toString('hex')).toBe('656b');
    expect(row.toString('hex')).toBe(
      [
        '51f450a0', // crc
        'de', // settled, newest, expires, uuid, by, contentType
        '0102', // partition 513
        '0201000000000000', // version 258
        '7b68e5cf8b010000', // time 1700000000123
        '0301000000000000', // newest 259
        '0100000000000000', // expires 1
        '0f8fad5bd9cb469fa16570867728950e', // id
        '0b6e6f64652d312f332f3432', // by: 11 bytes, node-1/3/42
        '03612f62', // contentType: 3 bytes, a/b
        '78797a', // value
      ].join(''),
    );
  });

  test('is small when there is little to say', () => {
    const entry = entryWith({ version: -1 as Offset, newest: -1 as Offset, id: '', by: '', value: Buffer.alloc(0) });
    const { row } = encoded(0, 'k', entry);
    expect(row.toString('hex')).toBe(`${row.toString('hex', 0, 4)}020000ffffffffffffffff7b68e5cf8b010000`);
  });

  test('gives back every entry', () => {
    const encoder = new RowEncoder();
    fc.assert(
      fc.property(fc.nat(0xffff), fc.string({ unit: 'grapheme' }), anyEntry, (partition, key, entry) => {
        encoder.encode(partition, key, entry);
        expect(rowFits(encoder.key, encoder.row)).toBe(true);
        expect(plain(entryOf(encoder.row))).toEqual(plain(entry));
        expect(partitionOf(encoder.row)).toBe(partition);
        expect(isSettled(encoder.row)).toBe(entry.settled);
        expect(Buffer.from(encoder.key).toString()).toBe(`e${key}`);
      }),
    );
  });

  test('of a put from the log is the same as of its fields: header bytes make what their text makes', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.string({ maxLength: 100 }).map(Buffer.from),
      fc.uuid().map(Buffer.from),
    );
    fc.assert(
      fc.property(anyBytes, anyBytes, fc.string(), fc.nat(), (id, by, contentType, offset) => {
        const record = { offset: offset as Offset, time: 5 as Millis, key: Buffer.from('k'), value: Buffer.from('v'), headers: undefined };
        const put = new LoggedPut('k', record, 'a/b', 1, (offset % 3) as Millis, contentType, '', id, by);
        const { version, newest, settled, deleted, value, time, expires } = put;
        const entry: Entry = { version, newest, settled, deleted, value, time, expires, id: put.id, by: put.by, contentType };
        expect(encoded(7, 'k', put)).toEqual(encoded(7, 'k', entry));
      }),
    );
  });

  test('does not fit when any bit of it, or of its key, is flipped', () => {
    const { key, row } = encoded(1, 'some key');
    for (const bytes of [key, row]) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >>> 3]! ^= 1 << (bit & 7);
        expect(rowFits(key, row)).toBe(false);
        bytes[bit >>> 3]! ^= 1 << (bit & 7);
      }
    }
    expect(rowFits(key, row)).toBe(true);
  });

  test('does not fit under another key, nor cut short', () => {
    const { key, row } = encoded(1, 'a');
    expect(rowFits(encoded(1, 'b').key, row)).toBe(false);
    for (let length = 0; length < row.length; length++) expect(rowFits(key, row.subarray(0, length))).toBe(false);
  });
});
