/** Writes that depend on what is there: compare and set, update, and repetitions that do not conflict with themselves. */
import { describe, expect, test, vi } from 'vitest';
import { VersionConflictError } from '../../client/http/index.ts';
import { behind, client, failureOf, fake, node, problem, say } from './setting.ts';

describe('cas', () => {
  test('writes at the version, and tells which one stood in the way', async () => {
    const { port } = await node();
    const kv = client([port]);
    const first = await kv.cas('k', undefined, '1');
    const second = await kv.cas('k', first.version, '2', { contentType: 'text/plain' });
    const error = await failureOf(kv.cas('k', first.version, '3'));
    expect(error).toBeInstanceOf(VersionConflictError);
    expect(error).toMatchObject({ code: 'version-conflict', current: second.version, retryable: false });
    expect(await failureOf(kv.cas('k', undefined, '3'))).toMatchObject({ current: second.version });
    expect(await failureOf(kv.cas('none', first.version, '3'))).toMatchObject({ code: 'version-conflict', current: undefined });
    expect(await kv.get('k')).toBe('2');
  });

  test('put and del take conditions as well', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    expect((await failureOf(kv.put('k', 'v', { ifPresent: true }))).code).toBe('version-conflict');
    const { version } = await kv.put('k', 'v', { ifAbsent: true });
    expect((await failureOf(kv.del('k', { ifVersion: '0:999' }))).code).toBe('version-conflict');
    await kv.del('k', { ifVersion: version });
    expect(await kv.get('k')).toBeUndefined();
    expect(keyValue.writes.map(({ condition }) => condition)).toEqual(['present', 'absent', expect.anything(), expect.anything()]);
  });

  test('each conditional write has an idempotency key of its own, others have none', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    await kv.put('k', '1', { ifAbsent: true });
    await kv.del('k', { ifPresent: true });
    await kv.put('k', '1');
    await kv.put('k', '1', { idempotencyKey: 'mine' });
    const keys = keyValue.writes.map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), expect.stringMatching(/^[0-9a-f-]{36}$/), undefined, 'mine']);
    expect(new Set(keys).size).toBe(4);
    await kv.batch([
      { op: 'put', key: 'b', value: '', ifAbsent: true },
      { op: 'put', key: 'c', value: '' },
    ]);
    expect(keyValue.writes.slice(4).map(({ idempotencyKey }) => typeof idempotencyKey)).toEqual(['string', 'undefined']);
  });

  test('whose answer was lost gets it at another node, and does not conflict with itself', async () => {
    const healthy = await node();
    // Passes the request on, and loses the answer.
    const lossy = await fake(async ({ method, path, headers, body }, response) => {
      await fetch(`http://127.0.0.1:${healthy.port}${path}`, { method, body, headers: pass(headers) });
      response.socket?.resetAndDestroy();
    });
    for (const random of [0, 0.99]) {
      const chance = { random: () => random };
      const names = [lossy.port, healthy.port].map((port) => `127.0.0.1:${port}`);
      const { Bitacora } = await import('../../client/http/index.ts');
      const kv = new Bitacora({ endpoints: names }, { chance });
      const written = await kv.cas(`k${random}`, undefined, '1');
      expect((await kv.getRecord(`k${random}`, { consistency: 'latest' }))?.version).toBe(written.version);
      await kv.close();
    }
    expect(lossy.requests.filter(({ method }) => method === 'PUT').length).toBeGreaterThan(0);
    expect(healthy.keyValue.written.sort()).toEqual(['k0', 'k0.99']);
  });
});

function pass(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const names = ['if-match', 'if-none-match', 'idempotency-key'];
  return Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])));
}

describe('update', () => {
  test('five at once lose nothing', async () => {
    const one = await node();
    const two = await node(one.keyValue);
    const clients = Array.from({ length: 5 }, () => client([one.port, two.port], { timeoutMs: 20_000 }));
    const increments = clients.map(async (kv) => {
      for (let times = 0; times < 10; times++) await kv.update('n', (record) => String(Number(record?.text() ?? 0) + 1), { tries: 200 });
    });
    await Promise.all(increments);
    expect(await clients[0]?.get('n')).toBe('50');
    expect(one.keyValue.written).toHaveLength(50);
  });

  test('reads what stood in the way, though a node is behind', async () => {
    const ahead = await node();
    await client([ahead.port]).put('n', '1');
    const slow = await node(behind(ahead.keyValue));
    await client([ahead.port]).put('n', '2');
    const kv = client([slow.port, ahead.port]);
    await kv.update('n', (record) => `${record?.text()}+`);
    expect(await kv.get('n')).toBe('2+');
  });

  test('keeps the content type, and leaves a key alone when nothing is to be written', async () => {
    const { port, keyValue } = await node();
    const kv = client([port]);
    await kv.put('k', '1', { contentType: 'text/plain' });
    await kv.update('k', async () => '2');
    expect(await kv.getRecord('k')).toMatchObject({ contentType: 'text/plain' });
    expect(await kv.update('k', () => undefined)).toBeUndefined();
    expect(await kv.update('new', () => undefined)).toBeUndefined();
    expect(keyValue.written).toEqual(['k', 'k']);
  });

  test('gives up after so many tries', async () => {
    const { port, requests } = await fake(({ method }, response) => {
      if (method === 'GET') problem(response, 404, 'not-found');
      else problem(response, 412, 'version-conflict', { ETag: '"0:1"' });
    });
    const kv = client([port]);
    expect((await failureOf(kv.update('k', () => '1', { tries: 3 }))).code).toBe('version-conflict');
    expect(requests.map(({ method }) => method).join(' ')).toBe('GET PUT GET PUT GET PUT');
    expect((await failureOf(kv.update('k', () => '1', { tries: 0 }))).code).toBe('bad-request');
  });

  test('gives up when its time is over', async () => {
    const { port } = await fake(({ method }, response) => {
      if (method === 'GET') say(response, 404);
      else problem(response, 412, 'version-conflict');
    });
    const slow = client([port]).update('k', () => new Promise<string>(() => undefined), { timeoutMs: 100 });
    expect(['timeout', 'bad-request']).toContain((await failureOf(slow)).code);
    const { port: running } = await node();
    const started = performance.now();
    const stuck = client([running]).update('k', () => new Promise<string>(() => undefined), { timeoutMs: 100 });
    expect((await failureOf(stuck)).code).toBe('timeout');
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('rejects with what the change throws, and writes nothing', async () => {
    const { port, keyValue } = await node();
    const mistake = new RangeError('mine');
    const change = vi.fn(() => {
      throw mistake;
    });
    await expect(client([port]).update('k', change)).rejects.toBe(mistake);
    expect(change).toHaveBeenCalledOnce();
    expect(keyValue.written).toEqual([]);
  });
});
