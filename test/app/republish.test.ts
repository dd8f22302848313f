/** `bitacora republish`: every value of a store into another log, nothing that is gone, nothing over what is newer, and not into the wrong log. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Millis } from '../../src/ports.ts';
import { node } from '../client-http/setting.ts';
import { createMemoryKeyValue, type MemoryKeyValue, maxValueBytes } from '../rpc/memory-key-value.ts';
import { at, contentsOf, directory, type Ran, run } from './backup-setting.ts';
import { type Contents, keyOf, makeStore, numbered, oldGenesis } from './kept-stores.ts';

const target = () => node(createMemoryKeyValue(2));
const textAt = async (keyValue: MemoryKeyValue, key: string): Promise<string | undefined> => {
  const { found } = await keyValue.readLocal(key);
  return found && Buffer.from(found.value).toString();
};

interface Kept {
  readonly path: (name: string) => string;
  /** The options that name it: as a store, and as a backup. */
  readonly ways: readonly (readonly [string, string])[];
}

async function kept(contents: Contents): Promise<Kept> {
  const path = await directory();
  await makeStore(path('store.other-log-1'), contents);
  expect((await run('backup', ['-o', path('all'), '--data', path('store.other-log-1')])).code).toBe(0);
  return {
    path,
    ways: [
      ['--store', path('store.other-log-1')],
      ['--backup', path('all')],
    ],
  };
}

test('values with their types and deadlines; nothing of what is deleted, expired or the system’s', async () => {
  const deadline = (Date.now() + 3_600_000) as Millis;
  const { ways } = await kept({
    plain: 'value',
    empty: '',
    '🦉 ñ/\n': { value: Uint8Array.from({ length: 256 }, (_, byte) => byte), contentType: 'image/png' },
    large: { value: new Uint8Array(maxValueBytes).fill(0xff) },
    lives: { value: Buffer.from('x'), expires: deadline },
    expired: { value: Buffer.from('x'), expires: (Date.now() - 1_000) as Millis },
    deleted: undefined,
    unsettled: { value: Buffer.from('as decided'), settled: false },
    doubtful: { value: Buffer.from('perhaps'), settled: false, doubtful: true },
    '\0verify/0/0': 'a mark',
  });
  for (const way of ways) {
    const { port, keyValue } = await target();
    const { code, err, out } = await run('republish', [...way, ...at(port)]);
    expect([code, out]).toEqual([0, '']);
    expect(err).toMatch(/^republished .* into the log 8f14e45f-.*: 7 written, 1 expired, in .*\n {2}keys +8 with a value, 1 deleted\n/);
    expect(err).toMatch(/unsettled 2 keys.*\n.*1 key whose value its node was not certain of: "doubtful"\n$/);
    const all = await contentsOf(keyValue);
    expect([...all.keys()].sort()).toEqual(['doubtful', 'empty', 'large', 'lives', 'plain', 'unsettled', '🦉 ñ/\n']);
    expect(all.get('lives')).toMatchObject({ expires: deadline });
    expect(all.get('🦉 ñ/\n')).toMatchObject({
      contentType: 'image/png',
      value: Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)).toString('base64'),
    });
    expect(await textAt(keyValue, 'unsettled')).toBe('as decided');
    expect(keyValue.writes.every(({ condition }) => condition === 'absent')).toBe(true);
  }
});

test('of a stopped node, by its data directory', async () => {
  const path = await directory();
  await makeStore(join(path('data'), 'store'), numbered(3));
  const { port, keyValue } = await target();
  expect(await run('republish', ['--store', path('data'), ...at(port)])).toMatchObject({ code: 0 });
  expect((await contentsOf(keyValue)).size).toBe(3);
});

describe('a log that holds keys', () => {
  test('is refused, and with --merge given only what it lacks', async () => {
    const { ways } = await kept(numbered(3));
    for (const way of ways) {
      const { port, keyValue } = await target();
      await keyValue.put(keyOf(1), Buffer.from('newer'));
      await keyValue.put(keyOf(2), Buffer.from('2'));
      const refused = await run('republish', [...way, ...at(port)]);
      expect([refused.code, refused.err]).toEqual([4, expect.stringMatching(/the log holds keys already.*--merge/)]);
      expect(keyValue.written).toHaveLength(2);
      const merged = await run('republish', [...way, '--merge', ...at(port)]);
      expect([merged.code, merged.err]).toEqual([
        0,
        expect.stringMatching(/: 1 written, 1 the same already, 1 left as others have written them, in /),
      ]);
      expect(await textAt(keyValue, keyOf(1))).toBe('newer');
    }
  });

  test('is refused when it is the store’s own', async () => {
    const { ways } = await kept(numbered(3));
    const { port, keyValue } = await target();
    keyValue.statusChange = { genesis: oldGenesis };
    const { code, err } = await run('republish', [...ways[0]!, ...at(port)]);
    expect([code, err, keyValue.written]).toEqual([4, expect.stringMatching(/follows the very log of this store, aaaaaaaa-/), []]);
    expect(await run('republish', [...ways[0]!, '--merge', ...at(port)])).toMatchObject({ code: 0 });
  });

  test('is told by a dry run, which writes nothing', async () => {
    const { ways } = await kept({ ...numbered(3), gone: undefined });
    const { port, keyValue } = await target();
    const dry = await run('republish', [...ways[0]!, '--dry-run', ...at(port)]);
    expect([dry.code, dry.err]).toEqual([0, expect.stringMatching(/would republish 3 keys into the log 8f14e45f-.*has written nothing/)]);
    expect(dry.out).toMatch(/position +0:4@aaaaaaaa\n.*genesis +aaaaaaaa-/);
    await keyValue.put('mine', Buffer.from('mine'));
    expect((await run('republish', [...ways[0]!, '--dry-run', ...at(port)])).code).toBe(4);
    expect(keyValue.written).toEqual(['mine']);
  });
});

describe('--resume', () => {
  test('goes on behind what is acknowledged, from another copy of the same store, too', async () => {
    const { path, ways } = await kept(numbered(8_000));
    const { port, keyValue } = await target();
    const argv = (way: readonly string[]): string[] => [...way, '--resume', path('state'), ...at(port)];
    keyValue.failures.set(keyOf(6_500), new BitacoraError('value-too-large', 'not here'));
    const first = await run('republish', argv(ways[0]!));
    expect([first.code, first.err]).toEqual([
      2,
      expect.stringMatching(/^not to its end: [\d,]+ written; the same command goes on.*\n.*"k\/06500"/),
    ]);
    keyValue.failures.clear();
    const before = keyValue.written.length;
    expect(before).toBeGreaterThanOrEqual(6_000);
    const second = await run('republish', argv(ways[1]!));
    expect([second.code, second.err]).toEqual([0, expect.stringMatching(/: 8,000 written, in /)]);
    expect(keyValue.written.slice(before).every((key) => key >= keyOf(6_000))).toBe(true);
    expect(keyValue.written).toHaveLength(8_000);
    const third = await run('republish', argv(ways[0]!));
    expect([third.code, third.err]).toEqual([0, expect.stringContaining('was republished already')]);
  });

  test('is of one store and one log', async () => {
    const { path, ways } = await kept(numbered(3));
    const other = await kept(numbered(4));
    const [one, two] = [await target(), await target()];
    const resumed = (way: readonly string[], port: number): Promise<Ran> => run('republish', [...way, '--resume', path('s'), ...at(port)]);
    expect((await resumed(ways[0]!, one.port)).code).toBe(0);
    expect(await resumed(other.ways[0]!, one.port)).toMatchObject({ code: 2, err: expect.stringContaining('another store') });
    two.keyValue.statusChange = { genesis: '00000000-ceea-467f-a8d5-2f0a5b1c9d3e' };
    expect(await resumed(ways[0]!, two.port)).toMatchObject({ code: 2, err: expect.stringContaining('another log') });
    await writeFile(path('s'), 'nonsense');
    expect((await resumed(ways[0]!, one.port)).code).toBe(2);
    expect(await readFile(path('s'), 'utf8')).toBe('nonsense');
  });

  test('without it, what is begun is gone on with by --merge', async () => {
    const { ways } = await kept(numbered(3_000));
    const { port, keyValue } = await target();
    keyValue.failures.set(keyOf(1_500), new BitacoraError('value-too-large', 'not here'));
    const first = await run('republish', [...ways[0]!, ...at(port)]);
    expect([first.code, first.err]).toEqual([2, expect.stringMatching(/the same command with --merge writes what is missing/)]);
    keyValue.failures.clear();
    expect((await run('republish', [...ways[0]!, ...at(port)])).code).toBe(4);
    expect((await run('republish', [...ways[0]!, '--merge', ...at(port)])).code).toBe(0);
    expect((await contentsOf(keyValue)).size).toBe(3_000);
  });
});

test('a node that does not know its log yet is waited for, and not for ever', async () => {
  const { ways } = await kept(numbered(3));
  const { port, keyValue } = await target();
  const known = keyValue.statusChange;
  keyValue.statusChange = { genesis: undefined };
  const never = await run('republish', [...ways[0]!, '--timeout', '300ms', ...at(port)]);
  expect([never.code, never.err]).toEqual([6, expect.stringContaining('does not know its log yet')]);
  setTimeout(() => {
    keyValue.statusChange = known;
  }, 300);
  expect((await run('republish', [...ways[0]!, ...at(port)])).code).toBe(0);
});

test.each([
  ['unknown-outcome', 6],
  ['log-unavailable', 8],
] as const)('nodes that say %s to the end: exit code %d', async (failure, exit) => {
  const { ways } = await kept(numbered(3));
  const { port, keyValue } = await target();
  keyValue.failures.set(keyOf(1), new BitacoraError(failure, 'as it is'));
  const { code, err } = await run('republish', [...ways[0]!, '--timeout', '500ms', ...at(port)]);
  expect([code, err]).toEqual([exit, expect.stringMatching(new RegExp(`^not to its end.*\\n.*${failure}`))]);
});

test('a backup that is not whole is not begun with', async () => {
  const { path } = await kept(numbered(3_000));
  const whole = await readFile(path('all'));
  const { port, keyValue } = await target();
  for (const bytes of [whole.subarray(0, whole.length - 5), Buffer.from(whole).fill(0x41, whole.length - 300, whole.length - 290)]) {
    await writeFile(path('bad'), bytes);
    const { code, err } = await run('republish', ['--backup', path('bad'), ...at(port)]);
    expect([code, err]).toEqual([1, expect.stringContaining('store-damaged')]);
  }
  expect(keyValue.written).toEqual([]);
});

test('what is asked wrongly is said, with exit code 2; nobody there with 5', async () => {
  for (const argv of [[], ['--store', 'a', '--backup', 'b'], ['--nonsense'], ['--store', 'a', 'b'], ['--store', 'a', '--timeout', 'x']]) {
    const { code, err } = await run('republish', argv);
    expect([code, err], argv.join(' ')).toEqual([2, expect.stringMatching(/--help. says how\n$/)]);
  }
  expect(await run('republish', ['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('exit code') });
  const { ways } = await kept(numbered(1));
  expect((await run('republish', [...ways[0]!, '--timeout', '500ms', '-e', 'http://127.0.0.1:1'])).code).toBe(5);
});
