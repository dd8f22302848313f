/**
 * CRC-32, the one of zlib, of the short runs that rows are made of. For these zlib's own costs more in the call, and in the view that
 * has to be made for it, than in the sum; long runs go to zlib, which is faster from a few hundred bytes on.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';
import { crcTables } from './crc32c.ts';

const LONG_BYTES = 512;
const [T0, T1, T2, T3] = crcTables(0xedb88320);

/** Of the bytes from `start` to before `end`, going on from `crc`, the sum of what stands before them. An unsigned 32-bit number. */
export function crc32(bytes: Uint8Array, start: number, end: number, crc = 0): number {
  if (end - start > LONG_BYTES) return zlibCrc32(bytes.subarray(start, end), crc);
  let sum = ~crc;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    sum ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    sum = T3[sum & 255]! ^ T2[(sum >>> 8) & 255]! ^ T1[(sum >>> 16) & 255]! ^ T0[sum >>> 24]!;
  }
  for (; i < end; i++) sum = (sum >>> 8) ^ T0[(sum ^ bytes[i]!) & 255]!;
  return ~sum >>> 0;
}
