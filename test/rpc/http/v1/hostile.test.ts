/** Requests to `/v1` that no well-meaning client would send: a short problem, and nobody else is affected. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call, type Running, raw, testLimits } from '../start-server.ts';
import { ask, startV1 } from './start-v1.ts';

let running: Running;
beforeEach(async () => {
  running = await startV1();
});
afterEach(async () => {
  expect((await call(running.port, '/livez')).status).toBe(200);
  expect(running.logged.filter((line) => line.includes('http.failed'))).toEqual([]);
  await running.stop();
});

const host = 'Host: n1\r\n';
const problemIn = (answer: string): Record<string, unknown> => {
  expect(answer).toMatch(/Content-Type: application\/problem\+json/i);
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  expect(answer).toMatch(new RegExp(`Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n`, 'i'));
  return JSON.parse(Buffer.from(body, 'latin1').toString());
};

describe('what is no request is a problem too, where it can be told whose it is', () => {
  test.each<[string, string, number, string]>([
    [
      'headers over the limit',
      `GET /v1/kv/a HTTP/1.1\r\n${host}X: ${'x'.repeat(testLimits.maxHeaderBytes)}\r\n\r\n`,
      431,
      'headers-too-large',
    ],
    ['a target over the limit', `GET /v1/kv/${'x'.repeat(testLimits.maxHeaderBytes)} HTTP/1.1\r\n${host}\r\n`, 431, 'headers-too-large'],
    ['unescaped bytes in the key', `GET /v1/kv/ñ HTTP/1.1\r\n${host}\r\n`, 400, 'bad-request'],
    ['two lengths', `PUT /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, 400, 'bad-request'],
    [
      'length and chunks',
      `PUT /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'bad-request',
    ],
    ['a broken chunk', `PUT /v1/kv/a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400, 'bad-request'],
    ['a length that is not kept', `PUT /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nabc`, 408, 'request-timeout'],
  ])('%s', async (_what, bytes, status, code) => {
    const { closed } = await raw(running.port, bytes);
    const answer = await closed;
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/Connection: close/i);
    expect(problemIn(answer)).toMatchObject({ status, code, node: 'n1' });
    expect(running.keyValue.writes).toEqual([]);
  });

  test('and elsewhere stays what it was', async () => {
    const answer = await (await raw(running.port, `GET /rpc?key=${'x'.repeat(testLimits.maxHeaderBytes)} HTTP/1.1\r\n${host}\r\n`)).closed;
    expect(answer).toMatch(/Content-Type: application\/json/i);
    expect(answer).toContain('{"message": ');
  });
});

test('a length below what is sent: the rest is no request', async () => {
  const { closed } = await raw(running.port, `PUT /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nabcdef\r\n\r\n`);
  const answer = await closed;
  expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(['200', '400']);
  const found = (await running.keyValue.readLocal('a')).found;
  expect(Buffer.from(found?.value ?? []).toString()).toBe('ab');
});

test('a body that ends early writes nothing', async () => {
  const { socket, closed } = await raw(running.port, `PUT /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 50\r\n\r\nabc`);
  socket.destroy();
  await closed;
  await expect.poll(() => running.observed).toContainEqual({ route: '/v1/kv/{key}', method: 'PUT', status: 499 });
  expect(running.keyValue.writes).toEqual([]);
});

test('a body on a read is passed over, and the connection goes on', async () => {
  const { received, socket } = await raw(
    running.port,
    `GET /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabcGET /v1/kv/b HTTP/1.1\r\n${host}\r\n`,
  );
  await expect.poll(() => [...received().matchAll(/HTTP\/1\.1 404/g)].length).toBe(2);
  socket.destroy();
});

test('an endless body is cut', async () => {
  const { socket, closed } = await raw(running.port, `PUT /v1/kv/a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  const pump = setInterval(() => socket.write(chunk), 1);
  expect(await closed).toMatch(/^HTTP\/1\.1 413 /);
  clearInterval(pump);
  expect(running.keyValue.writes).toEqual([]);
});

test('a client that goes away ends its wait', async () => {
  running.keyValue.writeGate = new Promise(() => undefined);
  const { socket } = await raw(running.port, `PUT /v1/kv/a HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await expect.poll(() => running.keyValue.aborted.length).toBe(1);
});

test('pipelined requests are answered in order', async () => {
  await running.keyValue.put('k', Buffer.from('v'));
  const lines = [
    'PUT /v1/kv/other',
    'GET /v1/kv/k',
    'GET /v1/kv/none',
    'DELETE /v1/kv/gone',
    'HEAD /v1/kv/none',
    'GET /v1/nothing',
    'PATCH /v1/kv',
  ];
  const { closed } = await raw(
    running.port,
    `${lines.map((line) => `${line} HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`).join('')}GET /v1/node HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  );
  const statuses = [...(await closed).matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]);
  expect(statuses).toEqual(['200', '200', '404', '204', '404', '404', '405', '200']);
});

test.each([
  ['If-None-Match', `${'"a",'.repeat(1_900)}"b"`],
  ['If-None-Match', `${','.repeat(7_500)}x`],
  ['If-Match', `${' '.repeat(1)}${'"'.repeat(7_000)}`],
  ['Accept', `${'a/b;'.repeat(1_800)}q=0`],
  ['Prefer', `${'wait=,'.repeat(1_200)}`],
  ['Bitacora-Min-Position', '0:0,'.repeat(1_900)],
  ['Content-Type', `a/b;${'x'.repeat(7_000)}`],
  ['Idempotency-Key', 'x'.repeat(7_500)],
])('a long %s costs nothing', async (name, value) => {
  const started = performance.now();
  for (const method of ['GET', 'PUT']) {
    const reply = await ask(running.port, '/v1/kv/a', { method, headers: { [name]: value } });
    expect(reply.status).toBeLessThan(500);
  }
  expect(performance.now() - started).toBeLessThan(500);
});

test.each([
  '/v1/kv?%00=1',
  '/v1/kv?constructor=1',
  '/v1/kv?=1',
  '/v1/kv/a?toString=1',
  `/v1/kv?${'a&'.repeat(3_000)}`,
  '/v1/kv?prefix=%',
  '/v1/node?x',
])('%s: 400', async (path) => {
  const reply = await ask(running.port, path);
  expect(reply.status).toBe(400);
  expect(reply.bytes.length).toBeLessThan(1_000);
});

test('header names and values of an answer hold nothing of the request’s', async () => {
  const reply = await ask(running.port, '/v1/kv/a%0d%0aEvil:%201', { method: 'PUT', body: 'x' });
  expect(reply.status).toBe(200);
  expect(reply.headers['evil']).toBeUndefined();
  expect((await ask(running.port, '/v1/kv/a%0d%0aEvil:%201')).text).toBe('x');
});
