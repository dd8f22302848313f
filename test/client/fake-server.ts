/** A server on a real socket that does what a test tells it: it may freeze, die, drain, lag, lie, and speak an older protocol. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { BitacoraError, type ErrorKind } from '../../src/core/errors.ts';
import {
  declaresFailure,
  encodeFailure,
  encodeResponse,
  handshakeRequest,
  handshakeResponse,
  localProtocol,
  metadata,
  Protocol,
  text,
} from '../../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import type { Failure, Messages, Node } from '../../wire/avro/messages.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import { freePorts } from '../services/free-ports.ts';
import { answersOf } from './fake-answers.ts';
import { FakeLog, Replica } from './fake-log.ts';

/** What a message is answered with; a thrown `BitacoraError` becomes a `Failure`. */
export type Answers = {
  [M in MessageName]: (request: Messages[M]['request']) => Messages[M]['response'] | Promise<Messages[M]['response']>;
};

export interface FakeServerOptions {
  readonly replica?: Replica;
  readonly node?: Partial<Node>;
  /** The protocol that it tells; its answers are written as ours. */
  readonly protocol?: string;
  /** How long a read waits for its position. Default 100 ms. */
  readonly positionWaitMs?: number;
}

/** Waits until it is killed. */
export const never = new Promise<never>(() => undefined);

export class FakeServer {
  readonly replica: Replica;
  /** Laid over what it tells of itself. */
  node: Partial<Node>;
  /** Laid over its answers. */
  readonly answers: Partial<Answers> = {};
  /** Every call that it has read, in order. */
  readonly calls: { readonly message: string; readonly request: unknown }[] = [];
  /** Handshakes: what was sent, and what was answered. */
  readonly handshakes: { readonly match: string; readonly withText: boolean }[] = [];
  /** Chunks that it was sent. */
  chunks = 0;
  /** Written in place of the next answer. */
  garbage: Buffer | undefined;
  /** Put behind every answer of its value. */
  tail: readonly Encode[] = [];
  readonly sockets = new Set<Socket>();
  readonly #options: FakeServerOptions;
  readonly #protocol: Protocol;
  readonly #known = new Set<string>();
  #server: Server | undefined;
  #port = 0;
  #frozen = false;

  constructor(options: FakeServerOptions = {}) {
    this.#options = options;
    this.replica = options.replica ?? new Replica(new FakeLog());
    this.node = options.node ?? {};
    this.#protocol = new Protocol(options.protocol ?? localProtocol.text);
    if (options.protocol === undefined) this.#known.add(localProtocol.hash.toString('hex'));
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get positionWaitMs(): number {
    return this.#options.positionWaitMs ?? 100;
  }

  /** How many calls of a message it has read. */
  count(message: MessageName): number {
    return this.calls.filter((call) => call.message === message).length;
  }

  /** Also again, on the same port. */
  async start(): Promise<this> {
    const server = createServer({ noDelay: true, pauseOnConnect: this.#frozen }, (socket) => this.#serve(socket));
    this.#port ||= (await freePorts(1))[0] as number;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
    return this;
  }

  /** As a killed process: connections are reset, and nobody listens. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.sockets) socket.resetAndDestroy();
    if (server === undefined) return;
    server.close();
    await once(server, 'close');
  }

  /** As a stopped process: connections stay, and new ones are taken by the system. */
  freeze(): void {
    this.#frozen = true;
    for (const socket of this.sockets) socket.pause();
  }

  thaw(): void {
    this.#frozen = false;
    for (const socket of this.sockets) socket.resume();
  }

  #serve(socket: Socket): void {
    this.sockets.add(socket);
    if (this.#frozen) socket.pause();
    const reader = new FrameReader({ maxFrameBytes: 8 * 1024 * 1024, maxBuffers: 1_000 });
    let greeted = false;
    socket.on('data', (chunk: Buffer) => {
      this.chunks++;
      for (const { serial, payload } of reader.push(chunk)) {
        const greeting = greeted ? undefined : this.#greet(payload);
        if (greeting?.known === false) write(socket, serial, greeting.answer);
        else void this.#call(socket, serial, payload, greeting);
        greeted ||= greeting?.known === true;
      }
    });
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  }

  #greet(payload: Buffer): { known: boolean; answer: Encode; end: number } {
    const { value, end } = handshakeRequest.decode(payload, 0);
    const client = value.clientHash.toString('hex');
    if (value.clientProtocol !== null) this.#known.add(client);
    const known = this.#known.has(client);
    const right = value.serverHash.equals(this.#protocol.hash);
    const match = known ? (right ? 'BOTH' : 'CLIENT') : 'NONE';
    this.handshakes.push({ match, withText: value.clientProtocol !== null });
    const told = match === 'BOTH' ? { serverProtocol: null, serverHash: null } : this.#told();
    return { known, answer: handshakeResponse.encode({ match, ...told, meta: null }), end };
  }

  #told() {
    return { serverProtocol: this.#protocol.text, serverHash: this.#protocol.hash };
  }

  async #call(socket: Socket, serial: number, payload: Buffer, greeting: { answer: Encode; end: number } | undefined): Promise<void> {
    const { end } = metadata.decode(payload, greeting?.end ?? 0);
    const { value: name, end: at } = text.decode(payload, end);
    const head = greeting === undefined ? [] : [greeting.answer];
    if (name === '') {
      write(socket, serial, ...head);
      return;
    }
    const message = name as MessageName;
    const { value: request } = localProtocol.request(message)(payload, at);
    this.calls.push({ message, request });
    const body = await this.#answer(message, request);
    if (this.garbage !== undefined && greeting === undefined) {
      socket.write(this.garbage);
      this.garbage = undefined;
    } else if (!socket.destroyed) write(socket, serial, ...head, metadata.encode({}), ...body);
  }

  async #answer(message: MessageName, request: unknown): Promise<readonly Encode[]> {
    const answer = this.answers[message] ?? answersOf(this)[message];
    try {
      // What the server's own protocol does not have.
      this.#protocol.response(message);
      const response = await (answer as (request: unknown) => unknown)(request);
      return [done, encodeResponse(message, response as never), ...this.tail];
    } catch (error) {
      const failure = failureOf(error);
      return [failed, encodeFailure(message, declaresFailure(message) ? failure : `${failure.code}: ${failure.message}`)];
    }
  }
}

const flag = (byte: number) => (buffer: Buffer, at: number) => (at < buffer.length ? buffer.writeUInt8(byte, at) : -1);
const done = flag(0);
const failed = flag(1);

export function failureOf(error: unknown): Failure {
  const { code, message } = error instanceof BitacoraError ? error : { code: 'internal', message: String(error) };
  const { retry, retryAfter = 0 }: ErrorKind = error instanceof BitacoraError ? error.kind : { status: 500, title: '', retry: 'reads' };
  return { code, message, retry, retryAfterMs: retryAfter * 1_000 };
}

function write(socket: Socket, serial: number, ...parts: Encode[]): void {
  const writer = new FrameWriter();
  writer.add(serial, ...parts);
  socket.write(writer.take());
}
