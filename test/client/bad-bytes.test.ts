/** A server sends what is no answer: its connection is closed, and others answer. */
import { expect, test } from 'vitest';
import { createKeptLog } from '../cluster/real-clock.ts';
import type { FakeServer } from './fake-server.ts';
import { clientOf, connected, startServer, startServers, until, untilServing } from './setting.ts';

function frame(serial: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(12);
  head.writeInt32BE(serial);
  head.writeInt32BE(1, 4);
  head.writeInt32BE(length, 8);
  return Buffer.concat([head, payload]);
}

/** The first call after the handshake has serial 2. */
const first = 2;

test.each<[string, Buffer]>([
  ['a frame that is endless', Buffer.from('00000002000000017fffffff', 'hex')],
  ['a frame of fewer than no buffers', Buffer.from('00000002ffffffff', 'hex')],
  ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['an empty answer', frame(first, Buffer.alloc(0))],
  ['neither done nor failed', frame(first, Buffer.from([0, 7]))],
  ['a value that is cut off', frame(first, Buffer.from([0, 0, 2, 200, 200]))],
  ['something behind the value', frame(first, Buffer.from([0, 0, 0, 2, 0, 0, 0, 9]))],
  ['metadata without an end', frame(first, Buffer.from([2, 2, 97, 0xff, 0xff]))],
])('%s: reads go elsewhere, and its connection is closed and opened again', async (_, garbage) => {
  const servers = await startServers(2);
  const [bad] = servers as [FakeServer];
  const client = await clientOf(servers);
  bad.garbage = garbage;
  const [socket] = bad.sockets;
  await until('the garbage was sent', async () => {
    expect(await client.get('a')).toBeUndefined();
    return bad.garbage === undefined;
  });
  await until('that connection is gone', () => socket !== undefined && !bad.sockets.has(socket));
  await untilServing(client, 2);
});

test('a write that is answered by garbage is unknown', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  server.garbage = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
  await expect(client.set('a', '1')).rejects.toMatchObject({ code: 'unknown-outcome' });
});

test('an answer over the limit is refused before it is kept', async () => {
  const server = await startServer();
  const client = await clientOf([server], { maxFrameBytes: 100_000, attempts: 2 });
  await client.set('a', Buffer.alloc(200_000));
  await expect(client.get('a')).rejects.toMatchObject({ code: 'connection', message: expect.stringContaining('100000') });
  expect(await client.get('b')).toBeUndefined();
});

test('answers to nothing are dropped', async () => {
  const server = await startServer();
  const client = await clientOf([server]);
  for (const socket of server.sockets) socket.write(Buffer.concat([frame(77, Buffer.from([1, 2, 3])), frame(-5, Buffer.alloc(0))]));
  await client.set('a', '1');
  expect(await client.get('a')).toBe('1');
  expect(server.handshakes).toHaveLength(1);
});

test('a number that JavaScript has none for fails its call alone', async () => {
  const server = await startServer();
  const client = await clientOf([server], { attempts: 1 });
  const beyond = Buffer.from([0, 0, 0, 2, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]);
  server.garbage = frame(first, beyond);
  await expect(client.get('a')).rejects.toMatchObject({ code: 'internal' });
  expect(server.handshakes).toHaveLength(1);
});

test('a server that ends an idle connection is not at fault: the next call opens it again', async () => {
  const server = await startServer();
  const logger = createKeptLog();
  const client = await connected({ servers: [server.address], logger });
  // One that ends earlier than this is no good server.
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  for (const socket of server.sockets) socket.end();
  await until('it is gone', () => server.sockets.size === 0 && client.servers.length === 0);
  expect(logger.events).toEqual(['client.server.open']);
  expect(server.handshakes).toHaveLength(1);
  await client.set('a', '1');
  expect(server.handshakes).toHaveLength(2);
});
