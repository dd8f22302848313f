/** The document and the page: whole, about what there is, and every operation of it exercised here against a running server. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../../../rpc/http/v1/operations.ts';
import { v1Routes } from '../../../../rpc/http/v1/routes.ts';
import { errorTable } from '../../../../src/core/errors.ts';
import type { Running } from '../start-server.ts';
import { given } from './conformance.ts';
import { ask, startV1 } from './start-v1.ts';

type Described = Record<string, unknown> & {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly parameters: { name: string; in: string; description: string; schema: object }[];
  readonly responses: Record<string, { description: string; headers: object; content?: object }>;
  readonly 'x-curl': string;
};

let running: Running;
let document: {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Described>>;
  components: Record<string, Record<string, object>>;
};
let described: { path: string; method: string; operation: Described }[];
beforeAll(async () => {
  running = await startV1();
  document = (await ask(running.port, '/openapi.json')).json() as unknown as typeof document;
  described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
});
afterAll(() => running.stop());

const json = { 'content-type': 'application/json' };
/** By operation: requests that between them come to every good outcome. */
const calls: Record<string, { method: string; path: string; headers?: Record<string, string>; body?: string }[]> = {
  putValue: [
    { method: 'PUT', path: '/v1/kv/a/b?ttl=1h', body: 'x', headers: { 'content-type': 'text/plain' } },
    { method: 'PUT', path: '/v1/kv/new', headers: { 'if-none-match': '*' } },
  ],
  getValue: [
    { method: 'GET', path: '/v1/kv/a/b' },
    { method: 'GET', path: '/v1/kv/a/b?format=json&consistency=latest', headers: { prefer: 'wait=1' } },
    { method: 'GET', path: '/v1/kv/a/b', headers: { 'if-none-match': '*' } },
    { method: 'GET', path: '/v1/kv/a/b?at=0:0' },
    { method: 'HEAD', path: '/v1/kv/a/b' },
  ],
  getHistory: [
    { method: 'GET', path: '/v1/history/a/b?since=1h&limit=1&before=0:9' },
    { method: 'HEAD', path: '/v1/history/a/b' },
  ],
  revertKey: [
    { method: 'POST', path: '/v1/revert/a/b?at=0:0&ttl=1h' },
    { method: 'POST', path: '/v1/revert/new?at=0:0' },
    { method: 'POST', path: '/v1/revert/new?at=0:1', headers: { 'if-none-match': '*' } },
  ],
  verifyNodes: [{ method: 'POST', path: '/v1/verify?wait=2s' }],
  getDigests: [
    { method: 'GET', path: '/v1/verify/00000000-0000-4000-8000-000000000000' },
    { method: 'HEAD', path: '/v1/verify/00000000-0000-4000-8000-000000000000' },
  ],
  resyncNode: [{ method: 'POST', path: '/v1/node/resync' }],
  sealLog: [{ method: 'POST', path: '/v1/seal?to=new-node:8082' }],
  unsealLog: [{ method: 'DELETE', path: '/v1/seal' }],
  deleteValue: [{ method: 'DELETE', path: '/v1/kv/new', headers: { 'if-match': '*' } }],
  listKeys: [
    { method: 'GET', path: '/v1/kv?prefix=a/&delimiter=/' },
    { method: 'GET', path: '/v1/kv?count=1' },
    { method: 'GET', path: '/v1/kv?format=ndjson' },
  ],
  postBatch: [{ method: 'POST', path: '/v1/batch', headers: json, body: '[{"op":"get","key":"a/b"}]' }],
  deletePrefix: [
    { method: 'DELETE', path: '/v1/kv?prefix=a/&dry_run=1' },
    { method: 'DELETE', path: '/v1/kv?prefix=a/&confirm=a/' },
  ],
  exportKeys: [
    { method: 'GET', path: '/v1/export?prefix=a/' },
    { method: 'HEAD', path: '/v1/export' },
  ],
  watchKeys: [
    { method: 'GET', path: '/v1/watch?prefix=a/&initial=1&wait=0s' },
    { method: 'HEAD', path: '/v1/watch?key=a' },
  ],
  getNode: [{ method: 'GET', path: '/v1/node' }],
  getCluster: [{ method: 'GET', path: '/v1/cluster' }],
  getOpenApi: [{ method: 'GET', path: '/openapi.json' }],
  getDocs: [{ method: 'GET', path: '/docs' }],
};

test('every operation of the document comes to every outcome it tells of, as it tells', async () => {
  for (const { method, operation } of described) {
    const own = calls[operation.operationId.replace(/Head$/, '')] ?? [];
    expect(
      own.some((each) => each.method === method),
      `a call of ${operation.operationId}`,
    ).toBe(true);
  }
  expect(new Set(Object.keys(calls))).toEqual(new Set(operations.map(({ id }) => id)));
  given.clear();
  for (const { path, ...options } of Object.values(calls).flat()) expect((await ask(running.port, path, options)).status).toBeLessThan(400);
  for (const { id, outcomes } of operations) {
    expect([...(given.get(id) ?? [])].map(String).sort(), id).toEqual(Object.keys(outcomes));
  }
});

test('every route is described, and every described operation has a route', () => {
  const rooms = { keyValue: running.keyValue, version: '0', limits: {}, freshness: () => [] } as unknown as Parameters<typeof v1Routes>[0];
  const routes = v1Routes(rooms).flatMap(({ path, methods }) => Object.keys(methods).map((method) => `${method} ${path}`));
  expect(
    described
      .filter(({ method }) => method !== 'HEAD')
      .map(({ path, method }) => `${method} ${path}`)
      .sort(),
  ).toEqual(routes.sort());
});

describe('the document', () => {
  test('is OpenAPI 3.1 of this version, and needs no other', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(document.info.version).toBe('1.2.3');
    const text = JSON.stringify(document);
    expect(text).not.toContain('http://');
    expect(text).not.toContain('https://');
    for (const [, kind, name] of text.matchAll(/"#\/components\/(\w+)\/([\w-]+)"/g)) {
      expect(document.components[kind as string]?.[name as string], `${kind}/${name}`).toBeDefined();
    }
    expect(document.components['schemas']).toHaveProperty('Problem');
  });

  test('has words for every operation, parameter, header and answer', () => {
    const ids = described.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of described) {
      const where = `${method} ${path}`;
      expect(operation.summary.length, where).toBeGreaterThan(5);
      expect(operation.description.length, where).toBeGreaterThan(20);
      expect(operation['x-curl'], where).toMatch(/^curl /);
      for (const parameter of operation.parameters) {
        expect(parameter.description.length, `${where} ${parameter.name}`).toBeGreaterThan(8);
        expect(Object.keys(parameter.schema).length, `${where} ${parameter.name}`).toBeGreaterThan(0);
      }
      for (const name of path.matchAll(/\{(\w+)\}/g)) {
        expect(operation.parameters).toContainEqual(expect.objectContaining({ name: name[1], in: 'path', required: true }));
      }
      for (const [status, answer] of Object.entries(operation.responses)) {
        expect(answer.description.length, `${where} ${status}`).toBeGreaterThan(5);
        expect(Object.keys(answer.headers)).toContain('Bitacora-Node');
        if (method === 'HEAD') expect(answer.content).toBeUndefined();
      }
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '500']));
    }
    for (const header of Object.values(document.components['headers'] ?? {})) {
      expect((header as { description: string }).description.length).toBeGreaterThan(8);
    }
  });

  test('says what requests are checked by: bounds and words', async () => {
    const limit = document.paths['/v1/kv']?.['get']?.parameters.find(({ name }) => name === 'limit');
    expect(limit?.schema).toMatchObject({ type: 'integer', minimum: 1, maximum: 1_000, default: 100 });
    expect((await ask(running.port, '/v1/kv?limit=1000')).status).toBe(200);
    expect((await ask(running.port, '/v1/kv?limit=1001')).status).toBe(400);
    for (const { path, method, operation } of described.filter((each) => each.method === 'GET')) {
      for (const { name, schema } of operation.parameters.filter((each) => each.in === 'query')) {
        for (const word of (schema as { enum?: string[] }).enum ?? []) {
          // A watch needs to be told what of, and would not end.
          const needed = path === '/v1/watch' ? 'prefix=&wait=0s&' : '';
          const reply = await ask(running.port, `${path.replace('{key}', 'x')}?${needed}${name}=${word}`, { method });
          expect([200, 404], `${path} ${name}=${word}`).toContain(reply.status);
        }
        if ('enum' in schema) expect((await ask(running.port, `${path.replace('{key}', 'x')}?${name}=nonsense`)).status).toBe(400);
      }
    }
  });
});

describe('/docs', () => {
  test('shows every operation with its command, and every error under the address that problems name', async () => {
    const { text, headers } = await ask(running.port, '/docs');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    for (const { operation, method } of described.filter((each) => each.method !== 'HEAD')) {
      expect(text).toContain(`id="${operation.operationId}"`);
      expect(text, method).toContain(operation['x-curl'].replaceAll('&', '&amp;').replaceAll('"', '&quot;'));
    }
    for (const code of Object.keys(errorTable)) expect(text).toContain(`id="${code}"`);
    const ids = [...text.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, target] of text.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  test('needs no other host, and may do nothing but its own script', async () => {
    const { text, headers } = await ask(running.port, '/docs');
    expect(text).not.toMatch(/(?:src|href)="(?!#|\/openapi\.json)/);
    expect(text).not.toMatch(/ on\w+=| style="|@import|url\(/);
    const policy = headers['content-security-policy'] as string;
    expect(policy).toMatch(/^default-src 'none';/);
    for (const tag of ['style', 'script']) {
      const content = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(text)?.[1] as string;
      expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(content).digest('base64')}'`);
    }
  });
});
