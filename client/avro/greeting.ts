/**
 * Avro's handshake, without the network: what to send, and what to make of the answer.
 *
 * We begin with the hash of our protocol and the hash that we take the server's to be. `BOTH`: right. `CLIENT`: the server knows ours and
 * tells its own. `NONE`: it does not know ours and tells its own; the call is sent once more with our text. With the handshake goes
 * `getNode`, so that one round trip tells who answers and within which limits; a server that is known not to have it is asked nothing.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import { encodeRequest, handshakeRequest, handshakeResponse, localProtocol } from '../../wire/avro/codec.ts';
import type { Encode } from '../../wire/avro/frames.ts';
import type { Node } from '../../wire/avro/messages.ts';
import type { Dialect, Dialects } from './dialect.ts';
import { callHead, readAnswer } from './payload.ts';

export interface Greeted {
  readonly dialect: Dialect;
  /** Undefined: the server does not know `getNode`. */
  readonly node: Node | undefined;
}

export class Greeting {
  readonly #dialects: Dialects;
  #dialect: Dialect;
  #sentText = false;
  #asked: 'getNode' | '' = '';

  /** `guess`: the server's dialect as last known, or ours. */
  constructor(guess: Dialect, dialects: Dialects) {
    this.#dialect = guess;
    this.#dialects = dialects;
  }

  /** The frame to send now. */
  request(): readonly Encode[] {
    // Before the server has spoken, ours is a guess; a server without `getNode` says so in its handshake.
    this.#asked = this.#dialect.readings.has('getNode') ? 'getNode' : '';
    const handshake = handshakeRequest.encode({
      clientHash: localProtocol.hash,
      clientProtocol: this.#sentText ? localProtocol.text : null,
      serverHash: this.#dialect.hash,
      meta: null,
    });
    return this.#asked === '' ? [handshake, callHead('')] : [handshake, callHead('getNode'), encodeRequest('getNode', {})];
  }

  /** Undefined: `request` must be sent again. Errors: `bad-request` for bytes that are no handshake; `internal` when the server refuses. */
  take(payload: Buffer): Greeted | undefined {
    const { value, end } = handshakeResponse.decode(payload, 0);
    const { match, serverProtocol, serverHash } = value;
    if (serverProtocol !== null) this.#dialect = this.#dialects.of(serverProtocol, Buffer.from(serverHash ?? this.#dialect.hash));
    if (match === 'NONE') {
      if (this.#sentText) throw new BitacoraError('internal', 'the server has our protocol and does not accept it');
      this.#sentText = true;
      return undefined;
    }
    const dialect = this.#dialect;
    if (this.#asked === '' || !dialect.readings.has('getNode')) return { dialect, node: undefined };
    const answer = readAnswer(payload, end, 'getNode', dialect);
    if (answer.failed) {
      const { value } = answer;
      throw new BitacoraError('internal', `the server says ${typeof value === 'string' ? value : `${value.code}: ${value.message}`}`);
    }
    return { dialect, node: answer.value as Node };
  }
}
