/**
 * Rows of a store on their way from one node to another: as the database holds them, with their own checksums.
 *
 *     rows = row*        row = key length u32le, content length u32le, key, content
 */
import { BitacoraError } from '../src/core/errors.ts';

const HEAD_BYTES = 8;

/** Rows, one behind the other, in bytes of their own. */
export function joinRows(rows: readonly (readonly [Uint8Array, Uint8Array])[]): Buffer {
  let length = 0;
  for (const [key, content] of rows) length += HEAD_BYTES + key.length + content.length;
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const [key, content] of rows) {
    at = writeLength(bytes, at, key.length);
    at = writeLength(bytes, at, content.length);
    bytes.set(key, at);
    bytes.set(content, at + key.length);
    at += key.length + content.length;
  }
  return bytes;
}

/** Shows each row, as views of `bytes`; returns how many there were. Errors: `store-damaged` when they do not end where the bytes do. */
export function eachRow(bytes: Uint8Array, visit: (key: Uint8Array, content: Uint8Array) => void): number {
  const { buffer, byteOffset, length } = bytes;
  let rows = 0;
  for (let at = 0; at < length; rows++) {
    const keyStart = at + HEAD_BYTES;
    if (keyStart > length) throw cutShort();
    const keyBytes = readLength(bytes, at);
    const contentBytes = readLength(bytes, at + 4);
    const contentStart = keyStart + keyBytes;
    at = contentStart + contentBytes;
    if (at > length) throw cutShort();
    visit(new Uint8Array(buffer, byteOffset + keyStart, keyBytes), new Uint8Array(buffer, byteOffset + contentStart, contentBytes));
  }
  return rows;
}

/** Byte stores: the Buffer methods check their arguments again for each number. */
function writeLength(into: Uint8Array, at: number, value: number): number {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
  return at + 4;
}

function readLength(from: Uint8Array, at: number): number {
  return (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0;
}

function cutShort(): BitacoraError {
  return new BitacoraError('store-damaged', 'the last of the rows is cut short');
}
