/** Connections that do not speak HTTP, or too slowly, or too much: a short answer, the end, and nobody else is affected. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { maxValueBytes } from '../memory-key-value.ts';
import { call, form, type Running, raw, startServer, testLimits } from './start-server.ts';

let running: Running;
beforeEach(async () => {
  running = await startServer();
});
afterEach(async () => {
  // Whatever was done to it, the others are served.
  expect((await call(running.port, '/livez')).status).toBe(200);
  await running.stop();
});

const host = 'Host: n1\r\n';
const statuses = (text: string): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1] ?? '');

test.each<[string, string | Uint8Array, string]>([
  ['TLS', new Uint8Array([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]), '400'],
  ['NULs', new Uint8Array(4096), '400'],
  ['a word', 'hello\r\n\r\n', '400'],
  ['an unknown method', 'FROB /rpc HTTP/1.1\r\n\r\n', '400'],
  ['two lengths', `POST /rpc HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, '400'],
  ['length and chunks', `POST /rpc HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, '400'],
  ['a negative length', `POST /rpc HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`, '400'],
  ['a broken chunk', `POST /rpc?key=a&value=b HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, '400'],
  ['headers over the limit', `GET /livez HTTP/1.1\r\n${host}X: ${'x'.repeat(testLimits.maxHeaderBytes)}\r\n\r\n`, '431'],
  ['a target over the limit', `GET /rpc?key=${'x'.repeat(testLimits.maxHeaderBytes)} HTTP/1.1\r\n${host}\r\n`, '431'],
  ['unescaped bytes in the target', `GET /rpc?key=ñ HTTP/1.1\r\n${host}\r\n`, '400'],
  ['no Host', 'GET /livez HTTP/1.1\r\n\r\n', '400'],
])('%s: a short answer, and closed', async (_what, bytes, status) => {
  const answer = await (await raw(running.port, bytes)).closed;
  expect(statuses(answer)).toEqual([status]);
  expect(answer).toMatch(/Connection: close/i);
  expect(answer).not.toMatch(/ at |\.ts|node:/);
  expect(answer.length).toBeLessThan(500);
});

test.each([
  ['silence', ''],
  ['half a header', 'GET /livez HTTP/1.1\r\nHos'],
])('%s: 408 within the limit, and closed', async (_what, bytes) => {
  const started = performance.now();
  const answer = await (await raw(running.port, bytes)).closed;
  expect(statuses(answer)).toEqual(['408']);
  expect(performance.now() - started).toBeLessThan(6_000);
});

test('a trickle of headers does not extend the limit', async () => {
  const { socket, closed } = await raw(running.port, 'GET /livez HTTP/1.1\r\n');
  const trickle = setInterval(() => socket.write('X: y\r\n'), 100);
  expect(statuses(await closed)).toEqual(['408']);
  clearInterval(trickle);
});

test('a body that does not come: 408, and closed', async () => {
  const head = `POST /rpc HTTP/1.1\r\n${host}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\nkey=a`;
  expect(statuses(await (await raw(running.port, head)).closed)).toEqual(['408']);
  expect(running.keyValue.written).toEqual([]);
});

test('a body that ends early writes nothing', async () => {
  const { socket, closed } = await raw(running.port, `POST /rpc?key=a&value=b HTTP/1.1\r\n${host}Content-Length: 50\r\n\r\nkey=a`);
  socket.destroy();
  await closed;
  await expect.poll(() => running.observed).toContainEqual({ route: '/rpc', method: 'POST', status: 499 });
  expect(running.keyValue.written).toEqual([]);
});

test('an announced body over the limit is refused before it is sent', async () => {
  const head = `POST /rpc HTTP/1.1\r\n${host}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 2000000\r\n`;
  const { received, socket } = await raw(running.port, `${head}\r\n`);
  await expect.poll(received).toContain(String(maxValueBytes));
  expect(statuses(received())).toEqual(['413']);
  socket.destroy();
  const asking = await raw(running.port, `${head}Expect: 100-continue\r\n\r\n`);
  await expect.poll(asking.received).toContain('413');
  expect(asking.received()).not.toContain('100 Continue');
  asking.socket.destroy();
});

test('who asks first for leave to send gets it within the limit', async () => {
  const head = `POST /rpc HTTP/1.1\r\n${host}Content-Type: ${form['content-type']}\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n`;
  const { received, socket } = await raw(running.port, head);
  await expect.poll(received).toContain('100 Continue');
  socket.write('key=a&value');
  await expect.poll(received).toContain('200 OK');
  socket.destroy();
});

test('a sender of too much can read his answer, announced or not', async () => {
  const body = `key=a&value=${'x'.repeat(2_000_000)}`;
  for (const headers of [form, { ...form, 'transfer-encoding': 'chunked' }]) {
    const reply = await call(running.port, '/rpc', { method: 'POST', headers, body });
    expect(reply.status).toBe(413);
    expect(reply.headers['connection']).toBe('close');
  }
  expect(running.keyValue.written).toEqual([]);
});

test('an endless body is cut', async () => {
  const { socket, closed } = await raw(
    running.port,
    `POST /rpc HTTP/1.1\r\n${host}Content-Type: ${form['content-type']}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  const pump = setInterval(() => socket.write(chunk), 1);
  expect(statuses(await closed)).toEqual(['413']);
  clearInterval(pump);
});

test('pipelined requests are answered in order, hot and slow', async () => {
  await running.keyValue.put('k', Buffer.from('v'));
  const lines = ['GET /rpc?key=none', 'GET /rpc?key=k', 'POST /rpc?key=k&value=w', 'GET /livez', 'DELETE /rpc', 'GET /rpc?key=k'];
  const last = 'GET /nowhere';
  const { closed } = await raw(
    running.port,
    [...lines.map((line) => `${line} HTTP/1.1\r\n${host}\r\n`), `${last} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`].join(''),
  );
  expect(statuses(await closed)).toEqual(['404', '200', '200', '200', '400', '200', '404']);
});

test('garbage behind requests: their answers come first', async () => {
  let open = (): void => undefined;
  running.keyValue.writeGate = new Promise((resolve) => {
    open = resolve;
  });
  const { closed, received } = await raw(
    running.port,
    `POST /rpc?key=slow&value=1 HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\nGET /livez HTTP/1.1\r\n${host}\r\n\x00\x01garbage\r\n\r\n`,
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(received()).toBe('');
  open();
  expect(statuses(await closed)).toEqual(['200', '200', '400']);
  expect(running.keyValue.written).toEqual(['slow']);
});

test('a client that goes away ends its wait', async () => {
  running.keyValue.writeGate = new Promise(() => undefined);
  const { socket } = await raw(running.port, `POST /rpc?key=a&value=b HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await expect.poll(() => running.keyValue.aborted.length).toBe(1);
});

test('a reader that takes nothing is cut', async () => {
  await running.keyValue.put('large', Buffer.alloc(maxValueBytes, 0x61));
  const { socket } = await raw(running.port);
  socket.pause();
  const gone = new Promise((resolve) => socket.once('close', resolve));
  socket.write(`GET /rpc?key=large HTTP/1.1\r\n${host}\r\n`.repeat(200));
  await expect.poll(async () => running.observed.length, { timeout: 5_000 }).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, testLimits.requestTimeoutMs + 1_000));
  socket.resume();
  await gone;
});

test('above the limit of connections the newest are closed, and the old ones go on', async () => {
  await running.stop();
  running = await startServer({ maxConnections: 3 });
  const held = await Promise.all([1, 2, 3].map(() => raw(running.port)));
  expect(await (await raw(running.port, `GET /livez HTTP/1.1\r\n${host}\r\n`)).closed).toBe('');
  held[0]?.socket.write(`GET /livez HTTP/1.1\r\n${host}\r\n`);
  await expect.poll(() => held[0]?.received()).toContain('200 OK');
  for (const { socket, closed } of held) {
    socket.destroy();
    await closed;
  }
  await expect.poll(async () => (await call(running.port, '/livez').catch(() => undefined))?.status).toBe(200);
});

test('bodies that do not end take up no more than they may together; above it 503, and afterwards all is as before', async () => {
  await running.stop();
  running = await startServer({ maxBodiesBytes: 3_000, requestTimeoutMs: 20_000 });
  const head = `PUT /v1/kv/k HTTP/1.1\r\n${host}Content-Type: text/plain\r\nContent-Length: 1001\r\n\r\n${'x'.repeat(1_000)}`;
  const held = await Promise.all([1, 2, 3].map(() => raw(running.port, head)));
  const put = () => call(running.port, '/v1/kv/other', { method: 'PUT', body: 'value' });
  await expect.poll(put).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  // What has no body is answered.
  expect((await call(running.port, '/v1/kv/nothing')).status).toBe(404);
  for (const { socket, closed } of held) {
    socket.destroy();
    await closed;
  }
  await expect.poll(async () => (await put()).status).toBe(200);
});
