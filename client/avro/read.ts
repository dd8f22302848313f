/** The read of one key: `getRecord` with what the session has seen of the key's partition; of an old server, where that will do, `getValue`. */
import { partitionOf } from '../../src/core/partitioner.ts';
import type { Answer } from '../../wire/avro/messages.ts';
import type { ClientError } from '../errors.ts';
import type { Session } from '../session.ts';
import { checkLength } from './checks.ts';
import { type Connection, type Request, request } from './connection.ts';
import { type Operation, unsupported } from './operation.ts';
import { sawAnswer, sawForeign } from './seeing.ts';

/** What a caller wants of an answer. */
export interface Shape<R> {
  of(key: string, answer: Answer): R;
  /** From the text of the first generation, null: absent; undefined: that is not enough. */
  readonly ofText: ((text: string | null) => R) | undefined;
}

export class Read<R> implements Operation<R> {
  readonly write = false;
  readonly #key: string;
  readonly #bytes: Uint8Array;
  readonly #session: Session;
  readonly #shape: Shape<R>;
  /** Of the attempt under way; offset -1: anything will do. */
  readonly #asked = { epoch: 0, offset: -1 };
  #inText = false;

  constructor(key: string, bytes: Uint8Array, session: Session, shape: Shape<R>) {
    this.#key = key;
    this.#bytes = bytes;
    this.#session = session;
    this.#shape = shape;
  }

  request({ dialect, node, address }: Connection): Request {
    this.#inText = !dialect.current;
    if (this.#inText) {
      if (this.#shape.ofText === undefined) throw unsupported('getRecord', address);
      return request('getValue', { key: this.#key });
    }
    checkLength(this.#bytes, node);
    const partitions = node?.partitions ?? 0;
    // A node that does not know its partitions yet is told everything.
    const seen = partitions > 0 ? this.#session.seenIn(partitionOf(this.#bytes, partitions)) : this.#session.seen(undefined);
    this.#asked.epoch = this.#session.epoch;
    this.#asked.offset = partitions > 0 ? (seen.positions[0]?.offset ?? -1) : -1;
    return request('getRecord', { key: this.#key, seen });
  }

  result(response: unknown, { address }: Connection): R {
    if (this.#inText) return (this.#shape.ofText as (text: string | null) => R)(response as string | null);
    const answer = response as Answer;
    sawAnswer(this.#session, answer, this.#asked, address);
    return this.#shape.of(this.#key, answer);
  }

  refusal(error: ClientError): ClientError {
    return error.code === 'position-foreign' ? sawForeign(this.#session, this.#asked.epoch, error) : error;
  }
}
