/** A node alone on its embedded log: killed with -9 under load, and started for the first time with no settings at all. */
import { access, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { get, put, remove, valueAt } from './calls.ts';
import { cleanUp, newDirectory } from './clean-up.ts';
import { Ledger } from './ledger.ts';
import { newPlace, runNode, startNode } from './node-process.ts';

afterEach(cleanUp);

test('killed under load, twice: every acknowledged write and delete is there', async () => {
  const place = await newPlace();
  const ledger = new Ledger();
  for (let round = 0; round < 2; round++) {
    const node = startNode(place, {});
    await node.ready();
    let killed = false;
    const until = ledger.counts.done + 800;
    const lane = async (name: string): Promise<void> => {
      for (let i = 0; !killed; i++) {
        await ledger.write(node, `${name}-${i}`, `value ${i}`);
        await ledger.write(node, `${name}-again`, i % 3 === 2 ? undefined : `again ${i}`);
        if (killed || ledger.counts.done < until) continue;
        killed = true;
        node.signal('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, i) => lane(`${round}-${i}`)));
    expect((await node.exit).signal).toBe('SIGKILL');
  }
  const back = startNode(place, {});
  await back.ready();
  expect(await ledger.wrongAt((key) => valueAt(back, key))).toEqual([]);
  expect(ledger.counts.done).toBeGreaterThanOrEqual(1_600);
  expect((await back.end()).code).toBe(0);
});

test('a first run with no settings at all, in an empty directory', async () => {
  const directory = await newDirectory();
  // The usual port, unless somebody on this machine has it.
  const usual = (await isFree(8082)) && (await isFree(8083));
  const { port, avroPort } = usual ? { port: 8082, avroPort: 8083 } : await newPlace();
  const place = {
    port,
    avroPort,
    socket: `127.0.0.1:${avroPort}`,
    directory,
    address: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
  };
  const node = runNode(place, {}, usual ? [] : ['--api-port', String(port), '--avro-port', String(avroPort)]);
  await node.ready();
  expect(await node.said('node.listening')).toMatchObject({ log: 'embedded', http: `127.0.0.1:${port}`, avro: `127.0.0.1:${avroPort}` });
  expect((await put(node, 'hello', 'world')).status).toBe(200);
  expect(await valueAt(node, 'hello')).toBe('world');
  expect((await remove(node, 'hello')).status).toBe(200);
  expect((await get(node, 'hello')).status).toBe(404);
  await access(join(directory, 'data'));
  expect(await readdir(directory)).toEqual(['data']);
  expect(await node.end('SIGINT')).toEqual({ code: 0, signal: null });
  expect(node.errors()).toBe('');
});

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
