/** Servers of the original: three messages, text only, no positions. */
import { expect, test } from 'vitest';
import { originalProtocol } from '../../wire/avro/protocol.ts';
import { FakeLog, Replica } from './fake-log.ts';
import { clientOf, startServer, startServers } from './setting.ts';

const original = { protocol: JSON.stringify(originalProtocol) };

test('get, set and delete work', async () => {
  const server = await startServer(original);
  const client = await clientOf([server]);
  expect(await client.get('a')).toBeUndefined();
  expect(await client.set('a', 'žluť')).toEqual({ version: undefined, id: undefined });
  expect(await client.get('a')).toBe('žluť');
  expect(await client.getBytes('a')).toEqual(Buffer.from('žluť'));
  await client.set('b', Buffer.from('bytes that are text'));
  expect(await client.get('b')).toBe('bytes that are text');
  await client.delete('a');
  expect(await client.get('a')).toBeUndefined();
  expect(client.position).toBe('');
  const asked = new Set(server.calls.map(({ message }) => message));
  expect([...asked].sort()).toEqual(['delete', 'getValue', 'setValue']);
});

test('one that knows our protocol already is asked nothing that it does not know, and what it answers to the greeting is not read', async () => {
  const server = await startServer(original);
  await clientOf([server]);
  const client = await clientOf([server]);
  expect(server.handshakes.at(-1)).toEqual({ match: 'CLIENT', withText: false });
  await client.set('a', '1');
  expect(await client.get('a')).toBe('1');
});

test('what they cannot do is refused, and says so', async () => {
  const client = await clientOf([await startServer(original)]);
  const refused = { code: 'unsupported', retryable: false, message: expect.stringContaining('first generation') };
  await expect(client.getRecord('a')).rejects.toMatchObject(refused);
  await expect(client.getMany(['a'])).rejects.toMatchObject(refused);
  await expect(client.setMany([['a', '1']])).rejects.toMatchObject(refused);
  await expect(client.set('a', '1', { ttlMs: 5 })).rejects.toMatchObject(refused);
  await expect(client.set('a', '1', { contentType: 'a/b' })).rejects.toMatchObject(refused);
  await expect(client.set('a', Buffer.from([0xff]))).rejects.toMatchObject(refused);
});

test('a failure in words has no code that could be trusted: a read is repeated, a write is not', async () => {
  const server = await startServer(original);
  const client = await clientOf([server], { attempts: 2 });
  server.answers.getValue = server.answers.setValue = () => {
    throw new Error('java.lang.NullPointerException');
  };
  await expect(client.get('a')).rejects.toMatchObject({ code: 'internal', retryable: true });
  await expect(client.set('a', '1')).rejects.toMatchObject({ code: 'internal', retryable: false });
  expect([server.count('getValue'), server.count('setValue')]).toEqual([2, 1]);
});

test('beside servers of this generation they are left alone, since they know no session', async () => {
  const log = new FakeLog();
  const old = await startServer({ ...original, replica: new Replica(log) });
  const [current] = (await startServers(1, log)) as [Awaited<ReturnType<typeof startServer>>];
  const client = await clientOf([old, current]);
  for (let round = 0; round < 20; round++) {
    await client.set('a', `${round}`);
    expect(await client.get('a')).toBe(`${round}`);
  }
  await client.getRecord('a');
  expect(old.calls).toEqual([]);
});
