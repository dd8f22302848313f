/** `getMany` and `setMany` as operations on one server, with the session's positions. */
import { partitionOf } from '../../src/core/partitioner.ts';
import type { Put } from '../../wire/avro/messages.ts';
import {
  type AnswerOrFailure,
  answerBranch,
  type Failure,
  failureBranch,
  type WrittenOrFailure,
  writtenBranch,
} from '../../wire/avro/messages.ts';
import type { KeyRecord, Written } from '../client.ts';
import { ClientError } from '../errors.ts';
import type { SeenPlaces, Session } from '../session.ts';
import { checkLength } from './checks.ts';
import { type Connection, type Request, request } from './connection.ts';
import type { ManyOperation, Outcome } from './many.ts';
import { errorOf, unsupported } from './operation.ts';
import { recordOf } from './record.ts';
import { sawAnswer, sawForeign, sawWritten } from './seeing.ts';
import { writtenOf } from './write.ts';

export interface KeyItem {
  readonly key: string;
  readonly bytes: Uint8Array;
}

export interface PutItem extends KeyItem {
  readonly put: Put;
}

const noneSeen: SeenPlaces = { genesis: '', positions: [] };

export class ReadMany implements ManyOperation<KeyRecord | undefined> {
  readonly write = false;
  answeredBy: Connection | undefined;
  readonly #items: readonly KeyItem[];
  readonly #session: Session;
  #epoch = 0;
  #seen = noneSeen;

  constructor(items: readonly KeyItem[], session: Session) {
    this.#items = items;
    this.#session = session;
  }

  request({ dialect, node, address }: Connection): Request {
    if (!dialect.current) throw unsupported('getMany', address);
    for (const { bytes } of this.#items) checkLength(bytes, node);
    const partitions = node?.partitions ?? 0;
    const concerned = partitions > 0 ? new Set(this.#items.map(({ bytes }) => partitionOf(bytes, partitions))) : undefined;
    this.#epoch = this.#session.epoch;
    this.#seen = this.#session.seen(concerned);
    return request('getMany', { keys: this.#items.map(({ key }) => key), seen: this.#seen });
  }

  result(answer: unknown, connection: Connection): readonly Outcome<KeyRecord | undefined>[] {
    const results = answer as readonly AnswerOrFailure[];
    checkCount(results.length, this.#items.length, connection.address, 'internal');
    this.answeredBy = connection;
    return results.map((result, index) => this.#one(result, (this.#items[index] as KeyItem).key, connection.address));
  }

  refusal(error: ClientError): ClientError {
    return error.code === 'position-foreign' ? sawForeign(this.#session, this.#epoch, error) : error;
  }

  #one(result: AnswerOrFailure, key: string, server: string): Outcome<KeyRecord | undefined> {
    if (!(answerBranch in result)) {
      const error = this.refusal(errorOf(failureIn(result), false, server));
      // It concerns the session, and with it all items.
      if (error.code === 'position-foreign') throw error;
      return error;
    }
    const answer = result[answerBranch];
    const asked = this.#seen.positions.find(({ partition }) => partition === answer.applied.partition);
    try {
      sawAnswer(this.#session, answer, { epoch: this.#epoch, offset: asked?.offset ?? -1 }, server);
    } catch (error) {
      if (error instanceof ClientError && error.code === 'position-not-reached') return error;
      throw error;
    }
    return recordOf(key, answer);
  }
}

export class WriteMany implements ManyOperation<Written> {
  readonly write = true;
  answeredBy: Connection | undefined;
  readonly #items: readonly PutItem[];
  readonly #session: Session;
  #epoch = 0;

  constructor(items: readonly PutItem[], session: Session) {
    this.#items = items;
    this.#session = session;
  }

  request({ dialect, node, address }: Connection): Request {
    if (!dialect.current) throw unsupported('setMany', address);
    for (const { bytes } of this.#items) checkLength(bytes, node);
    this.#epoch = this.#session.epoch;
    return request('setMany', { puts: this.#items.map(({ put }) => put) });
  }

  result(answer: unknown, connection: Connection): readonly Outcome<Written>[] {
    const results = answer as readonly WrittenOrFailure[];
    checkCount(results.length, this.#items.length, connection.address, 'unknown-outcome');
    this.answeredBy = connection;
    return results.map((result) => {
      if (!(writtenBranch in result)) return errorOf(failureIn(result), true, connection.address);
      sawWritten(this.#session, result[writtenBranch], this.#epoch, connection.address);
      return writtenOf(result[writtenBranch]);
    });
  }

  refusal(error: ClientError): ClientError {
    return error;
  }
}

function failureIn(result: { readonly [failureBranch]?: Failure }): Failure {
  return result[failureBranch] as Failure;
}

function checkCount(results: number, items: number, server: string, code: 'internal' | 'unknown-outcome'): void {
  if (results === items) return;
  throw new ClientError(code, `${server} gave ${results} results for ${items} items`, { retryable: code === 'internal', server });
}
