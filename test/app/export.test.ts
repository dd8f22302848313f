/** `bitacora export` when things go wrong on the way: it goes on elsewhere, later, or says so. */
import { execFile } from 'node:child_process';
import { access, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { checkFile } from '../../src/app/export-file.ts';
import { BitacoraError } from '../../src/core/errors.ts';
import { address, fake, later, node, problem, refusing } from '../client-http/setting.ts';
import type { Running } from '../rpc/http/start-server.ts';
import { ask } from '../rpc/http/v1/start-v1.ts';
import { createMemoryKeyValue } from '../rpc/memory-key-value.ts';
import { at, directory, run } from './backup-setting.ts';

async function filled(count: number): Promise<Running> {
  const running = await node(createMemoryKeyValue(2));
  for (let number = 0; number < count; number++) await running.keyValue.put(keyOf(number), Buffer.from(`value ${number}`));
  return running;
}
const keyOf = (number: number): string => `k/${String(number).padStart(5, '0')}`;

/** How many keys an undamaged, whole export has; and each once. */
async function wholeItems(path: string): Promise<number> {
  const file = await open(path, 'r');
  const { damage, items } = await checkFile(file).finally(() => file.close());
  expect(damage).toBeUndefined();
  return items;
}

/** Answers as the node does, but for what `cut` makes of it: then the connection breaks. */
async function breaking(running: Running, cut: (text: string, number: number) => string | undefined) {
  return fake((request, response, number) => {
    const { 'bitacora-min-position': position } = request.headers as Record<string, string>;
    void ask(running.port, request.path, { headers: position === undefined ? {} : { 'bitacora-min-position': position } }).then((reply) => {
      response.writeHead(reply.status, { ...(reply.headers as Record<string, string>) });
      const part = cut(reply.text, number);
      if (part === undefined) response.end(reply.text);
      else response.write(part, () => response.destroy());
    });
  });
}

test('a connection that breaks in the middle of a line: it goes on from the last cursor, and nothing is there twice', async () => {
  const running = await filled(3_500);
  const lossy = await breaking(running, (text, number) => [text.slice(0, 100), text.slice(0, 250_000), text.slice(0, 150_000)][number - 1]);
  const path = await directory();
  const { code, err } = await run('export', ['k/', '-o', path('all'), ...at(lossy.port)]);
  expect([code, err]).toEqual([0, expect.stringContaining('exported 3,500 items')]);
  expect(await wholeItems(path('all'))).toBe(3_500);
  expect(lossy.requests).toHaveLength(4);
  // Whoever goes on is not older than the beginning.
  expect(lossy.requests.map(({ headers }) => headers['bitacora-min-position'] !== undefined)).toEqual([false, false, true, true]);
  expect(await readdir(path('.'))).toEqual(['all']);
});

test('a page that a node cannot tell is asked for elsewhere', async () => {
  const running = await filled(2_500);
  const other = await node(running.keyValue);
  const { list } = running.keyValue;
  let pages = 0;
  running.keyValue.list = (options) => {
    if (++pages % 2 === 0) throw new BitacoraError('in-doubt', 'not known yet');
    return list(options);
  };
  const { code, out } = await run('export', at(running.port, other.port));
  expect(code).toBe(0);
  expect(out.match(/^\{"key"/gm)).toHaveLength(2_500);
  expect(out.match(/^\{"bitacora"/gm)?.length).toBeGreaterThan(1);
});

test('what was given up is gone on with, also of a file that was cut in the middle', async () => {
  const running = await filled(3_500);
  const path = await directory();
  await writeFile(path('all'), 'the old one');
  const lossy = await breaking(running, (text, number) => (number === 1 ? text.slice(0, 400_000) : ''));
  const failed = await run('export', ['k/', '-o', path('all'), '--timeout', '2s', ...at(lossy.port)]);
  expect([failed.code, failed.err]).toEqual([5, expect.stringContaining('--resume')]);
  expect(await readFile(path('all'), 'utf8')).toBe('the old one');
  const part = await readFile(path('all.part'), 'utf8');
  expect(part.endsWith('}\n')).toBe(true);
  await writeFile(path('all.part'), `${part}{"key":"k/0200`);
  expect((await run('export', ['x/', '-o', path('all'), '--resume', ...at(running.port)])).code).toBe(2);
  const resumed = await run('export', ['k/', '-o', path('all'), '--resume', ...at(running.port)]);
  expect([resumed.code, resumed.err]).toEqual([0, expect.stringContaining('exported 3,500 items')]);
  expect(await wholeItems(path('all'))).toBe(3_500);
  await expect(access(path('all.part'))).rejects.toThrow();
  // There is nothing to go on with: it begins, and does not add to what is whole.
  expect((await run('export', ['k/', '-o', path('all'), '--resume', ...at(running.port)])).code).toBe(0);
  expect(await wholeItems(path('all'))).toBe(3_500);
});

test('by hand, as docs/backup.md shows it', async () => {
  const running = await filled(2_500);
  const path = await directory();
  const page = await readFile('docs/backup.md', 'utf8');
  const [, script] = /```sh\n(# broke off[^`]+)```/.exec(page) ?? [];
  const { text } = await ask(running.port, '/v1/export?prefix=k/');
  await writeFile(path('k.jsonl'), text.slice(0, 200_000));
  const here = (script as string).replaceAll('localhost:8082', `127.0.0.1:${running.port}`);
  await promisify(execFile)('sh', ['-ec', here], { cwd: path('.') });
  expect(await wholeItems(path('k.jsonl'))).toBe(2_500);
});

test('nobody listens: told within a second and a bit', async () => {
  const port = await refusing();
  const start = performance.now();
  const { code, err, out } = await run('export', at(port));
  expect([code, out, err.includes(address(port))]).toEqual([5, '', true]);
  expect(performance.now() - start).toBeLessThan(5_000);
});

test('a node that says nothing, one that lags, one that knows no export', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const silentPort = (silent.address() as { port: number }).port;
  expect((await run('export', ['--timeout', '300ms', ...at(silentPort)])).code).toBe(5);
  const lagging = await fake((_, response) => problem(response, 503, 'position-not-reached'));
  expect((await run('export', ['--timeout', '2s', ...at(lagging.port)])).code).toBe(6);
  const old = await fake((_, response) => problem(response, 404, 'no-such-path'));
  const { code, err } = await run('export', at(old.port));
  expect([code, err]).toEqual([1, expect.stringContaining('no-such-path')]);
});

test('somebody who changes what a node says is found out', async () => {
  const running = await filled(10);
  const wrong = await breaking(running, (text) => text.replace('value 7', 'value 8'));
  const { code, err, out } = await run('export', ['--timeout', '2s', ...at(wrong.port)]);
  expect([code, err, out]).toEqual([1, expect.stringContaining('checksum'), '']);
});

test('a person sees how far it is, a script does not', async () => {
  const running = await filled(1_500);
  const { list } = running.keyValue;
  running.keyValue.list = async (options) => {
    await later(250);
    return list(options);
  };
  expect((await run('export', at(running.port), { isTTY: true })).err).toContain('\r\u001b[Kexport  500 items');
  expect((await run('export', [], { env: { BITACORA_ENDPOINT: `${address(running.port)},` } })).err).toMatch(
    /^exported 1,500 items [^\r]*\n$/,
  );
});

test('the reader of standard output goes away: it ends', async () => {
  const running = await filled(10);
  const gone = Object.assign(new Error('write EPIPE'), { syscall: 'write' });
  const { exportKeys } = await import('../../src/app/export-command.ts');
  let err = '';
  const code = await exportKeys(at(running.port), {
    env: {},
    input: (async function* () {
      yield Buffer.alloc(0);
    })(),
    out: { write: (_, done) => done?.(gone) },
    err: { write: (text) => (err += text) },
  });
  expect([code, err]).toEqual([1, 'bitacora export: write EPIPE\n']);
});
