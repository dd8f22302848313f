/**
 * One call: from a payload behind the handshake to an answer.
 *
 * ```
 * call    = metadata:map<bytes> message:string request        the request as the client's protocol writes it
 * answer  = metadata:map<bytes> error:boolean (response | error)
 * ```
 *
 * An empty message name is a ping. Bytes that are no call throw `Malformed`, and the connection they came on is lost; whatever else is
 * wrong is the call's answer.
 */
import { BitacoraError, type ErrorCode } from '../../src/core/errors.ts';
import { Malformed } from '../../wire/avro/check.ts';
import { isMessage, metadata, type Protocol, text } from '../../wire/avro/codec.ts';
import type { Encode } from '../../wire/avro/frames.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import type { Caller } from './caller.ts';
import { answered, failed } from './encode.ts';
import type { Handler, Handlers, Rooms } from './exchange.ts';
import { failureOf, failureParts, oneLine } from './failures.ts';
import { createHandlers } from './handlers.ts';

/** What a call came to. */
export interface Outcome {
  readonly message: MessageName | 'other';
  readonly code: 'ok' | ErrorCode;
  /** The answer, from its metadata on. */
  readonly parts: readonly Encode[];
}

/** Characters of an unknown message's name that are told. */
const mostOfName = 64;

export class Calls {
  readonly #rooms: Rooms;
  readonly #handlers: Handlers;
  #draining = false;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.#handlers = createHandlers(rooms);
  }

  /** From now on calls are answered `draining`. */
  drain(): void {
    this.#draining = true;
  }

  /** The call at `at`; undefined: a ping. A promise never rejects. Errors: `Malformed`. */
  begin(protocol: Protocol, payload: Buffer, at: number, caller: Caller): Outcome | Promise<Outcome> | undefined {
    // Nobody we know of puts anything into the map.
    const named = payload[at] === 0 ? at + 1 : metadata.decode(payload, at).end;
    const { value: name, end } = text.decode(payload, named);
    if (name === '') {
      if (end !== payload.length) throw new Malformed('a ping with something behind it');
      return undefined;
    }
    if (this.#draining) return this.failed(isMessage(name) ? name : 'other', new BitacoraError('draining', 'the node is going away'));
    if (!isMessage(name)) {
      return this.failed('other', new BitacoraError('bad-request', `there is no message ${name.slice(0, mostOfName)}`));
    }
    return this.#run(name, protocol, payload, end, caller);
  }

  /** The outcome of a call that could not be done, or whose answer could not be written. */
  failed(name: MessageName | 'other', error: unknown): Outcome {
    const failure = failureOf(error, oneLine(this.#rooms.logger));
    const parts = [failed, ...failureParts(name === 'other' ? undefined : name, failure)];
    return { message: name, code: failure.code, parts };
  }

  #run(name: MessageName, protocol: Protocol, payload: Buffer, at: number, caller: Caller): Outcome | Promise<Outcome> {
    let decode: ReturnType<Protocol['request']>;
    try {
      decode = protocol.request(name);
    } catch (error) {
      // In words: a client that knows another request by this name knows other errors too.
      return { ...this.failed('other', error), message: name };
    }
    try {
      const { value, end } = decode(payload, at);
      if (end !== payload.length) throw new Malformed('a call with something behind it');
      const handle = this.#handlers[name] as Handler<MessageName>;
      const answer = handle(value, caller);
      return answer instanceof Promise ? answer.then(ok(name), (error) => this.failed(name, error)) : ok(name)(answer);
    } catch (error) {
      if (error instanceof Malformed) throw error;
      return this.failed(name, error);
    }
  }
}

const ok =
  (message: MessageName) =>
  (body: Encode): Outcome => ({ message, code: 'ok', parts: [answered, body] });
