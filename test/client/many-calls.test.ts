/** Many items in several calls are still one thing to their caller: it has one end of time, is under way as a whole, and hides no outcome. */
import { expect, test } from 'vitest';
import { originalProtocol } from '../../wire/avro/protocol.ts';
import { FakeLog, Replica } from './fake-log.ts';
import { never } from './fake-server.ts';
import { clientOf, gate, startServer, until } from './setting.ts';

/** A frame of ten items. */
const node = { maxFrameBytes: 5_128 };
const inCall = 10;
/** More than are sent at once. */
const calls = 6;
const atOnce = 4;
const sent = atOnce * inCall;
const unsent = calls * inCall - sent;
const keys = Array.from({ length: calls * inCall }, (_, index) => `k${index}`);
const entries = keys.map((key) => [key, ''] as const);
const codes = (results: readonly { readonly error?: { readonly code: string } | undefined }[]) =>
  results.map(({ error }) => error?.code ?? 'done');

test('time is up: what was not sent by then is not sent any more, and says so', async () => {
  const server = await startServer({ node });
  const client = await clientOf([server]);
  server.answers.setMany = () => never;
  const results = await client.setMany(entries, { timeoutMs: 300 });
  expect(server.count('setMany')).toBe(atOnce);
  expect(codes(results.slice(0, sent))).toEqual(Array(sent).fill('unknown-outcome'));
  expect(codes(results.slice(sent))).toEqual(Array(unsent).fill('timeout'));
  for (const { error } of results.slice(sent)) expect(error?.retryable).toBe(true);
});

test('the client is closed: all of it may finish', async () => {
  const server = await startServer({ node });
  const client = await clientOf([server], { closeTimeoutMs: 10_000 });
  const held = gate();
  const { log } = server.replica;
  server.answers.getMany = async ({ keys: asked }) => {
    await held.opened;
    return asked.map((key) => ({
      'com.grayscaleconsulting.bitacora.rpc.avro.Answer': {
        found: null,
        source: 1,
        applied: { partition: log.partitionOf(key), offset: 0 },
        genesis: log.genesis,
      },
    }));
  };
  const reads = client.getMany(keys);
  await until('the first are under way', () => server.count('getMany') === atOnce);
  const closed = client.close();
  await expect(client.getMany(['late'])).rejects.toMatchObject({ code: 'closed' });
  held.open();
  expect(new Set(codes(await reads))).toEqual(new Set(['done']));
  expect(server.count('getMany')).toBe(calls);
  await closed;
  await until('its socket is gone', () => server.sockets.size === 0);
});

test('only servers of the first generation are left in the middle of it: each item says what became of it', async () => {
  const log = new FakeLog();
  const current = await startServer({ replica: new Replica(log), node });
  const old = await startServer({ replica: new Replica(log), protocol: JSON.stringify(originalProtocol) });
  const client = await clientOf([current, old]);
  current.answers.setMany = () => never;
  const writes = client.setMany(entries);
  await until('the first are under way', () => current.count('setMany') === atOnce);
  await current.kill();
  const results = codes(await writes);
  expect(results.slice(0, sent)).toEqual(Array(sent).fill('unknown-outcome'));
  expect(results.slice(sent)).toEqual(Array(unsent).fill('unsupported'));
});
