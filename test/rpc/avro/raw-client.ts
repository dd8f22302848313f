/** A client made of bare frames: it sends what it is told and keeps what comes back. */
import { connect, type Socket } from 'node:net';
import { encodeRequest, handshakeResponse, isMessage, localProtocol, metadata, text } from '../../../wire/avro/codec.ts';
import { type Encode, FrameReader } from '../../../wire/avro/frames.ts';
import type { HandshakeResponse, Messages } from '../../../wire/avro/messages.ts';
import type { MessageName } from '../../../wire/avro/protocol.ts';
import { anyLimits, bytesOf, call, frame, type Greeting, handshake } from './payloads.ts';

/** An answer behind its handshake. */
export type Answer<M extends MessageName = MessageName> =
  | { readonly value: Messages[M]['response'] }
  | { readonly failure: Readonly<{ code: string; message: string; retry?: string; retryAfterMs?: number }> };

export class RawClient {
  readonly socket: Socket;
  /** Payloads in the order in which they came. */
  readonly received: { serial: number; payload: Buffer }[] = [];
  /** Chunks in which they came. */
  chunks = 0;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  readonly #reader = new FrameReader(anyLimits);
  #wake: (() => void)[] = [];
  #serial = 0;
  #isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    // A reset is one of the ways in which the other side closes.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.chunks++;
      this.received.push(...this.#reader.push(chunk));
      for (const wake of this.#wake.splice(0)) wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        for (const wake of this.#wake.splice(0)) wake();
        resolve();
      });
    });
  }

  /** A connection on which nothing has been said. */
  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return client;
  }

  /** A connection that has shaken hands; as an original client with `{ protocol: original, withText: true }`. */
  static async open(port: number, greeting: Greeting = {}): Promise<RawClient> {
    const client = await RawClient.connect(port);
    await client.greet(greeting);
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  write(...bytes: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** Sends a payload; its serial number. */
  send(...buffers: readonly Uint8Array[]): number {
    const serial = ++this.#serial;
    this.write(frame(serial, ...buffers));
    return serial;
  }

  /** The next payload with this serial number. Errors: the connection was closed before it came. */
  async answer(serial: number): Promise<Buffer> {
    for (;;) {
      const found = this.received.find((answer) => answer.serial === serial);
      if (found !== undefined) return found.payload;
      if (this.#isClosed) throw new Error(`closed before the answer to ${serial}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Shakes hands, and gives what comes behind the handshake. */
  async greet(greeting: Greeting, behind: Uint8Array = Buffer.alloc(0)): Promise<{ handshake: HandshakeResponse; rest: Buffer }> {
    const payload = await this.answer(this.send(handshake(greeting), behind));
    const { value, end } = handshakeResponse.decode(payload, 0);
    return { handshake: value, rest: payload.subarray(end) };
  }

  /** Calls a message of ours by our protocol. */
  async call<M extends MessageName>(name: M, request: Messages[M]['request']): Promise<Answer<M>> {
    return readAnswer(name, await this.answer(this.send(call(name, encodeRequest(name, request)))));
  }

  /** Calls anything with any bytes. */
  async callRaw(name: string, ...request: readonly Encode[]): Promise<Answer> {
    return readAnswer(name, await this.answer(this.send(call(name, ...request))));
  }

  /** Resolves when everything sent before was begun, and says how often it has been asked. */
  async ping(): Promise<Buffer> {
    return this.answer(this.send(bytesOf(metadata.encode({}), text.encode(''))));
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** Reads an answer by our protocol, to its last byte. */
export function readAnswer<M extends MessageName>(name: string, payload: Buffer): Answer<M> {
  const { end } = metadata.decode(payload, 0);
  const isError = payload[end] === 1;
  const at = end + 1;
  if (!isError) {
    const { value, end: last } = localProtocol.response(name as M)(payload, at);
    if (last !== payload.length) throw new Error('an answer with something behind it');
    return { value };
  }
  const known = isMessage(name) ? name : 'getValue';
  const { value, end: last } = localProtocol.failure(known)(payload, at);
  if (last !== payload.length) throw new Error('a failure with something behind it');
  return { failure: typeof value === 'string' ? inWords(value) : { ...value } };
}

function inWords(words: string): { code: string; message: string } {
  const colon = words.indexOf(': ');
  return { code: words.slice(0, colon), message: words.slice(colon + 2) };
}
