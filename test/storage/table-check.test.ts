import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLevel } from '../../storage/level.ts';
import { crc32c } from '../../storage/store/crc32c.ts';
import { unsnappy } from '../../storage/store/snappy.ts';
import { checkDirectory, checkTables } from '../../storage/store/table-check.ts';

test('CRC-32C has the values of its standard', () => {
  // RFC 3720, B.4
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from('x123456789y'), 1, 10)).toBe(0xe3069283);
});

test('a Snappy block is read, with literals and copies that overlap', () => {
  // "abc", then nine bytes from three ago, then "!".
  const block = Buffer.from([13, (3 - 1) << 2, 0x61, 0x62, 0x63, ((9 - 4) << 2) | 1, 3, 0, 0x21]);
  expect(Buffer.from(unsnappy(block)!).toString()).toBe('abcabcabcabc!');
  for (let length = 0; length < block.length; length++) expect(unsnappy(block.subarray(0, length))).toBeUndefined();
});

test('sound tables of every kind of contents are found sound, before and after they are opened', async () => {
  const home = await mkdtemp(join(tmpdir(), 'bitacora-tables-'));
  const directory = join(home, 'level');
  const level = await openLevel(directory, { create: true, writeBufferBytes: 128 * 1024 });
  for (let i = 0; i < 50; i++) {
    const batch = level.batch();
    for (let n = 0; n < 200; n++) {
      // A long common beginning makes the index compressible; a key may hold what looks like the end of a line.
      const key = Buffer.from(`${'common/'.repeat(10)}${i * 1000 + n}\n 1:2[`);
      batch.put(key, Buffer.alloc(n * 3, n % 2 === 0 ? 'compressible' : key));
    }
    await batch.write();
  }
  expect(await checkTables(level)).toBeUndefined();
  await level.close();
  const faultOf = await checkDirectory(directory);
  const again = await openLevel(directory, { create: false });
  expect(again.getProperty('leveldb.sstables')).toMatch(/^ \d+:\d+\[/m);
  expect(await faultOf(again)).toBeUndefined();
  expect(await checkTables(again)).toBeUndefined();
  await again.close();
  await rm(home, { recursive: true, force: true });
});
