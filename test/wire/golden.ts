/**
 * What Avro's own clients and servers said to each other, as test/avro-java captured it, read with our codec.
 *
 * To read a frame more is needed than the frame: whether its connection has shaken hands, and by which protocols its sides write. All of
 * that stands in the frames before it, or, the texts of protocols, in any handshake.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { handshakeRequest, handshakeResponse, isMessage, metadata, Protocol, text } from '../../wire/avro/codec.ts';
import { FrameReader } from '../../wire/avro/frames.ts';
import type { HandshakeRequest, HandshakeResponse, Metadata } from '../../wire/avro/messages.ts';

/** A call as the Java client saw it, its values in Avro's JSON encoding. */
export interface GoldenCall {
  readonly client: string;
  /** Empty: no call, the client asked for the handshake alone. */
  readonly message: string;
  readonly request?: unknown;
  readonly response?: unknown;
  /** A declared error. */
  readonly failure?: unknown;
  /** What the client made of an undeclared one. */
  readonly says?: string;
}

export interface Scenario {
  readonly name: string;
  readonly calls: readonly GoldenCall[];
  /** `connection sender hex`, in order. */
  readonly frames: readonly string[];
}

/** A frame, read. */
export interface Part {
  readonly from: 'client' | 'server';
  readonly payload: Buffer;
  readonly call: GoldenCall;
  readonly handshake: HandshakeRequest | HandshakeResponse | undefined;
  /** Undefined: there is a handshake and no more. */
  readonly body: Body | undefined;
}

export interface Body {
  readonly meta: Metadata;
  readonly name: string;
  /** The value is an error. Requests are none. */
  readonly error: boolean;
  readonly value: unknown;
}

export function scenariosOf(version: string): Scenario[] {
  const file = readFileSync(join(import.meta.dirname, `golden/avro-${version}.json`), 'utf8');
  // Large values are told as a piece and a number.
  const whole = (_: string, value: { $repeat?: string; $times?: number } | null) => value?.$repeat?.repeat(value.$times ?? 0) ?? value;
  return (JSON.parse(file, whole) as { scenarios: Scenario[] }).scenarios;
}

export const bytesOf = (frame: string): Buffer => Buffer.from(frame.slice(frame.lastIndexOf(' ') + 1), 'hex');

/** Every frame of every scenario, read. */
export function partsOf(scenarios: readonly Scenario[]): Map<string, Part[]> {
  const opened = new Map(scenarios.map((scenario) => [scenario, withHandshakes(scenario)]));
  const protocols = new Map<string, Protocol>();
  for (const { handshake } of [...opened.values()].flat()) {
    const brought = { clientProtocol: null, serverProtocol: null, ...handshake };
    for (const each of [brought.clientProtocol, brought.serverProtocol]) {
      if (each !== null) protocols.set(new Protocol(each).hash.toString('hex'), new Protocol(each));
    }
  }
  const protocol = (hash: Buffer): Protocol => {
    const known = protocols.get(hash.toString('hex'));
    if (known === undefined) throw new Error(`no text has the hash ${hash.toString('hex')}`);
    return known;
  };
  return new Map(scenarios.map((scenario) => [scenario.name, read(scenario, opened.get(scenario) ?? [], protocol)]));
}

interface Opened {
  readonly connection: string;
  readonly from: 'client' | 'server';
  readonly serial: number;
  readonly payload: Buffer;
  readonly handshake: HandshakeRequest | HandshakeResponse | undefined;
  /** Where the handshake ends. */
  readonly at: number;
}

/** Splits handshakes off: every frame has one until the answer that is not NONE. */
function withHandshakes(scenario: Scenario): Opened[] {
  const connected = new Set<string>();
  return scenario.frames.map((line): Opened => {
    const [connection, from] = line.split(' ') as [string, 'client' | 'server'];
    const frames = new FrameReader({ maxFrameBytes: 1_000_000, maxBuffers: 1_000 }).push(bytesOf(line));
    const { serial, payload } = frames[0] ?? { serial: 0, payload: Buffer.alloc(0) };
    const frame = { connection, from, serial, payload };
    if (connected.has(connection)) return { ...frame, handshake: undefined, at: 0 };
    const { value, end } = (from === 'client' ? handshakeRequest : handshakeResponse).decode(payload, 0);
    if ('match' in value && value.match !== 'NONE') connected.add(connection);
    return { ...frame, handshake: value, at: end };
  });
}

function read(scenario: Scenario, frames: readonly Opened[], protocol: (hash: Buffer) => Protocol): Part[] {
  const calls = [...scenario.calls];
  const sides = new Map<string, { client: Protocol; server: Protocol }>();
  const waiting = new Map<string, { call: GoldenCall; name: string }>();
  return frames.map(({ connection, from, serial, payload, handshake, at }): Part => {
    const id = `${connection} ${serial}`;
    if (from === 'client') {
      if (handshake !== undefined && 'clientHash' in handshake) {
        sides.set(connection, { client: protocol(handshake.clientHash), server: protocol(handshake.serverHash) });
      }
      const meta = metadata.decode(payload, at);
      const name = text.decode(payload, meta.end);
      const call = calls.shift() as GoldenCall;
      waiting.set(id, { call, name: name.value });
      const decode = isMessage(name.value) ? sides.get(connection)?.client.request(name.value) : undefined;
      const request = decode?.(payload, name.end) ?? { value: {}, end: name.end };
      atEnd(payload, request.end);
      return { from, payload, call, handshake, body: { meta: meta.value, name: name.value, error: false, value: request.value } };
    }
    const { call, name } = waiting.get(id) as { call: GoldenCall; name: string };
    waiting.delete(id);
    const side = sides.get(connection) as { client: Protocol; server: Protocol };
    if (handshake !== undefined && 'match' in handshake) {
      if (handshake.serverHash !== null) side.server = protocol(handshake.serverHash);
      // After NONE the same call is sent again.
      if (handshake.match === 'NONE' && name !== '') calls.unshift(call);
      if (handshake.match === 'NONE' || name === '') {
        atEnd(payload, at);
        return { from, payload, call, handshake, body: undefined };
      }
    }
    const meta = metadata.decode(payload, at);
    const error = payload[meta.end] === 1;
    // A message that the server does not have fails as one that declares no failure.
    const known = isMessage(name) ? name : 'getValue';
    const answer = (error ? side.server.failure(known) : side.server.response(known))(payload, meta.end + 1);
    atEnd(payload, answer.end);
    return { from, payload, call, handshake, body: { meta: meta.value, name, error, value: answer.value } };
  });
}

function atEnd(payload: Buffer, at: number): void {
  if (at !== payload.length) throw new Error(`${payload.length - at} bytes behind the value`);
}
