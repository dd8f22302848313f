/** One server that behaves: what the calls give, and what they refuse to send. */
import { describe, expect, test } from 'vitest';
import { ClientError } from '../../client/index.ts';
import { clientOf, startServer } from './setting.ts';

test('text: set, get, delete, and what is not there', async () => {
  const client = await clientOf([await startServer()]);
  expect(await client.get('a')).toBeUndefined();
  const written = await client.set('a', 'žluť ✓');
  expect(written).toEqual({ version: expect.stringMatching(/^\d:0$/), id: expect.stringMatching(/^[\da-f-]{36}$/) });
  expect(await client.get('a')).toBe('žluť ✓');
  const deleted = await client.delete('a');
  expect(deleted.version).toMatch(/^\d:1$/);
  expect(await client.get('a')).toBeUndefined();
  expect(await client.getBytes('a')).toBeUndefined();
  expect(await client.getRecord('a')).toBeUndefined();
});

test('an empty text is a value', async () => {
  const client = await clientOf([await startServer()]);
  await client.set('a', '');
  expect(await client.get('a')).toBe('');
});

test('bytes come back as they were, also out of the middle of a buffer, and a megabyte of them', async () => {
  const client = await clientOf([await startServer()]);
  const whole = Uint8Array.from({ length: 256 }, (_, index) => index);
  await client.set('a', whole.subarray(100, 250));
  expect(new Uint8Array((await client.getBytes('a')) as Uint8Array)).toEqual(whole.subarray(100, 250));
  const large = Buffer.alloc(1_000_000, 7);
  await client.set('large', large);
  expect(large.equals((await client.getBytes('large')) as Uint8Array)).toBe(true);
});

test('a record says all that is known', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  const before = Date.now();
  const { version, id } = await client.set('a', '{}', { ttlMs: 60_000, contentType: 'application/json' });
  const record = await client.getRecord('a');
  expect(record).toMatchObject({ key: 'a', version, id, contentType: 'application/json', source: 'local', position: version });
  expect(record?.text()).toBe('{}');
  expect(record?.timestamp.getTime()).toBeGreaterThanOrEqual(before);
  expect((record?.expires?.getTime() as number) - (record?.timestamp.getTime() as number)).toBe(60_000);
  await client.set('b', 'x');
  expect(await client.getRecord('b')).toMatchObject({ expires: undefined, contentType: undefined });
});

test('what a peer knew is told as such', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  server.answers.getRecord = () => ({
    found: { value: Buffer.from('x'), contentType: '', version: null, timestamp: 5, expires: 0, uuid: '' },
    source: 2,
    applied: { partition: 0, offset: 0 },
    genesis: 'log-1',
  });
  expect(await client.getRecord('a')).toMatchObject({ source: 'peer', version: undefined, position: undefined, timestamp: new Date(5) });
});

test('calls made together leave in one write', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  await Promise.all(Array.from({ length: 50 }, (_, index) => client.set(`k${index}`, `v${index}`)));
  const before = server.chunks;
  const values = await Promise.all(Array.from({ length: 50 }, (_, index) => client.get(`k${index}`)));
  expect(values).toEqual(Array.from({ length: 50 }, (_, index) => `v${index}`));
  expect(server.chunks - before).toBe(1);
});

describe('refused before anything is sent', () => {
  const wrong: [string, string, (client: Awaited<ReturnType<typeof clientOf>>) => Promise<unknown>][] = [
    ['a blank key', 'key-invalid', (client) => client.get(' ')],
    ['a key of the system', 'key-invalid', (client) => client.set('\0genesis', 'x')],
    ['half a character in a key', 'key-invalid', (client) => client.delete('\ud800')],
    ['a key that is too long', 'key-invalid', (client) => client.get('k'.repeat(1_025))],
    ['a key that is no text', 'key-invalid', (client) => client.get(7 as never)],
    ['half a character in a value', 'bad-request', (client) => client.set('a', '\udc00')],
    ['a value that is neither text nor bytes', 'bad-request', (client) => client.set('a', 7 as never)],
    ['a value over the limit', 'value-too-large', (client) => client.set('a', Buffer.alloc(1_000_001))],
    ['no time to live', 'bad-request', (client) => client.set('a', 'x', { ttlMs: 0 })],
    ['half a millisecond to live', 'bad-request', (client) => client.set('a', 'x', { ttlMs: 1.5 })],
    ['no time to wait', 'bad-request', (client) => client.get('a', { timeoutMs: 0 })],
  ];
  test.each(wrong)('%s: %s', async (_, code, call) => {
    const server = await startServer();
    const client = await clientOf([server]);
    const error = await call(client).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ code, retryable: false });
    expect(server.calls.map(({ message }) => message)).toEqual(['getNode']);
  });
});
