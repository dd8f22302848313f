/** What was exported and imported elsewhere is what it was. */
import { readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Millis } from '../../src/ports.ts';
import { cluster } from '../client-http/cluster.ts';
import { client, node } from '../client-http/setting.ts';
import { startV1 } from '../rpc/http/v1/start-v1.ts';
import { createMemoryKeyValue, maxValueBytes } from '../rpc/memory-key-value.ts';
import { at, contentsOf, directory, run } from './backup-setting.ts';

const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const keys = fc.oneof(
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 40 })
    .filter((key) => key.trim() !== '' && !key.startsWith('\0') && !/\p{Surrogate}/u.test(key)),
  fc
    .constantFrom(
      'foo',
      'foo/',
      'foo//',
      'foo/../bar',
      '🦉',
      '🦉🦉/a',
      ' a',
      '{"key"',
      'x'.repeat(1_024),
      '🦉'.repeat(256),
      '\n',
      '\u2028',
      '\uFEFF',
      '__proto__',
    )
    .filter((key) => key.trim() !== ''),
);
const values = fc.oneof(
  fc.uint8Array({ maxLength: 500 }),
  fc.string({ unit: 'binary', maxLength: 100 }).map((text) => new Uint8Array(Buffer.from(text))),
  fc.constantFrom(
    everyByte,
    new Uint8Array(0),
    Uint8Array.of(0xff),
    Uint8Array.of(0xef, 0xbb, 0xbf),
    Buffer.from('\uFFFD'),
    new Uint8Array(maxValueBytes),
    new Uint8Array(maxValueBytes).fill(0x80),
  ),
);
const entries = fc.record({
  value: values,
  contentType: fc.constantFrom(undefined, 'text/plain', 'application/json; charset=utf-8'),
  livesMs: fc.option(fc.oneof(fc.integer({ min: 600_000, max: 2 ** 40 }), fc.constant(8_000_000_000_000_000)), { nil: undefined }),
});

test('keys, bytes, types and deadlines, whatever they are', async () => {
  const path = await directory();
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(keys, entries, { maxKeys: 30, noNullPrototype: false }),
      fc.constantFrom('fail', 'overwrite'),
      async (all, mode) => {
        const [from, to] = await Promise.all([startV1({}, 100, createMemoryKeyValue(3)), startV1({}, 100, createMemoryKeyValue(2))]);
        try {
          for (const [key, { value, contentType, livesMs }] of Object.entries(all)) {
            const expires = livesMs === undefined ? {} : { expires: (Date.now() + livesMs) as Millis };
            await from.keyValue.put(key, value, { ...expires, ...(contentType === undefined ? {} : { contentType }) });
          }
          const exported = await run('export', ['-o', path('all'), ...at(from.port)]);
          expect(exported.err).toMatch(/^exported /);
          expect(exported.code).toBe(0);
          const imported = await run('import', [path('all'), '--on-conflict', mode, ...at(to.port)]);
          expect(imported.err).toMatch(/^imported /);
          expect(imported.code).toBe(0);
          expect(await contentsOf(to.keyValue)).toEqual(await contentsOf(from.keyValue));
          // Written bytes are the text's: standard output has the same as the file.
          const [items] = (await run('export', at(to.port))).out.split('{"end"');
          expect(items?.split('\n').length).toBe(Object.keys(all).length + 2);
        } finally {
          await Promise.all([from.stop(), to.stop()]);
        }
      },
    ),
    { numRuns: 25 },
  );
});

test('between clusters of real nodes, over a pipe, below another prefix', async () => {
  const [from, to] = [await cluster(2), await cluster(2, 7)];
  const [source, target] = [client(from.ports), client(to.ports)];
  for (let begin = 0; begin < 3_000; begin += 1_000) {
    const puts = Array.from(
      { length: 1_000 },
      (_, number) => ({ op: 'put', key: `cfg/${begin + number}`, value: `value ${number}` }) as const,
    );
    for (const { error } of await source.batch(puts)) expect(error).toBeUndefined();
  }
  const expires = new Date(Date.now() + 3_600_123);
  await source.put('cfg/raw', everyByte, { contentType: 'x/y', expires });
  await source.put('other', 'not of the prefix');
  await source.del('cfg/7');
  const { out, err, code } = await run('export', ['cfg/', ...at(...from.ports)]);
  expect([code, err]).toEqual([0, expect.stringMatching(/^exported 3,000 items of "cfg\/" at [\d:,]+@\w{8} in [\d.]+ s\n$/)]);
  // The position in the header is one to watch from: what came later is told, and only that.
  await source.put('cfg/later', 'x');
  const { position } = JSON.parse(out.slice(0, out.indexOf('\n')));
  for await (const event of source.watch({ prefix: 'cfg/', from: position })) {
    expect(event).toMatchObject({ kind: 'put', key: 'cfg/later' });
    break;
  }
  const imported = await run('import', ['-', '--prefix', 'copy/', ...at(...to.ports)], { input: [out.slice(0, 999), out.slice(999)] });
  expect(imported.err).toMatch(/^imported -: 3,000 written, in /);
  expect(await target.count('copy/', { consistency: 'latest' })).toEqual({ count: 3_000, more: false });
  expect((await target.count('')).count).toBe(3_000);
  expect(await target.getRecord('copy/raw')).toMatchObject({ contentType: 'x/y', expires });
  expect(Buffer.from((await target.getBytes('copy/raw')) as Uint8Array).equals(everyByte)).toBe(true);
  expect(await target.get('copy/7')).toBeUndefined();
  // What it is already is no conflict.
  const again = await run('import', ['-', '--prefix', 'copy/', ...at(...to.ports)], { input: [out] });
  expect([again.code, again.err]).toEqual([0, expect.stringMatching(/^imported -: 0 written, 3,000 the same already, in /)]);
});

test('values over what a batch holds go alone', async () => {
  const large = 3 * 1024 * 1024;
  const from = await node(createMemoryKeyValue(1), { maxValueBytes: large });
  const to = await node(createMemoryKeyValue(1), { maxValueBytes: large });
  // The service has a limit of its own; the face's is what counts here.
  const written: { key: string; length: number; expires: number }[] = [];
  to.keyValue.put = async (key, value, options) => {
    written.push({ key, length: value.length, expires: options?.expires ?? 0 });
    return { position: { partition: 0, offset: written.length } as never, id: 'i' };
  };
  const path = await directory();
  const value = new Uint8Array(large);
  const expires = (Date.now() + 600_000) as Millis;
  const found = { value, version: { partition: 0, offset: 0 } as never, time: 1 as Millis, expires, id: 'i', contentType: '' };
  from.keyValue.list = async () => ({ items: [{ key: 'zeros', found }], prefixes: [], next: undefined, applied: [1 as never] });
  expect((await run('export', ['-o', path('large'), ...at(from.port)])).code).toBe(0);
  expect((await readFile(path('large'))).length).toBeGreaterThan(6 * large);
  expect((await run('import', [path('large'), ...at(to.port)])).err).toMatch(/: 1 written, /);
  expect(written).toEqual([{ key: 'zeros', length: large, expires }]);
});

test.each(['export', 'import'] as const)('%s tells how it is used, and what is wrong', async (command) => {
  const help = await run(command, ['--help']);
  expect([help.code, help.err]).toEqual([0, '']);
  expect(help.out).toContain(`bitacora ${command}`);
  const path = await directory();
  await writeFile(path('f'), '');
  for (const wrong of [
    ['a', 'b'],
    ['a', '--nonsense'],
    ['a', '--timeout', '5'],
    ['a', '--consistency', 'x', '--on-conflict', 'y'],
    ['a', '-e', 'ftp://x'],
  ]) {
    const file = wrong.map((each) => (each === 'a' && command === 'import' ? path('f') : each));
    const { code, out, err } = await run(command, file);
    expect([wrong, code === 2 || err.includes('it is empty'), out]).toEqual([wrong, true, '']);
  }
});
