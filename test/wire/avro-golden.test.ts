/**
 * Our codec against Avro's own bytes: captured from Java 1.7.7 and 1.12.1 by test/avro-java, decoded, and encoded again to the same bytes.
 *
 * Payloads are compared, not frames: into how many buffers a payload is cut is the writer's choice. Java writes many, some of them
 * empty; we write one.
 */
import { describe, expect, test } from 'vitest';
import {
  type CallError,
  encodeFailure,
  encodeRequest,
  encodeResponse,
  handshakeRequest,
  handshakeResponse,
  isMessage,
  localProtocol,
  metadata,
  text,
} from '../../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import type { HandshakeRequest, HandshakeResponse } from '../../wire/avro/messages.ts';
import { originalProtocol, protocol } from '../../wire/avro/protocol.ts';
import { avroVersions } from '../avro-java/java-program.ts';
import { type Body, bytesOf, type Part, partsOf, scenariosOf } from './golden.ts';

const limits = { maxFrameBytes: 1_000_000, maxBuffers: 1_000 };
const flag =
  (error: boolean): Encode =>
  (buffer, at) => {
    if (at >= buffer.length) return buffer.length - at - 1;
    buffer[at] = error ? 1 : 0;
    return at + 1;
  };

/** The payload of a part as we write it, of what we read in it. */
function encoded({ from, handshake, body }: Part): Buffer {
  const parts: Encode[] = [];
  if (handshake !== undefined && 'match' in handshake) parts.push(handshakeResponse.encode(handshake));
  else if (handshake !== undefined) parts.push(handshakeRequest.encode(handshake));
  if (body !== undefined) parts.push(metadata.encode(body.meta), ...(from === 'client' ? request(body) : answer(body)));
  const writer = new FrameWriter();
  const length = writer.add(-1, ...parts);
  const frame = writer.take();
  return frame.subarray(frame.length - length);
}

function request({ name, value }: Body): Encode[] {
  return [text.encode(name), ...(isMessage(name) ? [encodeRequest(name, value as never)] : [])];
}

function answer({ name, error, value }: Body): Encode[] {
  const known = isMessage(name) ? name : 'getValue';
  return [flag(error), error ? encodeFailure(known, value as CallError) : encodeResponse(known, value as never)];
}

/** A value as Avro's JSON tells it, but for the names of a union's branches where the value itself tells which it is. */
function told(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (Array.isArray(value)) return value.map(told);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [branch, inner] = entries[0] ?? [];
  if (entries.length === 1 && /^(string|.*\.(KeyValue|Position))$/.test(branch ?? '')) return told(inner);
  return Object.fromEntries(entries.map(([name, each]) => [name, told(each)]));
}

describe.each(avroVersions)('Avro %s', (version) => {
  const scenarios = scenariosOf(version);
  const parts = partsOf(scenarios);
  const everything = [...parts.values()].flat();

  test.each(scenarios.map(({ name }) => name))('%s: what we read is what was said, and we write the same bytes', (name) => {
    for (const part of parts.get(name) ?? []) {
      const { from, payload, call, body } = part;
      expect(encoded(part).toString('hex')).toBe(payload.toString('hex'));
      if (body === undefined) continue;
      expect(body.name).toBe(call.message);
      if (body.name === '') continue;
      if (from === 'client') expect(told(body.value)).toEqual(told(call.request));
      else if (!body.error) expect(told(body.value)).toEqual(told(call.response));
      else if (call.failure !== undefined) expect(told(body.value)).toEqual(call.failure);
      else if (isMessage(body.name)) expect(body.value).toBe(call.says);
      else expect(body.value).toContain(`No message named ${body.name}`);
    }
  });

  test('every message and every kind of answer is among them', () => {
    const bodies = everything.flatMap(({ from, body }) => (body === undefined ? [] : [{ from, ...body }]));
    const names = (from: string) => new Set(bodies.filter((body) => body.from === from && isMessage(body.name)).map(({ name }) => name));
    expect([...names('client')].sort()).toEqual(Object.keys(protocol.messages).sort());
    expect([...names('server')].sort()).toEqual(Object.keys(protocol.messages).sort());
    const matches = everything.map(({ handshake }) => (handshake !== undefined && 'match' in handshake ? handshake.match : ''));
    expect(new Set(matches)).toEqual(new Set(['', 'BOTH', 'CLIENT', 'NONE']));
    const errors = bodies.filter(({ error }) => error).map(({ value }) => typeof value);
    expect(new Set(errors)).toEqual(new Set(['string', 'object']));
    expect(bodies.some(({ meta }) => Object.keys(meta).length > 0)).toBe(true);
  });

  test('a refused handshake, and one with a wrong guess, bring the server’s protocol and its hash; a settled one neither', () => {
    const answers = everything.flatMap(({ handshake }) => (handshake !== undefined && 'match' in handshake ? [handshake] : []));
    for (const { match, serverProtocol, serverHash } of answers as HandshakeResponse[]) {
      expect([serverProtocol === null, serverHash === null], match).toEqual([match === 'BOTH', match === 'BOTH']);
    }
  });

  // Then a Java client of our protocol guesses right, and needs one message to make our acquaintance, not two.
  test('Java’s text of our protocol is our text', () => {
    const answers = everything.map(({ handshake }) => handshake as Partial<HandshakeResponse> | undefined);
    const brought = answers.filter((each) => each?.match === 'NONE' || each?.match === 'CLIENT');
    expect(brought.length).toBeGreaterThan(2);
    for (const { serverProtocol, serverHash } of brought as HandshakeResponse[]) {
      expect(serverProtocol).toBe(localProtocol.text);
      expect(serverHash?.toString('hex')).toBe(localProtocol.hash.toString('hex'));
    }
  });

  test('what the Java program calls the original’s protocol is what we call so', () => {
    const texts = everything
      .filter(({ from, call }) => from === 'client' && call.client === 'original')
      .map(({ handshake }) => (handshake as HandshakeRequest | undefined)?.clientProtocol ?? undefined)
      .filter((each) => each !== undefined);
    expect(texts.length).toBeGreaterThan(0);
    for (const each of texts) expect(JSON.parse(each)).toEqual(originalProtocol);
  });

  test('frames are found in any pieces: byte by byte, or all in one', () => {
    const bytes = Buffer.concat(scenarios.flatMap(({ frames }) => frames.map(bytesOf)));
    const all = new FrameReader(limits).push(bytes);
    const reader = new FrameReader(limits);
    const piecemeal = Array.from(bytes, (_, at) => reader.push(bytes.subarray(at, at + 1))).flat();
    expect(reader.inFrame).toBe(false);
    const plain = (frames: typeof all) => frames.map(({ serial, payload }) => `${serial} ${payload.toString('hex')}`);
    expect(plain(piecemeal)).toEqual(plain(all));
    expect(all.map(({ payload }) => payload)).toEqual(everything.map(({ payload }) => payload));
  });

  test('Java cuts a payload into several buffers, and writes empty ones', () => {
    const counts = scenarios.flatMap(({ frames }) => frames.map((frame) => bytesOf(frame).readInt32BE(4)));
    expect(Math.max(...counts)).toBeGreaterThan(3);
    const answers = scenarios.flatMap(({ frames }) => frames.filter((frame) => frame.includes(' server ')).map(bytesOf));
    expect(answers.some((bytes) => bytes.readInt32BE(8) === 0)).toBe(true);
  });
});

test('the two versions say the same, byte for byte', () => {
  const [first, ...others] = avroVersions.map(scenariosOf);
  for (const other of others) expect(other).toEqual(first);
});
