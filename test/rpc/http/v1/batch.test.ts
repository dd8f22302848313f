/** `/v1/batch`: many operations, each with its own result, or all or none. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BitacoraError } from '../../../../src/core/errors.ts';
import { createMemoryKeyValue } from '../../memory-key-value.ts';
import { type Running, raw } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1({}, 5_000, createMemoryKeyValue(4));
});
afterEach(() => running.stop());

type Result = Record<string, unknown> & { readonly status: number; readonly error?: { readonly code: string } };
const json = { 'content-type': 'application/json' };
const send = (body: string | Uint8Array, headers: Record<string, string> = json, query = '') =>
  ask(running.port, `/v1/batch${query}`, { method: 'POST', headers, body });
const batch = async (...operations: object[]): Promise<Result[]> => {
  const reply = await send(JSON.stringify(operations));
  expect(reply.status).toBe(200);
  return reply.json()['results'] as Result[];
};
const atomic = (...operations: object[]) => send(JSON.stringify({ operations, atomic: true }));
const value = async (key: string) => {
  const bytes = (await running.keyValue.readLocal(key)).found?.value;
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
};
const statuses = (results: readonly Result[]) => results.map(({ status }) => status);

describe('results', () => {
  test('are in the order of the operations, as alone', async () => {
    const results = await batch(
      { op: 'put', key: 'a', value: '1', content_type: 'text/x' },
      { op: 'get', key: 'a' },
      { op: 'get', key: 'nope' },
      { op: 'put', key: 'b', value_b64: '/wA=', ttl: '1h' },
      { op: 'get', key: 'b' },
      { op: 'delete', key: 'a' },
      { op: 'get', key: 'a' },
    );
    expect(statuses(results)).toEqual([200, 200, 404, 200, 200, 204, 404]);
    expect(results[1]).toEqual({
      status: 200,
      key: 'a',
      value: '1',
      version: results[0]?.['version'],
      updated: expect.any(String),
      expires: null,
      content_type: 'text/x',
      id: results[0]?.['id'],
    });
    expect(results[2]?.error).toMatchObject({ code: 'not-found', title: expect.any(String), detail: expect.any(String) });
    expect(results[4]).toMatchObject({ value_b64: '/wA=', expires: results[3]?.['expires'] });
    expect(results[5]).toEqual({ status: 204, key: 'a', version: expect.any(String), id: expect.any(String) });
  });

  test('with conditions and idempotency keys', async () => {
    const [first] = await batch({ op: 'put', key: 'c', value: '1', if_absent: true });
    const version = first?.['version'];
    const results = await batch(
      { op: 'put', key: 'c', value: '2', if_absent: true },
      { op: 'put', key: 'c', value: '2', if_version: version },
      { op: 'put', key: 'c', value: '3', if_version: version },
      { op: 'put', key: 'none', value: '3', if_present: true },
      { op: 'delete', key: 'c', if_present: true },
      { op: 'put', key: 'i', value: '1', if_absent: true, idempotency_key: 'x' },
      { op: 'put', key: 'i', value: '1', if_absent: true, idempotency_key: 'x' },
    );
    expect(statuses([first as Result])).toEqual([201]);
    expect(statuses(results)).toEqual([412, 200, 412, 412, 204, 201, 201]);
    expect(results[0]?.error).toMatchObject({ code: 'version-conflict', current: version });
    expect(results[3]?.error).toMatchObject({ current: null });
    expect(results[5]).toEqual(results[6]);
  });

  test('that fail do not keep the others from being done', async () => {
    running.keyValue.failures.set('bad', new BitacoraError('unknown-outcome', 'who knows'));
    const results = await batch(
      { op: 'put', key: 'bad', value: 'x' },
      { op: 'put', key: '\u0000sys', value: 'x' },
      { op: 'put', key: '', value: 'x' },
      { op: 'put', key: 'x'.repeat(1_025), value: 'x' },
      { op: 'put', key: '\ud800', value: 'x' },
      { op: 'put', key: 'big', value: 'x'.repeat(100_001) },
      { op: 'put', key: 'lone', value: '\ud800' },
      { op: 'put', key: 'b64', value_b64: '*' },
      { op: 'put', key: 'b64', value_b64: 'YQ' },
      { op: 'put', key: 'none' },
      { op: 'put', key: 'both', value: 'a', value_b64: 'YQ==' },
      { op: 'put', key: 'ttl', value: 'a', ttl: '1w' },
      { op: 'put', key: 'type', value: 'a', content_type: 'x' },
      { op: 'put', key: 'two', value: 'a', if_absent: true, if_present: true },
      { op: 'put', key: 'two', value: 'a', if_absent: true, if_version: '0:1' },
      { op: 'get', key: 'a', value: 'x' },
      { op: 'delete', key: 'a', ttl: 3 },
      { op: 'put', key: 'good', value: 'x', if_absent: false, ttl: 60 },
    );
    expect(results.map(({ status, error }) => error?.code ?? status)).toEqual([
      'unknown-outcome',
      ...Array.from({ length: 4 }, () => 'key-invalid'),
      'value-too-large',
      ...Array.from({ length: 11 }, () => 'bad-request'),
      200,
    ]);
    expect(statuses(results)[0]).toBe(504);
    expect(running.keyValue.written).toEqual(['good']);
  });

  test('hold any bytes and any text', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const [, one, , two] = await batch(
      { op: 'put', key: 'bytes', value_b64: bytes.toString('base64') },
      { op: 'get', key: 'bytes' },
      { op: 'put', key: 'ñ/🦉/../x', value: '🦉\u0000\uFFFD' },
      { op: 'get', key: 'ñ/🦉/../x' },
    );
    expect(Buffer.from(one?.['value_b64'] as string, 'base64')).toEqual(bytes);
    expect(two).toMatchObject({ key: 'ñ/🦉/../x', value: '🦉\u0000\uFFFD' });
  });

  test('of one key are in order, as a model has them', async () => {
    const operation = fc.record({ op: fc.constantFrom('get', 'put', 'delete'), key: fc.constantFrom('a', 'b', 'c', 'd') });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 60 }), async (list) => {
        await batch(...['a', 'b', 'c', 'd'].map((key) => ({ op: 'delete', key })));
        const asked = list.map(({ op, key }, index) => (op === 'put' ? { op, key, value: String(index) } : { op, key }));
        const results = await batch(...asked);
        const model = new Map<string, string>();
        for (const [index, { op, key }] of list.entries()) {
          if (op === 'get') expect(results[index]?.['value']).toBe(model.get(key));
          else if (op === 'put') model.set(key, String(index));
          else model.delete(key);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('of a thousand; their number and the keys at once are bounded', async () => {
    const operations = Array.from({ length: 1_000 }, (_, index) => ({ op: 'put', key: `k${index}`, value: String(index) }));
    let most = 0;
    let now = 0;
    const put = running.keyValue.put;
    running.keyValue.put = async (...parameters) => {
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      try {
        return await put(...parameters);
      } finally {
        now--;
      }
    };
    expect(new Set(statuses(await batch(...operations)))).toEqual(new Set([200]));
    expect(most).toBe(64);
    expect(await value('k999')).toBe('999');
    for (const body of [[...operations, operations[0]], { operations: [...operations, operations[0]] }]) {
      expect((await send(JSON.stringify(body))).status).toBe(400);
    }
    const lines = [...operations, operations[0]].map((each) => JSON.stringify(each)).join('\n');
    expect((await send(lines, { 'content-type': 'application/x-ndjson' })).status).toBe(400);
  });

  test('stop holding values at a bound: the rest is to be asked for alone', async () => {
    for (let number = 0; number < 10; number++) await running.keyValue.put(`v${number}`, Buffer.alloc(100_000, 0x61));
    const gets = Array.from({ length: 1_000 }, (_, index) => ({ op: 'get', key: `v${index % 10}` }));
    const reply = await send(JSON.stringify(gets));
    const results = reply.json()['results'] as Result[];
    const refused = results.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(800);
    expect(refused[0]?.error?.code).toBe('overloaded');
    expect(reply.bytes.length).toBeLessThan(12_000_000);
  });

  test('and the position covers all of them', async () => {
    const reply = await send(JSON.stringify(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => ({ op: 'put', key, value: '1' }))));
    const positions = (reply.json()['results'] as Result[]).map(({ version }) => String(version).split(':').map(Number));
    const token = new Map(
      String(reply.headers['bitacora-position'])
        .replace('@8f14e45f', '')
        .split(',')
        .map((each) => each.split(':').map(Number) as [number, number]),
    );
    for (const [partition, offset] of positions) expect(token.get(partition as number)).toBeGreaterThanOrEqual(offset as number);
    expect(reply.json()['position']).toBe(reply.headers['bitacora-position']);
  });
});

describe('an atomic batch', () => {
  test('is done as one', async () => {
    await running.keyValue.put('{t}old', Buffer.from('x'));
    const reply = await atomic(
      { op: 'put', key: '{t}a', value: '1', if_absent: true },
      { op: 'put', key: '{t}b', value: '2', ttl: '1m' },
      { op: 'delete', key: '{t}old', if_present: true },
    );
    expect(reply.status).toBe(200);
    const results = reply.json()['results'] as Result[];
    expect(statuses(results)).toEqual([201, 200, 204]);
    expect(results[1]?.['expires']).toEqual(expect.any(String));
    expect(await value('{t}a')).toBe('1');
    expect(await value('{t}old')).toBeUndefined();
  });

  test('or not at all', async () => {
    const { position } = await running.keyValue.put('{t}a', Buffer.from('0'));
    const before = running.keyValue.written.length;
    const reply = await atomic({ op: 'put', key: '{t}b', value: '1' }, { op: 'put', key: '{t}a', value: '1', if_absent: true });
    expect(reply.status).toBe(412);
    expect(reply.json()).toMatchObject({ code: 'version-conflict', current: `${position.partition}:${position.offset}` });
    expect(running.keyValue.written.length).toBe(before);
  });

  test.each<[string, object[], string]>([
    ['keys of different partitions', ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => ({ op: 'put', key, value: '1' })), 'batch-invalid'],
    ['one key twice', [1, 2].map(() => ({ op: 'delete', key: 'a' })), 'batch-invalid'],
    ['a get', [{ op: 'get', key: 'a' }], 'batch-invalid'],
    ['an idempotency key', [{ op: 'delete', key: 'a', idempotency_key: 'x' }], 'batch-invalid'],
    ['a key that is none', [{ op: 'delete', key: '\u0000a' }], 'key-invalid'],
    ['a value that is none', [{ op: 'put', key: 'a' }], 'bad-request'],
    ['a value over the limit', [{ op: 'put', key: 'a', value: 'x'.repeat(100_001) }], 'value-too-large'],
  ])('with %s: refused with a reason', async (_what, operations, code) => {
    const reply = await atomic(...operations);
    expect(reply.json()).toMatchObject({ code, detail: expect.stringMatching(/.{8}/) });
    expect(running.keyValue.written).toEqual([]);
  });

  test('that the log does not confirm: 504', async () => {
    running.keyValue.writeGate = new Promise(() => undefined);
    expect((await atomic({ op: 'delete', key: 'a' })).status).toBe(504);
  });
});

describe('the body', () => {
  test('as an object, a list, or lines', async () => {
    const one = { op: 'put', key: 'a', value: 'x' };
    expect((await send(JSON.stringify({ operations: [one], atomic: false }))).status).toBe(200);
    expect((await send(JSON.stringify([one]), { 'content-type': 'Application/JSON; charset=utf-8' })).status).toBe(200);
    const lines = await send(`\n${JSON.stringify(one)}\r\n\n{"op":"get","key":"a"}`, { 'content-type': 'application/x-ndjson' });
    expect(statuses(lines.json()['results'] as Result[])).toEqual([200, 200]);
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', '{'],
    ['a number', '1'],
    ['null', 'null'],
    ['an empty list', '[]'],
    ['no operations', '{"operations":[]}'],
    ['an unknown member', '{"operations":[{"op":"get","key":"a"}],"atomc":true}'],
    ['an unknown operation', '[{"op":"frob","key":"a"}]'],
    ['no operation', '[{"key":"a"}]'],
    ['no key', '[{"op":"get"}]'],
    ['a key that is no text', '[{"op":"get","key":1}]'],
    ['a value that is no text', '[{"op":"put","key":"a","value":{"x":1}}]'],
    ['a prototype', '[{"op":"get","key":"a","__proto__":{"x":1}}]'],
    ['an unknown member of an operation', '[{"op":"put","key":"a","value":"1","if_versoin":"0:1"}]'],
    ['a version that is none', '[{"op":"put","key":"a","value":"1","if_version":"x"}]'],
    ['a bad idempotency key', '[{"op":"delete","key":"a","idempotency_key":""}]'],
    ['a deep list', '['.repeat(200_000) + ']'.repeat(200_000)],
    ['a deep value', `[{"op":"put","key":"a","value":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}]`],
    ['deep and broken', '[{"a":'.repeat(500_000)],
    ['atomic that is no boolean', '{"operations":[{"op":"get","key":"a"}],"atomic":"yes"}'],
  ])('%s: 400, and nothing is done', async (_what, body) => {
    const reply = await send(body);
    expect(reply.status).toBe(400);
    expect(reply.json()['code']).toBe('bad-request');
    expect(reply.bytes.length).toBeLessThan(800);
    expect(running.keyValue.writes).toEqual([]);
  });

  test('says where it is wrong, and never what stands there', async () => {
    const reply = await send('[{"op":"get","key":"a"},{"op":"secret","key":"a"}]');
    expect(reply.json()['detail']).toBe('the operations: "1/op": expected one of get, put, delete');
    expect((await send('secret')).text).not.toContain('secret');
  });

  test('that is not UTF-8: 400', async () => {
    expect((await send(Buffer.from('[{"op":"get","key":"\xff"}]', 'latin1'))).status).toBe(400);
  });

  test.each([
    {},
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'application/jsonx' },
  ])('of the type %j, which other sites may send: 400', async (headers) => {
    expect((await send('[{"op":"delete","key":"a"}]', headers as Record<string, string>)).status).toBe(400);
    expect(running.keyValue.writes).toEqual([]);
  });

  test('over the limit: 413, announced or not', async () => {
    const body = Buffer.alloc(9_000_000, 0x20);
    for (const headers of [json, { ...json, 'transfer-encoding': 'chunked' }]) {
      const reply = await send(body, headers);
      expect(reply.status).toBe(413);
      expect(reply.json()['detail']).toContain(String(8 * 1024 * 1024));
    }
    const { received, socket } = await raw(
      running.port,
      'POST /v1/batch HTTP/1.1\r\nHost: n1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n',
    );
    await expect.poll(received).toContain('100 Continue');
    socket.destroy();
  });
});

test('too many batches at once are told so, and later ones are served', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let begun = 0;
  const remove = running.keyValue.delete;
  running.keyValue.delete = async (...parameters) => {
    begun++;
    await gate;
    return remove(...parameters);
  };
  const body = '[{"op":"delete","key":"a"}]';
  const under = Array.from({ length: 32 }, () => send(body));
  await expect.poll(() => begun).toBe(32);
  const reply = await send(body);
  expect(reply.status).toBe(503);
  expect(reply.json()['code']).toBe('overloaded');
  open();
  for (const each of await Promise.all(under)) expect(each.status).toBe(200);
  expect((await send(body)).status).toBe(200);
});

test('a caller who goes away ends it', async () => {
  running.keyValue.writeGate = new Promise(() => undefined);
  const body = JSON.stringify(Array.from({ length: 200 }, (_, index) => ({ op: 'delete', key: `k${index}` })));
  const { socket } = await raw(
    running.port,
    `POST /v1/batch HTTP/1.1\r\nHost: n1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.destroy();
  await expect.poll(() => running.keyValue.aborted.length).toBe(64);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(running.keyValue.aborted.length).toBe(64);
});
