/**
 * The stored form of everything that is not an entry: a checksum over key and content, and the content as JSON, so that a person with a
 * LevelDB tool can read it. These rows are few; speed does not matter here.
 *
 *     sealed = crc u32le of (content, then the LevelDB key), content: JSON in UTF-8, may be empty
 */
import { crc32 } from 'node:zlib';
import { BitacoraError } from '../../src/core/errors.ts';

/** A row for `key`. Undefined content: the row says all by being there. */
export function seal(key: Uint8Array, content?: object): Buffer {
  const json = content === undefined ? '' : JSON.stringify(content);
  const row = Buffer.allocUnsafe(4 + Buffer.byteLength(json));
  row.write(json, 4);
  row.writeUInt32LE(crc32(key, crc32(row.subarray(4))), 0);
  return row;
}

/** Whether a row's checksum fits it and the LevelDB key it was found under. */
export function sealFits(key: Uint8Array, row: Uint8Array): boolean {
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  return bytes.length >= 4 && bytes.readUInt32LE(0) === crc32(key, crc32(bytes.subarray(4)));
}

/** The content of a row of our own making, so its shape is trusted once the checksum fits. Errors: `store-damaged`. */
export function unseal<T>(key: Uint8Array, row: Uint8Array, what: string): T {
  if (!sealFits(key, row)) throw new BitacoraError('store-damaged', `the checksum of ${what} does not fit`);
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  return (bytes.length === 4 ? undefined : JSON.parse(bytes.toString('utf8', 4))) as T;
}

/** Whether a row, whose checksum fits, says all by being there. */
export function sealedIsEmpty(row: Uint8Array): boolean {
  return row.length === 4;
}
