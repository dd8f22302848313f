/**
 * One greeted connection to a server: calls go out as frames with serial numbers and are answered in any order.
 *
 * Frames of one turn of the event loop leave in one write. A call counts as sent once its frame was given to the socket; before that it
 * certainly had no effect. Deadlines are not timers: whoever owns the connection calls `sweep` every few milliseconds. The connection
 * knows bytes, serials and silence; what a call does next is the call's business.
 */
import type { Socket } from 'node:net';
import { Malformed } from '../../wire/avro/check.ts';
import { type CallError, encodeRequest } from '../../wire/avro/codec.ts';
import { type Encode, type FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import type { Messages, Node } from '../../wire/avro/messages.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import { ClientConnectionError, type ClientError } from '../errors.ts';
import type { Limits } from '../options.ts';
import type { Dialect } from './dialect.ts';
import { type CallAnswer, callHead, readAnswer } from './payload.ts';

/** A message with its values, ready to be sent. */
export interface Request {
  readonly message: MessageName;
  readonly encode: Encode;
}

export function request<M extends MessageName>(message: M, values: Messages[M]['request']): Request {
  return { message, encode: encodeRequest(message, values) };
}

/** A call as its connection sees it. Exactly one of `answered`, `refused` and `lost` follows a `send`, unless it is forgotten. */
export interface Exchange {
  readonly message: MessageName;
  readonly write: boolean;
  /** When `late` is called, by the monotonic clock. */
  readonly lateAt: number;
  answered(value: unknown): void;
  refused(failure: CallError): void;
  /** The connection is of no use to this call any more. `sent` false: certainly without effect. */
  lost(reason: ClientError, sent: boolean): void;
  /** May forget itself; otherwise it goes on waiting here. */
  late(now: number): void;
}

export interface ConnectionEvents {
  /** Nothing more comes. `reason` undefined: it ended in good order. */
  closed(reason: ClientError | undefined): void;
  /** It answers nothing although it was asked: no new calls should go there. */
  silent(): void;
}

/** A server that has answered nothing for so long while a call ran out of time is taken for frozen. Nodes hold a read for up to a second. */
const silenceMs = 1_200;

export class Connection {
  readonly address: string;
  readonly dialect: Dialect;
  /** As last told; undefined: a server of the first generation. */
  node: Node | undefined;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #limits: Limits;
  readonly #events: ConnectionEvents;
  readonly #writer = new FrameWriter();
  readonly #pending = new Map<number, Exchange>();
  #serial: number;
  /** All serials up to this one were given to the socket. */
  #flushed: number;
  #flushing = false;
  /** When it was asked something after it was last heard; undefined: nothing is owed. */
  #askedAt: number | undefined;
  #heard = false;
  #state: 'open' | 'retired' | 'closed' = 'open';

  constructor(
    socket: Socket,
    reader: FrameReader,
    about: { address: string; dialect: Dialect; node: Node | undefined; serial: number },
    limits: Limits,
    events: ConnectionEvents,
  ) {
    this.address = about.address;
    this.dialect = about.dialect;
    this.node = about.node;
    this.#socket = socket;
    this.#reader = reader;
    this.#limits = limits;
    this.#events = events;
    this.#serial = about.serial;
    this.#flushed = about.serial;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error: Error) => this.#close(this.#broken(error.message, error)));
    // Who sends no more answers nothing: the rest of its calls are lost now, not when the socket is gone.
    socket.on('end', () => this.#close(this.#endedEarly()));
    socket.on('close', () => this.#close(this.#endedEarly()));
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Calls in flight. */
  get load(): number {
    return this.#pending.size;
  }

  /** Another call may be sent. */
  get hasRoom(): boolean {
    if (this.#state !== 'open' || this.#pending.size >= this.#limits.maxInFlight || !this.#socket.writable) return false;
    return this.#writer.length + this.#socket.writableLength < this.#limits.maxBufferedBytes;
  }

  /** The call's serial. What encoding throws is thrown, and nothing was sent. */
  send(exchange: Exchange, encode: Encode, now: number): number {
    this.#serial = (this.#serial + 1) | 0;
    this.#writer.add(this.#serial, callHead(exchange.message), encode);
    this.#pending.set(this.#serial, exchange);
    this.#askedAt ??= now;
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    return this.#serial;
  }

  /** The call was given to the socket: it may have an effect. */
  isSent(serial: number): boolean {
    return ((serial - this.#flushed) | 0) <= 0;
  }

  /** An answer to this call is dropped. */
  forget(serial: number): void {
    this.#pending.delete(serial);
    this.#finish();
  }

  /** Takes no more calls, and closes when those under way are done. */
  retire(): void {
    if (this.#state !== 'open') return;
    this.#state = 'retired';
    this.#finish();
  }

  /** Calls that are late hear of it; if the server is silent as well, so does its owner. */
  sweep(now: number): void {
    if (this.#heard) {
      this.#heard = false;
      this.#askedAt = this.#pending.size > 0 ? now : undefined;
    }
    let anyLate = false;
    for (const exchange of this.#pending.values()) {
      if (exchange.lateAt > now) continue;
      anyLate = true;
      exchange.late(now);
    }
    const silent = this.#askedAt !== undefined && now - this.#askedAt >= silenceMs;
    if (!anyLate || !silent || this.#state !== 'open') return;
    this.#state = 'retired';
    this.#events.silent();
    const reason = this.#broken('no answer to anything');
    for (const [serial, exchange] of this.#pending) {
      // A write's answer may still come, and nothing else can tell what became of it.
      if (exchange.write) continue;
      this.#pending.delete(serial);
      exchange.lost(reason, true);
    }
    this.#finish();
  }

  /** Ends every call. */
  destroy(reason: ClientError): void {
    this.#close(reason);
  }

  #flush(): void {
    this.#flushing = false;
    // What a socket that is going away does not take was never sent: its calls hear so when it is closed.
    if (this.#state === 'closed' || this.#writer.length === 0 || !this.#socket.writable) return;
    this.#socket.write(this.#writer.take());
    // A write that fails at once was refused by the system as a whole: the connection had been reset before.
    if (this.#socket.errored === null) this.#flushed = this.#serial;
  }

  #take(chunk: Buffer): void {
    this.#heard = true;
    try {
      for (const { serial, payload } of this.#reader.push(chunk)) {
        const exchange = this.#pending.get(serial);
        // An answer that nobody waits for any more.
        if (exchange === undefined) continue;
        this.#answer(serial, exchange, payload);
        if (this.#state === 'closed') return;
      }
    } catch (error) {
      this.#close(this.#broken(`what it sent cannot be read: ${(error as Error).message}`, error));
    }
    this.#finish();
  }

  #answer(serial: number, exchange: Exchange, payload: Buffer): void {
    let answer: CallAnswer;
    try {
      answer = readAnswer(payload, 0, exchange.message, this.dialect);
    } catch (error) {
      if (error instanceof Malformed) throw error;
      // Sound bytes with a meaning that is beyond us concern this call alone.
      const code = exchange.write ? 'unknown-outcome' : 'internal';
      answer = { failed: true, value: { code, message: (error as Error).message, retry: 'reads', retryAfterMs: 0 } };
    }
    this.#pending.delete(serial);
    if (answer.failed) exchange.refused(answer.value);
    else exchange.answered(answer.value);
  }

  #finish(): void {
    if (this.#state === 'retired' && this.#pending.size === 0) this.#close(undefined);
  }

  #endedEarly(): ClientError | undefined {
    if (this.#pending.size === 0 && !this.#reader.inFrame) return undefined;
    return this.#broken('it closed the connection');
  }

  #broken(reason: string, cause?: unknown): ClientConnectionError {
    return new ClientConnectionError(`${this.address}: ${reason}`, [{ server: this.address, reason }], { server: this.address, cause });
  }

  #close(reason: ClientError | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#socket.destroy();
    const lost = [...this.#pending];
    this.#pending.clear();
    this.#events.closed(reason);
    const why = reason ?? this.#broken('the connection was closed');
    for (const [serial, exchange] of lost) exchange.lost(why, this.isSent(serial));
  }
}
