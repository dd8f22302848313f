/**
 * One connection: frames in, answers out, in any order.
 *
 * Nothing a client does makes it hold more than its bounds: the socket is not read while as many calls as allowed are in flight, or while
 * answers pile up, and frames that came with the last chunk wait too. What does not speak the protocol, or not in time, is cut with one
 * line in the log.
 */
import type { Socket } from 'node:net';
import { codeOf } from '../../src/core/errors.ts';
import type { Logger } from '../../src/ports.ts';
import type { Protocol } from '../../wire/avro/codec.ts';
import type { Encode, Frame } from '../../wire/avro/frames.ts';
import { Caller } from './caller.ts';
import type { Calls, Outcome } from './calls.ts';
import type { AvroLimits, Observe } from './exchange.ts';
import type { Handshakes } from './handshake.ts';
import { Intake } from './intake.ts';
import { mostItems } from './many.ts';
import { Outbox } from './outbox.ts';

export interface ConnectionOptions {
  readonly limits: AvroLimits;
  readonly calls: Calls;
  readonly handshakes: Handshakes;
  readonly observe: Observe;
  readonly logger: Logger;
}

/** Why a connection was closed from here, as log lines say it. */
type Reason = 'malformed' | 'truncated' | 'frame-late' | 'answers-not-taken' | 'idle' | 'internal';

/** Reads and writes that wait, those of batches one by one: a batch is one call, and must not hold up what comes behind it. */
const mostWaits = 4 * mostItems;
/** How long the other side may take to hang up once it was told that nothing more will come, in milliseconds. */
const partingMs = 500;
/** How long a socket that was not read for a while is read before nothing is owed on it, in milliseconds: calls may have come long ago. */
const quietMs = 100;

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #remote: string;
  readonly #intake: Intake;
  readonly #outbox: Outbox;
  readonly #caller = new Caller();
  /** `settling`: open, and to be ended once nothing is owed. `ending`: what was answered is leaving; nothing more is begun or answered. */
  #state: 'open' | 'settling' | 'ending' | 'closed' = 'open';
  /** The client's; undefined until the handshake has come to something. */
  #protocol: Protocol | undefined;
  /** Calls begun and not answered, and the bytes of their frames. */
  #calls = 0;
  #bytes = 0;
  /** Monotonic ms. Of the last byte in, or the last answer. */
  #activeAt = performance.now();
  /** Since when it is `ending`. */
  #partedAt = 0;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#remote = `${socket.remoteAddress ?? 'gone'}:${socket.remotePort ?? 0}`;
    this.#intake = new Intake(socket, {
      limits: options.limits,
      begin: (frame) => this.#begin(frame),
      isFull: () => this.#isFull(),
      later: () => this.#goOn(),
    });
    this.#outbox = new Outbox(socket, options.limits.maxBytesPerConnection, () => this.#goOn());
    socket.on('data', (chunk: Buffer) => this.#heard(chunk));
    socket.on('end', () => this.#left());
    socket.on('error', (err) => options.logger.debug({ event: 'avro.socket-error', remote: this.#remote, err }, 'an Avro socket failed'));
    socket.on('close', () => this.#closed());
  }

  /** To be asked every now and then, with the monotonic time: is the client late with anything? */
  check(now: number): void {
    const { idleTimeoutMs, frameTimeoutMs, takeTimeoutMs } = this.#options.limits;
    if (this.#state === 'ending' && now - this.#partedAt > takeTimeoutMs) this.destroy();
    if (!this.#isOpen()) return;
    const { piledSince } = this.#outbox;
    const { frameSince } = this.#intake;
    if (piledSince !== undefined) {
      if (now - piledSince > takeTimeoutMs) this.#cut('answers-not-taken');
    } else if (frameSince !== undefined) {
      if (now - frameSince > frameTimeoutMs) this.#cut('frame-late');
    } else if (this.#calls === 0 && now - this.#activeAt > idleTimeoutMs) this.#cut('idle');
  }

  /** Ends the connection once every call that was begun is answered. Idempotent. */
  end(): void {
    if (this.#state === 'open') this.#state = 'settling';
    this.#endIfSettled();
  }

  /** Cuts it at once, whatever is owed. */
  destroy(): void {
    this.#state = 'closed';
    this.#socket.destroy();
  }

  #isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'settling';
  }

  #heard(chunk: Buffer): void {
    if (!this.#isOpen()) return;
    this.#activeAt = performance.now();
    this.#take(() => this.#intake.push(chunk, this.#activeAt));
  }

  #goOn(): void {
    if (this.#isOpen()) this.#take(() => this.#intake.goOn());
  }

  #take(frames: () => void): void {
    try {
      frames();
    } catch (error) {
      this.#broken(error);
    }
    this.#endIfSettled();
  }

  #isFull(): boolean {
    const { maxCallsPerConnection, maxBytesPerConnection } = this.#options.limits;
    if (this.#calls >= maxCallsPerConnection || this.#caller.waits >= mostWaits) return true;
    return this.#bytes >= maxBytesPerConnection || this.#outbox.isFull();
  }

  /** Errors: `Malformed`, `bad-request`: the other side does not speak the protocol. */
  #begin({ serial, payload }: Frame): void {
    const began = performance.now();
    let greeting: readonly Encode[] = [];
    let at = 0;
    if (this.#protocol === undefined) {
      const { protocol, answer, end } = this.#options.handshakes.greet(payload);
      greeting = [answer];
      this.#protocol = protocol;
      // Not understood yet, or nothing but a handshake.
      if (protocol === undefined || end === payload.length) {
        this.#outbox.add(serial, greeting);
        return;
      }
      at = end;
    }
    const outcome = this.#options.calls.begin(this.#protocol as Protocol, payload, at, this.#caller);
    if (outcome === undefined) this.#outbox.add(serial, greeting);
    else if (outcome instanceof Promise) void this.#later(outcome, serial, greeting, payload.length, began);
    else this.#answer(outcome, serial, greeting, began);
  }

  async #later(call: Promise<Outcome>, serial: number, greeting: readonly Encode[], bytes: number, began: number): Promise<void> {
    this.#calls++;
    this.#bytes += bytes;
    const outcome = await call;
    this.#calls--;
    this.#bytes -= bytes;
    this.#activeAt = performance.now();
    this.#answer(outcome, serial, greeting, began);
    // One less in flight: what waits may go on.
    this.#goOn();
  }

  #answer({ message, code, parts }: Outcome, serial: number, greeting: readonly Encode[], began: number): void {
    const { calls, observe } = this.#options;
    let told = this.#isOpen() ? code : 'closed';
    if (this.#isOpen()) {
      try {
        this.#outbox.add(serial, greeting.length === 0 ? parts : [...greeting, ...parts]);
      } catch (error) {
        const failure = calls.failed(message, error);
        told = failure.code;
        this.#outbox.add(serial, [...greeting, ...failure.parts]);
      }
    }
    observe(message, told, (performance.now() - began) / 1_000);
  }

  #endIfSettled(): void {
    if (this.#state !== 'settling' || this.#calls > 0) return;
    const quiet = this.#intake.quietFor(performance.now());
    if (quiet >= quietMs) this.#part();
    else if (quiet >= 0) setTimeout(() => this.#endIfSettled(), quietMs - quiet).unref();
  }

  /** Nothing more is begun; what was answered leaves, and then the other side hangs up, or is made to. */
  #part(): void {
    this.#outbox.flush();
    this.#state = 'ending';
    this.#partedAt = performance.now();
    this.#caller.leave();
    this.#socket.end(() => setTimeout(() => this.#socket.destroy(), partingMs).unref());
    // What still comes is thrown away, or the other side's end would not be heard.
    this.#socket.resume();
  }

  /** The other side sends no more. It may wait for answers, and it may be gone: nothing tells, and who is gone must not keep waits alive. */
  #left(): void {
    if (!this.#isOpen()) return;
    if (this.#intake.inFrame) this.#log('truncated');
    this.#part();
  }

  #broken(error: unknown): void {
    if (codeOf(error) === 'bad-request') {
      this.#cut('malformed', (error as Error).message);
      return;
    }
    this.#options.logger.error({ event: 'avro.failed', err: error }, 'a frame failed for a reason that is not in the error table');
    this.#cut('internal');
  }

  #cut(reason: Reason, detail?: string): void {
    this.#log(reason, detail);
    if (reason === 'answers-not-taken') this.destroy();
    else this.#part();
  }

  #log(reason: Reason, detail?: string): void {
    const { logger } = this.#options;
    const fields = { event: 'avro.connection-closed', reason, detail, remote: this.#remote };
    if (reason === 'idle') logger.debug(fields, 'an idle Avro connection was closed');
    else logger.warn(fields, 'an Avro connection was cut');
  }

  #closed(): void {
    if (this.#isOpen() && this.#intake.inFrame) this.#log('truncated');
    this.#state = 'closed';
    this.#caller.leave();
  }
}
