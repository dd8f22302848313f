/** Avro's handshake with servers that know our protocol, or do not, or speak another. */
import { describe, expect, test } from 'vitest';
import { Dialects, ourDialect } from '../../client/avro/dialect.ts';
import { Greeting } from '../../client/avro/greeting.ts';
import { handshakeResponse, localProtocol, text } from '../../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import { protocol } from '../../wire/avro/protocol.ts';
import { clientOf, connected, startServer, until } from './setting.ts';

/** Our protocol with a field more in its answers. */
function laterProtocol(): string {
  const later = structuredClone(protocol) as unknown as { types: { name: string; fields: object[] }[] };
  later.types.find(({ name }) => name === 'Answer')?.fields.push({ name: 'mood', type: 'string' });
  return JSON.stringify(later);
}

function bytesOf(...parts: Encode[]): Buffer {
  const writer = new FrameWriter();
  writer.add(0, ...parts);
  return new FrameReader({ maxFrameBytes: 1e7, maxBuffers: 1 }).push(writer.take())[0]?.payload as Buffer;
}

test('BOTH: a server of this version answers at once, and no text is sent', async () => {
  const server = await startServer();
  await clientOf([server]);
  expect(server.handshakes).toEqual([{ match: 'BOTH', withText: false }]);
  expect(server.calls.map(({ message }) => message)).toEqual(['getNode']);
});

test('NONE, then CLIENT: a later server is told our text, its answers are read by its own, and it is greeted by it the next time', async () => {
  const server = await startServer({ protocol: laterProtocol() });
  server.tail = [];
  const client = await clientOf([server]);
  expect(server.handshakes).toEqual([
    { match: 'NONE', withText: false },
    { match: 'BOTH', withText: true },
  ]);
  server.tail = [text.encode('fine')];
  server.answers.getRecord = () => ({ found: null, source: 1, applied: { partition: 0, offset: 0 }, genesis: 'g' });
  expect(await client.get('a')).toBeUndefined();
  server.tail = [];
  await server.kill();
  await server.start();
  await until('it is connected again', () => server.handshakes.length === 3);
  expect(server.handshakes[2]).toEqual({ match: 'BOTH', withText: false });
});

test('CLIENT: a server that knows ours from before tells its own', async () => {
  const server = await startServer({ protocol: laterProtocol() });
  await clientOf([server]);
  await clientOf([server]);
  expect(server.handshakes.slice(2)).toEqual([{ match: 'CLIENT', withText: false }]);
});

test('a server that does not accept our protocol is not used, and connect says why', async () => {
  const server = await startServer({ protocol: laterProtocol() });
  const refusing = handshakeResponse.encode({ match: 'NONE', serverProtocol: null, serverHash: null, meta: null });
  for (const greeting of [new Greeting(ourDialect, new Dialects())]) {
    greeting.request();
    expect(greeting.take(bytesOf(refusing))).toBeUndefined();
    greeting.request();
    expect(() => greeting.take(bytesOf(refusing))).toThrow(/does not accept/);
  }
  await server.kill();
  await expect(connected({ servers: [server.address], connectTimeoutMs: 200 })).rejects.toMatchObject({
    name: 'ClientConnectionError',
    code: 'connection',
    tried: [{ server: server.address, reason: 'ECONNREFUSED' }],
  });
});

describe('what is no handshake', () => {
  const answered = (match: 'BOTH' | 'CLIENT', serverProtocol: string | null) =>
    handshakeResponse.encode({ match, serverProtocol, serverHash: localProtocol.hash, meta: null });

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['an HTTP answer', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a protocol that is none', bytesOf(answered('CLIENT', '{"protocol":7}'))],
    ['a handshake without an answer', bytesOf(answered('BOTH', null))],
    ['a handshake with half an answer', bytesOf(answered('BOTH', null), text.encode(''))],
  ])('%s', (_, payload) => {
    const greeting = new Greeting(ourDialect, new Dialects());
    greeting.request();
    expect(() => greeting.take(payload)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
});
