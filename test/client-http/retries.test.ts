/** What is sent again, and what never: a write that may have had its effect. */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Bitacora } from '../../client/http/index.ts';
import { type Behaviour, client, failureOf, fake, problem, refusing, say, well } from './setting.ts';

const reset: Behaviour = (_, response) => response.socket?.resetAndDestroy();
const partly: Behaviour = (_, response) => {
  response.writeHead(200, { 'Bitacora-Node': 'n', 'Content-Length': '100' });
  response.write('{"key"', () => response.socket?.destroy());
};
const garbage: Behaviour = (_, response) => say(response, 200, '{"key":');
const nonsense: Behaviour = (_, response) => say(response, 200, { key: 1, version: null, results: [1] });
const noHttp: Behaviour = (_, response) => void response.socket?.end('gibberish\r\n\r\n');
const html =
  (status: number): Behaviour =>
  (_, response) => {
    response.writeHead(status, { 'Content-Type': 'text/html' });
    response.end('<html>');
  };
const says =
  (status: number, code: string): Behaviour =>
  (_, response) =>
    problem(response, status, code);

/** After these nobody knows whether a write was done. */
const unknown: [string, Behaviour][] = [
  ['a reset', reset],
  ['half an answer', partly],
  ['garbage for JSON', garbage],
  ['JSON of another shape', nonsense],
  ['what is not HTTP', noHttp],
  ['a proxy’s 502', html(502)],
  ['a proxy’s 503', html(503)],
  ['a page of somebody else', html(200)],
  ['a redirect', html(302)],
  ['unknown-outcome', says(504, 'unknown-outcome')],
  ['internal', says(500, 'internal')],
  ['store-failed', says(503, 'store-failed')],
  ['closed', says(503, 'closed')],
];
/** After these it certainly was not. */
const harmless: [string, Behaviour][] = [
  ['draining', says(503, 'draining')],
  ['overloaded', says(503, 'overloaded')],
  ['log-unavailable', says(503, 'log-unavailable')],
  ['request-timeout', says(408, 'request-timeout')],
];

const plain: [string, (kv: Bitacora) => Promise<unknown>][] = [
  ['put', (kv) => kv.put('k', 'v')],
  ['del', (kv) => kv.del('k')],
  ['batch', (kv) => kv.batch([{ op: 'put', key: 'k', value: 'v' }])],
  [
    'batch with one key of two',
    (kv) =>
      kv.batch([
        { op: 'del', key: 'k', idempotencyKey: 'x' },
        { op: 'del', key: 'l' },
      ]),
  ],
  ['atomic batch', (kv) => kv.batch([{ op: 'put', key: 'k', value: 'v', ifAbsent: true }], { atomic: true })],
];
const repeatable: [string, (kv: Bitacora) => Promise<unknown>][] = [
  ['put with a key', (kv) => kv.put('k', 'v', { idempotencyKey: 'mine' })],
  ['cas', (kv) => kv.cas('k', '0:1', 'v')],
  ['del with a condition', (kv) => kv.del('k', { ifVersion: '0:1' })],
  ['batch with conditions', (kv) => kv.batch([{ op: 'put', key: 'k', value: 'v', ifAbsent: true }])],
];

/** JSON that is no delete's answer does a delete no harm: its status says it all. */
const shapeless = new Set(['garbage for JSON', 'JSON of another shape']);

describe.each(unknown)('after %s', (what, behaviour) => {
  test.each(plain)('a plain %s is not sent again, and its outcome is unknown', async (name, call) => {
    if (name === 'del' && shapeless.has(what)) return;
    const [one, two] = [await fake(behaviour), await fake(behaviour)];
    const error = await failureOf(call(client([one.port, two.port])));
    expect(error).toMatchObject({ code: 'unknown-outcome', retryable: false });
    expect(one.requests.length + two.requests.length).toBe(1);
  });

  test.each(repeatable)('a %s is sent again with the same idempotency key', async (name, call) => {
    if (name.startsWith('del') && shapeless.has(what)) return;
    let sent = 0;
    const once: Behaviour = (...args) => (sent++ === 0 ? behaviour(...args) : well(...args));
    const [one, two] = [await fake(once), await fake(once)];
    await call(client([one.port, two.port]));
    const requests = [...one.requests, ...two.requests];
    expect(requests).toHaveLength(2);
    const keys = requests.map(({ headers, body }) => headers['idempotency-key'] ?? /"idempotency_key":"([^"]+)"/.exec(body)?.[1]);
    expect(keys[0]).toBeDefined();
    expect(keys[0]).toBe(keys[1]);
  });

  test('a read is asked elsewhere', async () => {
    const [one, two] = [await fake(behaviour), await fake(well)];
    for (let times = 0; times < 6; times++) {
      const kv = client([one.port, two.port]);
      if (shapeless.has(what)) await kv.get('k');
      else expect(await kv.get('k')).toBe('fake value');
    }
  });

  test('a read that finds nobody better is told of it, bounded', async () => {
    const { port, requests } = await fake(behaviour);
    const kv = client([port], { attempts: 3 });
    const error = await failureOf(kv.getRecord('k'));
    expect(['connection', 'internal', 'unknown-outcome', 'store-failed', 'closed']).toContain(error.code);
    expect(error.retryable).toBe(true);
    expect(requests).toHaveLength(3);
  });
});

describe.each(harmless)('after %s', (_, behaviour) => {
  test.each([...plain, ...repeatable])('a %s goes to another node', async (_name, call) => {
    let sent = 0;
    const once: Behaviour = (...args) => (sent++ === 0 ? behaviour(...args) : well(...args));
    const [one, two] = [await fake(once), await fake(once)];
    const kv = client([one.port, two.port]);
    await call(kv).catch((error) => expect(error.code).toBe('unknown-outcome'));
    expect([one.requests.length, two.requests.length]).toEqual([1, 1]);
  });

  test('a write that finds nobody is told so, and may be repeated', async () => {
    const { port } = await fake(behaviour);
    const error = await failureOf(client([port], { attempts: 2 }).put('k', 'v'));
    expect(error.retryable).toBe(true);
  });
});

describe('a write that may have been done', () => {
  test('is not told as refused, though a later attempt was', async () => {
    const { port, requests } = await fake((...args) => (args[2] === 1 ? reset(...args) : says(503, 'overloaded')(...args)));
    const error = await failureOf(client([port], { attempts: 3 }).cas('k', '0:1', 'v'));
    expect(error).toMatchObject({ code: 'unknown-outcome', retryable: false, cause: expect.objectContaining({ code: 'overloaded' }) });
    expect(requests).toHaveLength(3);
  });

  test('is told as conflicting when the log has decided so', async () => {
    const { port } = await fake((...args) => (args[2] === 1 ? reset(...args) : says(412, 'version-conflict')(...args)));
    expect((await failureOf(client([port]).cas('k', '0:1', 'v'))).code).toBe('version-conflict');
  });

  test('on a connection that the node has just ended is not sent again', async () => {
    const { port, requests } = await fake((request, response, number) =>
      number === 1 ? well(request, response, number) : reset(request, response, number),
    );
    const kv = client([port]);
    await kv.put('k', 'v');
    expect((await failureOf(kv.put('k', 'v'))).code).toBe('unknown-outcome');
    expect(requests).toHaveLength(2);
  });
});

describe('what is certain is not asked again', () => {
  test.each([
    [400, 'bad-request'],
    [409, 'position-foreign'],
    [412, 'version-conflict'],
    [413, 'value-too-large'],
    [501, 'conditions-unsupported'],
    [418, 'of-a-later-version'],
  ])('%d %s', async (status, code) => {
    const { port, requests } = await fake(says(status, code));
    const kv = client([port]);
    expect(await failureOf(kv.put('k', 'v'))).toMatchObject({ code, retryable: false, message: expect.stringContaining(`said ${code}`) });
    expect((await failureOf(kv.get('k'))).code).toBe(code);
    expect(requests).toHaveLength(2);
  });

  test.each([401, 403, 404, 429])('a proxy’s %d is a bad-request, and never an absent key', async (status) => {
    const { port } = await fake(html(status));
    const kv = client([port]);
    for (const call of [kv.get('k'), kv.getRecord('k'), kv.put('k', 'v')]) {
      expect(await failureOf(call)).toMatchObject({ code: 'bad-request', message: expect.stringContaining(`no node answered ${status}`) });
    }
  });

  test('a problem of another service is none of ours', async () => {
    const { port } = await fake((_, response) => {
      response.writeHead(404, { 'Content-Type': 'application/problem+json' });
      response.end('{"code":"not-found"}');
    });
    expect((await failureOf(client([port]).get('k'))).code).toBe('bad-request');
  });
});

describe('nobody there', () => {
  test('refused at once by all: within a second, naming each', async () => {
    const ports = [await refusing(), await refusing()];
    const started = performance.now();
    const error = await failureOf(client(ports, { attempts: 4 }).put('k', 'v'));
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(error).toMatchObject({ code: 'connection', retryable: true, name: 'ClientConnectionError' });
    expect((error as unknown as { tried: { server: string }[] }).tried.map(({ server }) => server).sort()).toEqual(
      ports.map((port) => `http://127.0.0.1:${port}`).sort(),
    );
    for (const port of ports) expect(error.message).toContain(`127.0.0.1:${port}`);
  });

  test('a write whose connection was refused goes to another node', async () => {
    const [gone, there] = [await refusing(), await fake(well)];
    for (let times = 0; times < 6; times++) await client([gone, there.port]).put('k', 'v');
    expect(there.requests).toHaveLength(6);
  });

  test('a name that does not exist', async () => {
    const error = await failureOf(client(['http://nowhere.invalid:1'], { attempts: 1 }).put('k', 'v'));
    expect(error).toMatchObject({ code: 'connection', message: expect.stringContaining('nowhere.invalid') });
  });

  test('a node that comes back is found within the call', async () => {
    const port = await refusing();
    const call = client([port]).put('k', 'v');
    const { createServer } = await import('node:http');
    const server = createServer((_, response) => say(response, 200, { key: 'k', version: '0:1', expires: null, id: 'i' }));
    await new Promise<void>((resolve) => setTimeout(() => server.listen(port, '127.0.0.1', resolve), 100));
    expect(await call).toMatchObject({ version: '0:1' });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await new Promise((resolve) => connect(port, '127.0.0.1').on('error', resolve));
  });
});
