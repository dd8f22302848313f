/** Leaving without a failed request, and not leaving late. */
import { Agent } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { openHttpServer } from '../../../rpc/http/server.ts';
import { codeOf } from '../../../src/core/errors.ts';
import { createMemoryKeyValue } from '../memory-key-value.ts';
import { call, type Running, raw, startServer, testLimits } from './start-server.ts';

let running: Running;
afterEach(() => running.stop());

test('under load: nothing that was accepted fails, and all ends', async () => {
  running = await startServer({ writeTimeoutMs: 5_000 });
  const { port, keyValue, server } = running;
  keyValue.writeGate = new Promise((resolve) => setTimeout(resolve, 300));
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const failures: string[] = [];
  const acknowledged: string[] = [];
  let stopped = false;
  const client = async (name: number): Promise<void> => {
    for (let turn = 0; !stopped; turn++) {
      const key = `${name}-${turn}`;
      try {
        const reply = await call(port, `/rpc?key=${key}&value=1`, { method: 'POST', agent });
        if (reply.status === 200) acknowledged.push(key);
        else failures.push(`${reply.status} ${reply.text}`);
      } catch (error) {
        // Refused means not accepted: a balancer asks another node.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') failures.push(String(error));
        stopped = true;
      }
      keyValue.writeGate = new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const clients = Array.from({ length: 16 }, (_, name) => client(name));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const started = performance.now();
  await server.drain();
  expect(performance.now() - started).toBeLessThan(3_000);
  await Promise.all(clients);
  expect(failures).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(16);
  expect(new Set(acknowledged)).toEqual(new Set(keyValue.written));
  agent.destroy();
});

test('an answer in a drain says that it is the last; pipelined ones all come', async () => {
  running = await startServer({ writeTimeoutMs: 5_000 });
  let open = (): void => undefined;
  running.keyValue.writeGate = new Promise((resolve) => {
    open = resolve;
  });
  const idle = await raw(running.port);
  const line = (text: string): string => `${text} HTTP/1.1\r\nHost: n1\r\nContent-Length: 0\r\n\r\n`;
  const busy = await raw(running.port, line('POST /rpc?key=a&value=1'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const drained = running.server.drain();
  idle.socket.write(line('GET /rpc?key=none') + line('GET /livez'));
  busy.socket.write(line('POST /rpc?key=b&value=1'));
  const answers = await idle.closed;
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200']);
  expect(answers.match(/Connection: close/gi)).toHaveLength(1);
  open();
  const writes = await busy.closed;
  expect(writes.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(writes.match(/Connection: close/gi)).toHaveLength(1);
  await drained;
  await expect(call(running.port, '/livez')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a silent connection is let go after a moment, one that waits for ever at the limit', async () => {
  running = await startServer({ writeTimeoutMs: 60_000 }, 1_200);
  running.keyValue.writeGate = new Promise(() => undefined);
  const silent = await raw(running.port);
  const waiting = await raw(running.port, 'POST /rpc?key=a&value=1 HTTP/1.1\r\nHost: n1\r\nContent-Length: 0\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const started = performance.now();
  const drained = running.server.drain();
  await silent.closed;
  expect(performance.now() - started).toBeLessThan(1_100);
  await drained;
  await waiting.closed;
  expect(performance.now() - started).toBeLessThan(3_000);
  await running.server.drain();
});

test('close cuts at once, twice is once', async () => {
  running = await startServer();
  const { closed } = await raw(running.port);
  await running.server.close();
  await running.server.close();
  await closed;
});

test('a taken port is named, with its holder', async () => {
  running = await startServer();
  const attempt = openHttpServer({
    keyValue: createMemoryKeyValue(),
    node: 'n2',
    version: '1.2.3',
    members: () => [],
    askMember: () => Promise.reject(new Error('nobody there')),
    host: '127.0.0.1',
    port: running.port,
    limits: testLimits,
    metrics: async () => ({ contentType: '', body: '' }),
    observe: () => undefined,
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    drainMs: 1,
  });
  const error = await attempt.catch((reason: unknown) => reason);
  expect(codeOf(error)).toBe('port-taken');
  expect(String(error)).toContain(`port ${running.port} is taken by`);
  if (process.platform === 'linux') expect(String(error)).toContain('this process itself');
});
