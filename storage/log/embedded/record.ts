/**
 * A record's row:
 *
 *   row    = crc:u32 time:u64 tombstone:u8 headers:u16 { length:u16 name length:u32 value } length:u32 key value
 *
 * The value is what is left. The checksum covers the row's key too, so a record that stands in another's place is found out.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Headers, LogRecord, Millis, NewRecord, Offset } from '../../../src/ports.ts';
import { readU64, sealInPlace, unseal, writeU64 } from './rows.ts';

const fixed = 4 + 8 + 1 + 2 + 4;

/** What the format cannot hold. To be asked before a record is queued: one bad record would fail its whole batch. */
export function refuseRecord(record: NewRecord): BitacoraError | undefined {
  const names = Object.keys(record.headers);
  if (names.length <= 0xffff && names.every((name) => Buffer.byteLength(name) <= 0xffff)) return undefined;
  return new BitacoraError('value-too-large', 'a record holds at most 65,535 headers, with names of at most 65,535 bytes');
}

export function encodeRecord(rowKey: Uint8Array, time: Millis, record: NewRecord): Buffer {
  const headers = Object.entries(record.headers).map(([name, value]) => ({ name: Buffer.from(name), value }));
  const headersLength = headers.reduce((sum, { name, value }) => sum + 6 + name.length + value.length, 0);
  const row = Buffer.allocUnsafe(fixed + headersLength + record.key.length + (record.value?.length ?? 0));
  writeU64(row, time, 4);
  row[12] = record.value === null ? 1 : 0;
  row.writeUInt16BE(headers.length, 13);
  let at = 15;
  for (const { name, value } of headers) {
    at = row.writeUInt16BE(name.length, at);
    row.set(name, at);
    at = row.writeUInt32BE(value.length, at + name.length);
    row.set(value, at);
    at += value.length;
  }
  at = row.writeUInt32BE(record.key.length, at);
  row.set(record.key, at);
  if (record.value !== null) row.set(record.value, at + record.key.length);
  return sealInPlace(rowKey, row);
}

/** The record shares the row's bytes. Throws `DamagedRow`. */
export function decodeRecord(rowKey: Uint8Array, offset: Offset, row: Uint8Array): LogRecord {
  const body = unseal(rowKey, row);
  const count = body.readUInt16BE(9);
  const headers: Record<string, Uint8Array> = {};
  let at = 11;
  for (let i = 0; i < count; i += 1) {
    const nameLength = body.readUInt16BE(at);
    const name = body.toString('utf8', at + 2, at + 2 + nameLength);
    at += 2 + nameLength;
    const valueLength = body.readUInt32BE(at);
    headers[name] = body.subarray(at + 4, at + 4 + valueLength);
    at += 4 + valueLength;
  }
  const keyEnd = at + 4 + body.readUInt32BE(at);
  return {
    offset,
    time: readU64(body, 0) as Millis,
    key: body.subarray(at + 4, keyEnd),
    value: body[8] === 1 ? null : body.subarray(keyEnd),
    headers: count === 0 ? undefined : (headers as Headers),
  };
}
