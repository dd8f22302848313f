/** `bitacora import`: what it writes, what it leaves, what it refuses, and how it is gone on with. */
import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Millis } from '../../src/ports.ts';
import { cluster } from '../client-http/cluster.ts';
import { client, later, node, refusing } from '../client-http/setting.ts';
import { createMemoryKeyValue } from '../rpc/memory-key-value.ts';
import { at, contentsOf, directory, run } from './backup-setting.ts';

const keyOf = (number: number): string => `k/${String(number).padStart(5, '0')}`;
const target = () => node(createMemoryKeyValue(2));

/** An export of `count` keys `k/…`, with their numbers. */
async function exported(count: number, lifeMs?: number): Promise<string> {
  const source = await node(createMemoryKeyValue(2));
  const expires = lifeMs === undefined ? {} : { expires: (Date.now() + lifeMs) as Millis };
  for (let number = 0; number < count; number++) await source.keyValue.put(keyOf(number), Buffer.from(`${number}`), expires);
  const { code, out } = await run('export', ['k/', ...at(source.port)]);
  expect(code).toBe(0);
  return out;
}
async function saved(text: string | Uint8Array): Promise<string> {
  const path = (await directory())('file');
  await writeFile(path, text);
  return path;
}

describe('a key that is there', () => {
  test.each([
    [
      'fail',
      4,
      { same: '1', other: 'mine' },
      /^conflict: "k\/00002" is there, and is another\nimported .* not to its end: 1 written, 1 the same already, 1 in the way, /,
    ],
    ['skip', 0, { same: '1', other: 'mine' }, /: 1 written, 2 skipped, in /],
    ['overwrite', 0, { same: '1', other: '2' }, /: 3 written, in /],
  ] as const)('%s', async (mode, exit, left, said) => {
    const file = await saved(await exported(3));
    const { port, keyValue } = await target();
    await keyValue.put(keyOf(1), Buffer.from('1'));
    await keyValue.put(keyOf(2), Buffer.from('mine'));
    const { code, err, out } = await run('import', [file, '--on-conflict', mode, ...at(port)]);
    expect([code, err, out]).toEqual([exit, expect.stringMatching(said), '']);
    const there = async (number: number) => Buffer.from((await keyValue.readLocal(keyOf(number))).found?.value ?? []).toString();
    expect({ same: await there(1), other: await there(2) }).toEqual(left);
    expect(await there(0)).toBe('0');
  });

  test('another type or deadline is another value', async () => {
    const file = await saved(await exported(1));
    const { port, keyValue } = await target();
    await keyValue.put(keyOf(0), Buffer.from('0'), { contentType: 'text/x' });
    expect((await run('import', [file, ...at(port)])).code).toBe(4);
  });

  test.each([
    ['fail', 4, ['create', 'conflict'], /1 to create, 0 to replace, 1 the same already, 1 in the way, /],
    ['skip', 0, ['create', 'skip'], /1 to create, 0 to replace, 1 the same already, 1 skipped, /],
    ['overwrite', 0, ['create', 'replace'], /1 to create, 1 to replace, 1 the same already, /],
  ] as const)('dry run with %s says what would change, and changes nothing', async (mode, exit, would, said) => {
    const file = await saved(await exported(3));
    const { port, keyValue } = await target();
    await keyValue.put(keyOf(1), Buffer.from('1'));
    await keyValue.put(keyOf(2), Buffer.from('mine'));
    const before = await contentsOf(keyValue);
    const { code, err, out } = await run('import', [file, '--dry-run', '--on-conflict', mode, ...at(port)]);
    expect([code, err]).toEqual([exit, expect.stringMatching(said)]);
    const told = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(told).toEqual([
      { would: would[0], key: keyOf(0) },
      { would: would[1], key: keyOf(2) },
    ]);
    expect(await contentsOf(keyValue)).toEqual(before);
    expect(keyValue.written).toHaveLength(2);
  });
});

test('what has expired by now is left out and counted', async () => {
  const text = await exported(2, 400);
  await later(450);
  const { port, keyValue } = await target();
  const { code, err } = await run('import', [await saved(text), ...at(port)]);
  expect([code, err, keyValue.written]).toEqual([0, expect.stringMatching(/: 0 written, 2 expired, in /), []]);
});

test('and what has expired by a node’s clock alone', async () => {
  const { port, keyValue } = await target();
  keyValue.failures.set(keyOf(0), new BitacoraError('bad-request', 'expires is not in the future'));
  const { code, err } = await run('import', [await saved(await exported(2, 5_000)), ...at(port)]);
  expect([code, err, keyValue.written]).toEqual([0, expect.stringMatching(/: 1 written, 1 expired, in /), [keyOf(1)]]);
});

describe('a file that is not whole', () => {
  const damages: [string, (text: string) => string | Uint8Array, RegExp, number][] = [
    ['is cut off in a line', (text) => text.slice(0, 100_000), /line \d+: it is cut off here/, 500],
    ['is cut off behind a line', (text) => text.slice(0, text.indexOf('\n', 100_000) + 1), /the end is missing/, 500],
    ['has no end', (text) => text.slice(0, text.indexOf('{"end"')), /the end is missing/, 1_500],
    ['has another value in it', (text) => text.replace('"value":"70"', '"value":"71"'), /line 502: .*checksum/, 1_500],
    ['lacks a line', (text) => text.replace(/^\{"key":"k\/00070.*\n/m, ''), /499 items where 500 should be/, 1_499],
    ['has its lines in another order', (text) => text.replace(/^(.*00070.*\n)(.*00071.*\n)/m, '$2$1'), /not in their order/, 1_500],
    ['has lines behind its end', (text) => `${text}{"key":"z","value":""}\n`, /behind the end/, 1_501],
    ['has lost its beginning', (text) => text.slice(text.indexOf('\n') + 1), /line 1: it does not begin/, 1_500],
    ['has a byte that is no text', (text) => Buffer.from(text).fill(0xff, 5_000, 5_001), /line \d+: a line is not UTF-8/, 1_499],
    ['is of a later format', (text) => text.replace('"format":1', '"format":2'), /of format 2/, 1_500],
    ['is no export', () => 'key,value\na,b\n', /line 1: a line is not JSON/, 0],
    ['is empty', () => '', /it is empty/, 0],
  ];
  test.each(damages)('one that %s is refused before anything is written, and partly taken when told so', async (_, damage, words, good) => {
    const { port, keyValue } = await target();
    const file = await saved(damage(await exported(1_500)));
    const { code, err } = await run('import', [file, ...at(port)]);
    expect([code, err, keyValue.written.length]).toEqual([1, expect.stringMatching(words), 0]);
    const partly = await run('import', [file, '--partial', ...at(port)]);
    expect(partly.code).toBe(0);
    if (good === 500) expect(keyValue.written.length).toBeGreaterThan(good);
    else expect(keyValue.written.length).toBe(good);
  });

  test('and the second part of one alone is none', async () => {
    const source = await node(createMemoryKeyValue(2));
    for (let number = 0; number < 10; number++) await source.keyValue.put(keyOf(number), Buffer.from(`${number}`));
    const cursor = Buffer.from(keyOf(4)).toString('base64url');
    const response = await fetch(`http://127.0.0.1:${source.port}/v1/export?prefix=k/&cursor=${cursor}`);
    const { code, err } = await run('import', [await saved(await response.text()), ...at(source.port)]);
    expect([code, err]).toEqual([1, expect.stringContaining('begins in the middle')]);
  });

  test('lines that a person wrote are taken in their order, as parts of a file', async () => {
    const { port, keyValue } = await target();
    const lines = ['{"key":"b","value":"1"}', '{"key":"a","value_b64":"/w=="}', '{"key":"b","value":"2"}', '{"key":"c"}', ''];
    const { code, err } = await run('import', ['-', '--partial', '--prefix', 'to/', '--on-conflict', 'overwrite', ...at(port)], {
      input: [lines.join('\n')],
    });
    expect([code, err]).toEqual([0, expect.stringMatching(/: 3 written, 1 line could not be read, in /)]);
    expect([...(await contentsOf(keyValue)).keys()]).toEqual(['to/a', 'to/b']);
    expect(Buffer.from((await keyValue.readLocal('to/b')).found?.value ?? []).toString()).toBe('2');
  });
});

describe('an import that is given up', () => {
  test('is gone on with where it was', async () => {
    const path = await directory();
    await writeFile(path('f'), await exported(10_000));
    const { port, keyValue } = await target();
    const argv = [path('f'), '--resume', path('state'), '--on-conflict', 'overwrite', ...at(port)];
    keyValue.failures.set(keyOf(6_500), new BitacoraError('value-too-large', 'not here'));
    const first = await run('import', argv);
    expect([first.code, first.err]).toEqual([2, expect.stringMatching(/"k\/06500".*\nthe same command goes on/)]);
    const before = keyValue.written.length;
    expect(before).toBeGreaterThanOrEqual(6_000);
    keyValue.failures.clear();
    const second = await run('import', argv);
    expect([second.code, second.err]).toEqual([0, expect.stringMatching(/: 10,000 written, in /)]);
    // Nothing of what was acknowledged is written once more; what was under way may be.
    expect(keyValue.written.slice(before).every((key) => key >= keyOf(6_000))).toBe(true);
    expect((await contentsOf(keyValue)).size).toBe(10_000);
    const third = await run('import', argv);
    expect([third.code, third.err]).toEqual([0, expect.stringContaining('was imported already')]);
  });

  test('does not take what it has written itself for a conflict', async () => {
    const path = await directory();
    await writeFile(path('f'), await exported(3_000));
    const { port, keyValue } = await target();
    const argv = [path('f'), '--resume', path('state'), ...at(port)];
    keyValue.failures.set(keyOf(1_500), new BitacoraError('value-too-large', 'not here'));
    expect((await run('import', argv)).code).toBe(2);
    keyValue.failures.clear();
    const { code, err } = await run('import', argv);
    expect([code, err, (await contentsOf(keyValue)).size]).toEqual([0, expect.stringMatching(/: 3,000 written, in /), 3_000]);
  });

  test('is told apart from another: file, prefix, cluster', async () => {
    const path = await directory();
    await writeFile(path('f'), await exported(3));
    await writeFile(path('g'), await exported(4));
    const [one, other] = [await target(), await target()];
    expect((await run('import', [path('f'), '--resume', path('s'), ...at(one.port)])).code).toBe(0);
    const again = (...more: string[]) => run('import', [...more, '--resume', path('s')]);
    expect(await again(path('g'), ...at(one.port))).toMatchObject({ code: 2, err: expect.stringContaining('another file') });
    expect(await again(path('f'), '--prefix', 'x', ...at(one.port))).toMatchObject({ code: 2, err: expect.stringContaining('prefix') });
    other.keyValue.statusChange = { genesis: '00000000-ceea-467f-a8d5-2f0a5b1c9d3e' };
    expect(await again(path('f'), ...at(other.port))).toMatchObject({ code: 2, err: expect.stringContaining('another cluster') });
    await writeFile(path('s'), 'nonsense');
    expect((await again(path('f'), ...at(one.port))).code).toBe(2);
    expect(await readFile(path('s'), 'utf8')).toBe('nonsense');
  });
});

describe('nodes', () => {
  test('that do not know the outcome are asked again', async () => {
    const { port, keyValue } = await target();
    keyValue.failures.set(keyOf(1), new BitacoraError('unknown-outcome', 'perhaps'));
    setTimeout(() => keyValue.failures.clear(), 300);
    const { code, err } = await run('import', [await saved(await exported(3)), '--on-conflict', 'overwrite', ...at(port)]);
    expect([code, err]).toEqual([0, expect.stringMatching(/: 3 written, in /)]);
  });

  test.each([
    ['unknown-outcome', 6],
    ['log-unavailable', 8],
    ['conditions-unsupported', 1],
    ['value-too-large', 2],
  ] as const)('that say %s to the end: exit code %d, and which key it was where it is about one', async (failure, exit) => {
    const { port, keyValue } = await target();
    keyValue.failures.set(keyOf(1), new BitacoraError(failure, 'told to fail'));
    const { code, err } = await run('import', [await saved(await exported(3)), '--timeout', '3s', ...at(port)]);
    expect([code, err]).toEqual([exit, expect.stringContaining(`bitacora import: ${failure}: `)]);
    if (exit < 5) expect(err).toContain(JSON.stringify(keyOf(1)));
  });

  test('of whom none listens: told within a second and a bit', async () => {
    const start = performance.now();
    expect((await run('import', [await saved(await exported(1)), ...at(await refusing())])).code).toBe(5);
    expect(performance.now() - start).toBeLessThan(3_000);
  });

  test('of whom one goes away in the middle', async () => {
    const { nodes, ports } = await cluster(3);
    const text = await exported(8_000);
    const importing = run('import', ['-', ...at(...ports)], { input: [text] });
    await later(400);
    await nodes[0]?.leave();
    expect(await importing).toMatchObject({ code: 0, err: expect.stringMatching(/: [78],\d{3} written/) });
    const kv = client([ports[1] as number]);
    expect(await kv.count('k/', { consistency: 'latest' })).toEqual({ count: 8_000, more: false });
  });
});

test('a person sees how far it is', async () => {
  const { port } = await target();
  const { err } = await run('import', [await saved(await exported(1_000)), ...at(port)], { isTTY: true });
  expect(err).toMatch(/\r.\[Kimport {2}█+░* \d+ % {2}[\d.]+ MB/);
});

test('a file that is not there', async () => {
  const { code, err } = await run('import', ['/nowhere/f']);
  expect([code, err]).toEqual([1, expect.stringContaining('ENOENT')]);
});
