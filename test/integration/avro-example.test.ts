/** The example runs, as its first lines say, against the library as it is built. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from './clean-up.ts';
import { newPlace, startNode } from './node-process.ts';

afterEach(cleanUp);

const example = join(import.meta.dirname, '../../examples/client.mjs');
const run = (servers: string) =>
  promisify(execFile)(process.execPath, [example], { env: { PATH: process.env['PATH'], SERVERS: servers }, timeout: 30_000 });

test('it does what it shows, and ends by itself', async () => {
  const node = startNode(await newPlace(), { LOG: 'memory' });
  await node.ready();
  const { stdout, stderr } = await run(node.socket);
  expect(stderr).toBe('');
  expect(stdout).toContain('read hello');
  expect(stdout).toMatch(/example:a 1\nexample:b 2\nexample:c undefined/);
  expect(stdout).toContain('deleted undefined');
}, 60_000);

test('nobody there: it says so', async () => {
  const { socket } = await newPlace();
  await expect(run(socket)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(socket) });
}, 60_000);
