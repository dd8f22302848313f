/**
 * The handshake, with which a connection begins: each side tells by a hash which protocol it speaks, and by its text where the other does
 * not know the hash.
 *
 * ```
 * NONE     we do not know the client's protocol, and it sent no text: our text and hash, and nothing behind; it sends its call again
 * CLIENT   it does not know ours: our text and hash, and behind them the answer to its call
 * BOTH     each knows the other's: the answer to its call
 * ```
 *
 * As `Responder` of Avro for Java, whose requestors take NONE without our text for a defect. A protocol is remembered by the MD5 of its
 * text, which is what clients send as its hash; a client that calls another's protocol by its own hash harms nobody, one whose hash is
 * no MD5 sends its text with every new connection.
 */
import { createHash } from 'node:crypto';
import { Malformed } from '../../wire/avro/check.ts';
import { handshakeRequest, handshakeResponse, localProtocol, Protocol } from '../../wire/avro/codec.ts';
import type { Encode } from '../../wire/avro/frames.ts';

/** Text of a client's protocol: ours has 3 KiB. What avsc makes of a text costs a thousand times its bytes. */
export const maxProtocolBytes = 32 * 1024;
/** Protocols remembered; those used least lately are forgotten, and their clients send them again. */
const mostProtocols = 64;

/** What a handshake came to. */
export interface Greeting {
  /** The client's protocol; undefined: not known yet, and nothing but the answer may be sent. */
  readonly protocol: Protocol | undefined;
  readonly answer: Encode;
  /** Where the call begins. */
  readonly end: number;
}

/** The protocols of all clients of this server. */
export class Handshakes {
  /** By hash, the one used last at the end. */
  readonly #known = new Map<string, Protocol>();

  /** Errors: `Malformed` for a payload that is no handshake; `bad-request` for a text that is no protocol, or too long. */
  greet(payload: Buffer): Greeting {
    const { value, end } = handshakeRequest.decode(payload, 0);
    const { clientHash, clientProtocol, serverHash } = value;
    const protocol = clientProtocol === null ? this.#find(clientHash) : this.#learn(clientProtocol);
    const match = protocol === undefined ? 'NONE' : serverHash.equals(localProtocol.hash) ? 'BOTH' : 'CLIENT';
    return { protocol, answer: answers[match], end };
  }

  #find(hash: Buffer): Protocol | undefined {
    if (hash.equals(localProtocol.hash)) return localProtocol;
    const name = hash.toString('latin1');
    const known = this.#known.get(name);
    if (known === undefined) return undefined;
    this.#known.delete(name);
    this.#known.set(name, known);
    return known;
  }

  #learn(text: string): Protocol {
    if (Buffer.byteLength(text) > maxProtocolBytes) throw new Malformed(`the protocol in the handshake is over ${maxProtocolBytes} bytes`);
    const hash = createHash('md5').update(text).digest();
    const known = this.#find(hash);
    if (known !== undefined) return known;
    const protocol = new Protocol(text);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < mostProtocols) break;
      this.#known.delete(oldest);
    }
    this.#known.set(hash.toString('latin1'), protocol);
    return protocol;
  }
}

const ours = { serverProtocol: localProtocol.text, serverHash: localProtocol.hash, meta: null };
const answers = {
  NONE: handshakeResponse.encode({ match: 'NONE', ...ours }),
  CLIENT: handshakeResponse.encode({ match: 'CLIENT', ...ours }),
  BOTH: handshakeResponse.encode({ match: 'BOTH', serverProtocol: null, serverHash: null, meta: null }),
};
