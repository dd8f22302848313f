/** The commands that people are shown do what is said of them, as they stand. */
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../../../rpc/http/v1/operations.ts';
import { filesIn, importsOf, textOf } from '../../../docs/sources.ts';
import type { Running } from '../start-server.ts';
import { startV1 } from './start-v1.ts';

let running: Running;
beforeAll(async () => {
  running = await startV1();
});
afterAll(() => running.stop());

/** The status that a command comes to, by the system's own shell and curl. A stream (`-N`) is left after a second, with curl's code 28. */
function statusOf(command: string): Promise<string> {
  const ends = !/ -N /.test(command);
  const line = command
    .replace(/^curl /, `curl -sS ${ends ? '' : '-m 1 '}-o /dev/null -w '%{http_code}' `)
    .replace('localhost:8082', `127.0.0.1:${running.port}`);
  return new Promise((resolve, reject) => {
    execFile('sh', ['-c', line], { timeout: 10_000 }, (error, out, said) =>
      error && (ends || error.code !== 28) ? reject(new Error(`${command}: ${said}`)) : resolve(out),
    );
  });
}

describe('docs/http.md', () => {
  const lines = textOf('docs/http.md').match(/^curl .*# \d{3}.*$/gm) ?? [];

  test('has commands', () => expect(lines.length).toBeGreaterThan(15));

  test('each comes to the status behind it, in their order', async () => {
    for (const line of lines) expect(await statusOf(line), line).toBe(line.match(/# (\d{3})/)?.[1]);
  });

  test('tells of every path', () => {
    for (const { path } of operations) expect(textOf('docs/http.md')).toContain(path);
  });
});

test('those of the document are understood', async () => {
  for (const { curl } of operations) expect(await statusOf(curl), curl).toMatch(/^(?:2..|404)$/);
});

test('TypeBox is named in one file', () => {
  const files = filesIn('src', 'storage', 'cluster', 'rpc', 'wire', 'client').filter((file) =>
    importsOf(file).some((name) => name.startsWith('@sinclair/typebox')),
  );
  expect(files).toEqual(['rpc/http/v1/schema.ts']);
});
