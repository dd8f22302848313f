import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32 } from '../../storage/store/crc32.ts';

test('the checksum is zlib’s, on both sides of the size from which zlib itself computes it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 2_000 }), (bytes) => {
      expect(crc32(Buffer.from(bytes), 0, bytes.length)).toBe(zlibCrc32(bytes));
    }),
  );
});
