/** Serial numbers are 32 bits: a connection that lives long counts on from the lowest. */
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { Connection, type Exchange, request } from '../../client/avro/connection.ts';
import { Dialects, ourDialect } from '../../client/avro/dialect.ts';
import { Greeting } from '../../client/avro/greeting.ts';
import { limitsOf } from '../../client/options.ts';
import { FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import { startServer } from './setting.ts';

const last = 2 ** 31 - 1;

/** A greeted connection that has used all serial numbers up to this one. */
async function connectionAt(serial: number): Promise<Connection> {
  const { address } = await startServer();
  const [host, port] = address.split(':') as [string, string];
  const socket = connect({ host, port: Number(port) });
  const reader = new FrameReader({ maxFrameBytes: 100_000, maxBuffers: 10 });
  const greeting = new Greeting(ourDialect, new Dialects());
  const writer = new FrameWriter();
  writer.add(serial, ...greeting.request());
  socket.write(writer.take());
  const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  const greeted = greeting.take(reader.push(chunk)[0]?.payload as Buffer);
  if (greeted === undefined) throw new Error('not greeted');
  const events = { closed: () => undefined, silent: () => undefined };
  return new Connection(socket, reader, { address, serial, ...greeted }, limitsOf({}), events);
}

function exchange(): { exchange: Exchange; answer: Promise<unknown> } {
  let answered = (_: unknown): void => undefined;
  const answer = new Promise<unknown>((resolve) => {
    answered = resolve;
  });
  const none = () => undefined;
  return { exchange: { message: 'getValue', write: false, lateAt: 1e9, answered, refused: none, lost: none, late: none }, answer };
}

test('calls on both sides of the turn are answered, and what was sent is known from what was not', async () => {
  const connection = await connectionAt(last - 1);
  const { encode } = request('getValue', { key: 'a' });
  const [one, two] = [exchange(), exchange()];
  const before = connection.send(one.exchange, encode, 0);
  expect(before).toBe(last);
  expect(connection.isSent(before)).toBe(false);
  expect(await one.answer).toBeNull();
  expect(connection.isSent(before)).toBe(true);
  const after = connection.send(two.exchange, encode, 0);
  expect(after).toBe(-last - 1);
  expect([connection.isSent(before), connection.isSent(after)]).toEqual([true, false]);
  expect(await two.answer).toBeNull();
  expect(connection.isSent(after)).toBe(true);
  connection.retire();
});
