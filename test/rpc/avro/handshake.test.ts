/** How connections begin: who knows whose protocol, and what is said to whom does not. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeRequest, localProtocol, metadata, Protocol, text } from '../../../wire/avro/codec.ts';
import { bytesOf, call, changed, handshake, original, unknownHash } from './payloads.ts';
import { RawClient, readAnswer } from './raw-client.ts';
import { type Running, startServer } from './start-server.ts';

let running: Running;
let client: RawClient;
beforeEach(async () => {
  running = await startServer();
  await running.keyValue.put('a', Buffer.from('1'));
  client = await RawClient.connect(running.port);
});
afterEach(async () => {
  await client.close();
  await running.stop();
});

const getA = call('getValue', encodeRequest('getValue', { key: 'a' }));
const ping = bytesOf(metadata.encode({}), text.encode(''));
const ours = { serverProtocol: localProtocol.text, serverHash: localProtocol.hash };

describe('with a call behind it', () => {
  test('both know each other: BOTH, no text, the answer', async () => {
    const { handshake, rest } = await client.greet({}, getA);
    expect(handshake).toEqual({ match: 'BOTH', serverProtocol: null, serverHash: null, meta: null });
    expect(readAnswer('getValue', rest)).toEqual({ value: '1' });
  });

  test('the client does not know ours: CLIENT, our text and hash, the answer', async () => {
    const { handshake, rest } = await client.greet({ serverHash: unknownHash }, getA);
    expect(handshake).toMatchObject({ match: 'CLIENT', ...ours });
    expect(readAnswer('getValue', rest)).toEqual({ value: '1' });
  });

  test.each([
    ['a client that does not know ours', unknownHash],
    ['a client that knows ours, as Java after a restart of this server', localProtocol.hash],
  ])('an unknown hash without a text, %s: NONE with our text, and nothing behind', async (_who, serverHash) => {
    const { handshake, rest } = await client.greet({ protocol: original, serverHash }, getA);
    expect(handshake).toMatchObject({ match: 'NONE', ...ours });
    expect(rest).toHaveLength(0);
    expect(running.observed).toEqual([]);
    // It sends the same call again, with its text and what it has just learnt.
    const again = await client.greet({ protocol: original, withText: true }, getA);
    expect(again.handshake).toEqual({ match: 'BOTH', serverProtocol: null, serverHash: null, meta: null });
    expect(readAnswer('getValue', again.rest)).toEqual({ value: '1' });
    // From then on there is no handshake.
    expect(await client.call('getValue', { key: 'a' })).toEqual({ value: '1' });
    expect(running.observed).toEqual([
      { message: 'getValue', outcome: 'ok' },
      { message: 'getValue', outcome: 'ok' },
    ]);
  });

  test('NONE leaves the connection as it was, however often', async () => {
    for (let turn = 0; turn < 3; turn++) expect((await client.greet({ protocol: original })).handshake.match).toBe('NONE');
    expect((await client.greet({ protocol: original, withText: true })).handshake.match).toBe('BOTH');
    expect(await client.call('getValue', { key: 'a' })).toEqual({ value: '1' });
  });

  test('a text once sent is known to every connection', async () => {
    await client.greet({ protocol: original, withText: true });
    const other = await RawClient.connect(running.port);
    const { handshake, rest } = await other.greet({ protocol: original }, getA);
    expect(handshake.match).toBe('BOTH');
    expect(readAnswer('getValue', rest)).toEqual({ value: '1' });
    await other.close();
  });

  test('a failure is told behind the handshake too', async () => {
    const { handshake, rest } = await client.greet({ serverHash: unknownHash }, call('getValue', encodeRequest('getValue', { key: ' ' })));
    expect(handshake.match).toBe('CLIENT');
    expect(readAnswer('getValue', rest)).toMatchObject({ failure: { code: 'key-invalid' } });
  });
});

describe('hashes that are not the MD5 of their text', () => {
  test('are served, and the text is asked for on every connection', async () => {
    const own = { protocol: original, clientHash: unknownHash };
    expect((await client.greet({ ...own, withText: true })).handshake.match).toBe('BOTH');
    expect(await client.call('getValue', { key: 'a' })).toEqual({ value: '1' });
    const next = await RawClient.connect(running.port);
    expect((await next.greet(own)).handshake.match).toBe('NONE');
    await next.close();
  });

  test('do not give another client’s hash another meaning', async () => {
    const victim = new Protocol(`${original.text} `);
    const evil = changed(({ messages }) => messages['getValue']?.request.unshift({ name: 'first', type: 'long' }));
    await client.greet({ protocol: evil, clientHash: victim.hash, withText: true });
    const other = await RawClient.connect(running.port);
    expect((await other.greet({ protocol: victim })).handshake.match).toBe('NONE');
    expect((await other.greet({ protocol: victim, withText: true })).handshake.match).toBe('BOTH');
    expect(await other.call('getValue', { key: 'a' })).toEqual({ value: '1' });
    await other.close();
  });
});

describe('pings', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['an empty name', ping],
  ])('%s behind the handshake: the handshake alone', async (_what, behind) => {
    const { handshake, rest } = await client.greet({ serverHash: unknownHash }, behind);
    expect(handshake.match).toBe('CLIENT');
    expect(rest).toHaveLength(0);
    expect(await client.call('getValue', { key: 'a' })).toEqual({ value: '1' });
  });

  test('an empty name from a client not known yet: NONE, and nothing behind', async () => {
    const { handshake, rest } = await client.greet({ protocol: original }, ping);
    expect(handshake.match).toBe('NONE');
    expect(rest).toHaveLength(0);
  });

  test('on a settled connection: an empty answer, of one buffer as Java wants it', async () => {
    await client.greet({});
    const bytes: Buffer[] = [];
    client.socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    expect(await client.ping()).toHaveLength(0);
    expect(Buffer.concat(bytes).toString('hex')).toBe('000000020000000100000000');
    expect(running.observed).toEqual([]);
  });
});

test('protocols used least lately are forgotten, and learnt again', async () => {
  const texts = Array.from({ length: 70 }, (_, index) => new Protocol(`${original.text}${' '.repeat(index)}`));
  for (const protocol of texts) {
    const one = await RawClient.open(running.port, { protocol, withText: true });
    await one.close();
  }
  expect((await client.greet({ protocol: texts[0] as Protocol })).handshake.match).toBe('NONE');
  expect((await client.greet({ protocol: texts[69] as Protocol })).handshake.match).toBe('BOTH');
  const again = await RawClient.connect(running.port);
  expect((await again.greet({ protocol: texts[0] as Protocol, withText: true })).handshake.match).toBe('BOTH');
  await again.close();
});

test('a text that is no protocol, or too long a one, closes the connection', async () => {
  const long = new Protocol(`${original.text}${' '.repeat(40_000)}`);
  client.send(handshake({ protocol: long, withText: true }));
  await client.closed;
  expect(running.cuts()).toMatchObject([{ reason: 'malformed', detail: expect.stringContaining('bytes') }]);
});
