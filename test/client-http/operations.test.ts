/** Every operation, against a running node. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Bitacora, ClientError } from '../../client/http/index.ts';
import type { Running } from '../rpc/http/start-server.ts';
import { address, all, client, failureOf, node } from './setting.ts';

let running: Running;
let kv: Bitacora;
beforeEach(async () => {
  running = await node();
  kv = client([running.port]);
});

describe('one key', () => {
  test('text, bytes and JSON come back as they were', async () => {
    await kv.put('text', 'ñandú 🦩\n');
    expect(await kv.get('text')).toBe('ñandú 🦩\n');
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    await kv.put('bytes', bytes);
    expect(new Uint8Array((await kv.getBytes('bytes')) ?? [])).toEqual(bytes);
    await kv.put('json', '{"n":1}', { contentType: 'application/json' });
    expect(await kv.getJson<{ n: number }>('json')).toEqual({ n: 1 });
    await kv.put('empty', '');
    expect(await kv.get('empty')).toBe('');
    expect((await kv.getRecord('empty'))?.value).toHaveLength(0);
  });

  test('what is absent is undefined in every form', async () => {
    expect([await kv.get('no'), await kv.getBytes('no'), await kv.getRecord('no'), await kv.getJson('no')]).toEqual(
      new Array(4).fill(undefined),
    );
  });

  test('a record says all that is known', async () => {
    const before = Date.now();
    const written = await kv.put('k', 'v', { ttlMs: 60_000, contentType: 'text/plain' });
    const record = await kv.getRecord('k');
    expect(record).toMatchObject({ key: 'k', version: written.version, id: written.id, contentType: 'text/plain', source: 'local' });
    expect(record?.text()).toBe('v');
    expect(record?.timestamp.getTime()).toBeGreaterThanOrEqual(before);
    expect(record?.expires).toEqual(written.expires);
    expect(written.expires?.getTime()).toBeGreaterThanOrEqual(before + 60_000);
    expect(record?.position).toBe(written.version);
    expect((await kv.getRecord('k', { consistency: 'linearizable' }))?.version).toBe(written.version);
  });

  test('what is not text is told in a record too', async () => {
    await kv.put('k', Uint8Array.of(0xff, 0));
    expect([...((await kv.getRecord('k'))?.value ?? [])]).toEqual([0xff, 0]);
  });

  test('a delete, also of nothing', async () => {
    await kv.put('k', 'v');
    await kv.del('k');
    expect(await kv.get('k')).toBeUndefined();
    await kv.del('k');
  });

  test.each(['a/b', 'a//b', '/a', 'a/', '..', '../x', 'a/./b', '%2F', 'a?b#c', 'a+b c', 'ñ', '{tag}/x', '"', '.'])(
    'the key %j',
    async (key) => {
      await kv.put(key, key);
      expect(running.keyValue.written).toEqual([key]);
      expect(await kv.get(key)).toBe(key);
      expect((await all(kv.list({ keysOnly: true })))[0]?.items.map((item) => item.key)).toEqual([key]);
    },
  );

  test.each([
    ['', 'key-invalid'],
    [' ', 'key-invalid'],
    ['\0x', 'key-invalid'],
    ['\ud800', 'key-invalid'],
    ['x'.repeat(2_000), 'key-invalid'],
  ])('the key %j is refused', async (key, code) => {
    expect((await failureOf(kv.get(key))).code).toBe(code);
    expect((await failureOf(kv.put(key, 'v'))).code).toBe(code);
  });

  test.each([
    ['half a character', () => kv.put('k', '\ud800')],
    ['a number', () => kv.put('k', 1 as unknown as string)],
    ['no time to live', () => kv.put('k', 'v', { ttlMs: 0 })],
    ['a type with a line break', () => kv.put('k', 'v', { contentType: 'a/b\r\nx: y' })],
    ['no media type', () => kv.put('k', 'v', { contentType: 'text' })],
    ['two conditions', () => kv.put('k', 'v', { ifAbsent: true, ifVersion: '0:1' })],
    ['no version', () => kv.cas('k', 'one', 'v')],
    ['a blank in an idempotency key', () => kv.put('k', 'v', { idempotencyKey: 'a b' })],
    ['no timeout', () => kv.get('k', { timeoutMs: 0 })],
    ['an unknown consistency', () => kv.get('k', { consistency: 'strong' as 'latest' })],
  ])('%s is a bad-request, and nothing is written', async (_, call) => {
    expect(await failureOf(call())).toMatchObject({ code: 'bad-request', retryable: false, name: 'ClientError' });
    expect(running.keyValue.written).toEqual([]);
  });

  test('a value over the limit', async () => {
    expect((await failureOf(kv.put('k', 'x'.repeat(200_000)))).code).toBe('value-too-large');
    // The connection goes on, or a new one is made.
    await kv.put('k', 'small');
  });

  test('what is not JSON is a bad-request that does not tell the value', async () => {
    await kv.put('k', 'secret, not JSON');
    const error: Error = await failureOf(kv.getJson('k'));
    expect(error).toMatchObject({ code: 'bad-request' });
    expect(`${error.message} ${error.cause}`).not.toContain('secret');
  });
});

describe('listings', () => {
  beforeEach(async () => {
    for (const key of ['a/1', 'a/2', 'a/x/1', 'b/1', 'c']) await kv.put(key, key.toUpperCase());
  });

  test('page by page, with prefixes', async () => {
    const pages = await all(kv.list({ delimiter: '/', limit: 2 }));
    expect(pages.map(({ prefixes, items }) => [...prefixes, ...items.map(({ key }) => key)])).toEqual([['a/', 'b/'], ['c']]);
    expect(pages.map(({ cursor }) => cursor === undefined)).toEqual([false, true]);
    const [page] = await all(kv.list({ prefix: 'a/' }));
    expect(page?.items.map((item) => [item.key, item.text(), item.size])).toEqual([
      ['a/1', 'A/1', 3],
      ['a/2', 'A/2', 3],
      ['a/x/1', 'A/X/1', 5],
    ]);
  });

  test('names alone, from a cursor on', async () => {
    const [first] = await all(kv.list({ limit: 3, keysOnly: true }));
    expect(first?.items.map((item) => [item.value, item.text(), item.size])).toEqual([
      [undefined, undefined, 3],
      [undefined, undefined, 3],
      [undefined, undefined, 5],
    ]);
    const rest = await all(kv.list({ limit: 3, cursor: first?.cursor }));
    expect(rest.flatMap(({ items }) => items.map(({ key }) => key))).toEqual(['b/1', 'c']);
  });

  test('a page is asked for when it is wanted', async () => {
    for await (const page of kv.list({ limit: 1 })) {
      expect(page.items).toHaveLength(1);
      break;
    }
    expect(running.observed.filter(({ route, method }) => route === '/v1/kv' && method === 'GET')).toHaveLength(1);
  });

  test('counts', async () => {
    expect(await kv.count()).toEqual({ count: 5, more: false });
    expect(await kv.count('a/')).toEqual({ count: 3, more: false });
    expect(await kv.count('none')).toEqual({ count: 0, more: false });
  });

  test('a limit out of bounds', async () => {
    expect((await failureOf(all(kv.list({ limit: 0 })))).code).toBe('bad-request');
  });
});

describe('batches', () => {
  test('each operation has its result, in their order', async () => {
    await kv.put('old', Uint8Array.of(0xff));
    const results = await kv.batch([
      { op: 'put', key: 'a', value: '1', contentType: 'text/plain', ttlMs: 60_000 },
      { op: 'get', key: 'a' },
      { op: 'get', key: 'none' },
      { op: 'get', key: 'old' },
      { op: 'put', key: 'old', value: 'x', ifAbsent: true },
      { op: 'del', key: 'old' },
    ]);
    expect(results.map(({ key, status }) => [key, status])).toEqual([
      ['a', 200],
      ['a', 200],
      ['none', 404],
      ['old', 200],
      ['old', 412],
      ['old', 204],
    ]);
    expect(results[1]?.found).toMatchObject({ contentType: 'text/plain', version: results[0]?.written?.version });
    expect(results[1]?.found?.text()).toBe('1');
    expect(results[2]).toEqual({ key: 'none', status: 404 });
    expect([...(results[3]?.found?.value ?? [])]).toEqual([0xff]);
    const conflict = results[4]?.error as ClientError & { current?: string };
    expect(conflict).toMatchObject({ name: 'VersionConflictError', code: 'version-conflict', current: results[3]?.found?.version });
    expect(await kv.get('old')).toBeUndefined();
  });

  test('all or none', async () => {
    const done = await kv.batch(
      [
        { op: 'put', key: '{t}a', value: '1', ifAbsent: true },
        { op: 'put', key: '{t}b', value: '2' },
      ],
      { atomic: true },
    );
    expect(done.map(({ status }) => status)).toEqual([201, 200]);
    const version = done[0]?.written?.version as string;
    const again = kv.batch(
      [
        { op: 'del', key: '{t}b' },
        { op: 'put', key: '{t}a', value: '3', ifAbsent: true },
      ],
      { atomic: true },
    );
    expect(await failureOf(again)).toMatchObject({ code: 'version-conflict', current: version });
    expect(await kv.get('{t}b')).toBe('2');
    const scattered = ['a', 'b', 'c', 'd', 'e'].map((key) => ({ op: 'put', key, value: '' }) as const);
    expect((await failureOf(kv.batch(scattered, { atomic: true }))).code).toBe('batch-invalid');
  });

  test.each([
    ['none', []],
    ['too many', Array.from({ length: 1_001 }, () => ({ op: 'get', key: 'k' }) as const)],
    ['no list', 'x' as unknown as []],
    ['an unknown one', [{ op: 'drop', key: 'k' } as unknown as { op: 'get'; key: string }]],
  ])('%s: bad-request', async (_, operations) => {
    expect((await failureOf(kv.batch(operations))).code).toBe('bad-request');
  });
});

describe('the node', () => {
  test('tells of itself', async () => {
    expect(await kv.node()).toMatchObject({ node: 'n1', version: '1.2.3', ready: true, partitions: 4, reason: undefined });
    const report = await kv.node({ endpoint: address(running.port) });
    expect(report.limits).toMatchObject({ valueBytes: 100_000, batchOperations: 1_000 });
    expect(report.supports).toContain('conditions');
    expect((await failureOf(kv.node({ endpoint: 'http://other' }))).code).toBe('bad-request');
  });
});

describe('options', () => {
  test.each([
    { endpoints: [] },
    { endpoints: ['ftp://n1'] },
    { endpoints: ['http://user:secret@n1'] },
    { endpoints: ['http://n1/?x=1'] },
    { endpoints: ['not an address'] },
    { endpoints: ['n1:1'], timeoutMs: 0 },
    { endpoints: ['n1:1'], attempts: 1.5 },
    { endpoints: ['n1:1'], position: 'x' },
    { endpoints: ['n1:1'], headers: { 'a b': 'c' } },
    { endpoints: ['n1:1'], headers: { a: 'secret\n' } },
  ])('%j is refused', ({ endpoints, ...options }) => {
    expect(() => client(endpoints, options)).toThrow(
      expect.objectContaining({ code: 'bad-request', message: expect.not.stringContaining('secret') }),
    );
  });

  test('an address without a scheme, and headers for a proxy', async () => {
    const plain = client([`127.0.0.1:${running.port}`], { headers: { authorization: 'Bearer x' } });
    await plain.put('k', 'v');
    expect(await plain.get('k')).toBe('v');
    expect(plain.endpoints).toEqual([`127.0.0.1:${running.port}`]);
  });
});
