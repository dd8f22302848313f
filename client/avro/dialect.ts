/** How a server speaks: which of our messages it knows, and how its answers are read as ours. Learned from the text of its protocol. */
import { BitacoraError } from '../../src/core/errors.ts';
import { type CallError, type Decode, localProtocol, Protocol } from '../../wire/avro/codec.ts';
import { type MessageName, protocol } from '../../wire/avro/protocol.ts';

/** Readers of what one message may be answered with. */
export interface Reading {
  readonly answer: Decode<unknown>;
  readonly failure: Decode<CallError>;
}

export interface Dialect {
  /** What names the protocol in a handshake; the server's word, 16 bytes. */
  readonly hash: Buffer;
  /** Messages that the server has and that read as ours. */
  readonly readings: ReadonlyMap<MessageName, Reading>;
  /** It knows positions, and with them what a session needs; the first generation does not. */
  readonly current: boolean;
}

const names = Object.keys(protocol.messages) as MessageName[];
const needed: readonly MessageName[] = ['getNode', 'getRecord', 'setRecord', 'deleteRecord', 'getMany', 'setMany'];

function dialectOf(theirs: Protocol, hash: Buffer): Dialect {
  const readings = new Map<MessageName, Reading>();
  for (const name of names) {
    try {
      readings.set(name, { answer: theirs.response(name), failure: theirs.failure(name) });
    } catch (error) {
      // What it does not have, or has in a way that does not fit ours, is not asked of it.
      if (!(error instanceof BitacoraError)) throw error;
    }
  }
  return { hash, readings, current: needed.every((name) => readings.has(name)) };
}

/** The first guess: a server of this version. */
export const ourDialect: Dialect = dialectOf(localProtocol, localProtocol.hash);

/** Dialects by text: making one costs milliseconds, and servers of a cluster speak few. */
export class Dialects {
  static readonly #most = 16;
  readonly #known = new Map<string, Dialect>();

  /** Errors: `bad-request` (of the codec) for a text that is no protocol. */
  of(text: string, hash: Buffer): Dialect {
    const known = this.#known.get(text);
    if (known !== undefined) return known.hash.equals(hash) ? known : { ...known, hash };
    const dialect = dialectOf(new Protocol(text), hash);
    if (this.#known.size >= Dialects.#most) this.#known.clear();
    this.#known.set(text, dialect);
    return dialect;
  }
}
