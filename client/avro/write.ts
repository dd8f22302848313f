/** The write of one key: `setRecord` or `deleteRecord`; of an old server, where that will do, `setValue` or `delete`. */
import { textOf } from '../../src/core/bytes.ts';
import type { Put, Written as WrittenRecord } from '../../wire/avro/messages.ts';
import type { Written } from '../client.ts';
import { ClientError } from '../errors.ts';
import type { Session } from '../session.ts';
import { checkLength } from './checks.ts';
import { type Connection, type Request, request } from './connection.ts';
import { type Operation, unsupported } from './operation.ts';
import { placeText } from './record.ts';
import { sawWritten } from './seeing.ts';

/** What a frame holds beside the texts and bytes of a put. */
export const besidePut = 64;

/** The most bytes that a put takes in a frame. */
export function sizeOf(put: Put): number {
  return 3 * (put.key.length + put.contentType.length) + put.value.length + besidePut;
}

export function writtenOf({ position, uuid }: WrittenRecord): Written {
  return { version: placeText(position), id: uuid };
}

export class Write implements Operation<Written> {
  readonly write = true;
  readonly #session: Session;
  readonly #key: string;
  readonly #bytes: Uint8Array;
  /** Undefined: a delete. */
  readonly #put: Put | undefined;
  #epoch = 0;
  #inText = false;

  constructor(session: Session, key: string, bytes: Uint8Array, put: Put | undefined) {
    this.#session = session;
    this.#key = key;
    this.#bytes = bytes;
    this.#put = put;
  }

  request({ dialect, node, address }: Connection): Request {
    const put = this.#put;
    this.#epoch = this.#session.epoch;
    this.#inText = !dialect.current;
    checkLength(this.#bytes, node);
    if (this.#inText) return put === undefined ? request('delete', { key: this.#key }) : request('setValue', textPut(put, address));
    if (put === undefined) return request('deleteRecord', { key: this.#key });
    // A frame over the server's limit would cost it the connection, with all other calls on it.
    if (node !== undefined && node.maxFrameBytes > 0) checkFits(put, Math.min(node.maxValueBytes, node.maxFrameBytes), node.maxFrameBytes);
    return request('setRecord', { put });
  }

  result(response: unknown, { address }: Connection): Written {
    if (this.#inText) return { version: undefined, id: undefined };
    const written = response as WrittenRecord;
    sawWritten(this.#session, written, this.#epoch, address);
    return writtenOf(written);
  }

  refusal(error: ClientError): ClientError {
    return error;
  }
}

/** Errors: `value-too-large`. */
export function checkFits(put: Put, maxValueBytes: number, maxFrameBytes: number): void {
  if (put.value.length <= maxValueBytes && sizeOf(put) <= maxFrameBytes) return;
  throw new ClientError('value-too-large', `the value has ${put.value.length} bytes, the limit is ${maxValueBytes}`, { retryable: false });
}

function textPut({ key, value, contentType, ttl }: Put, server: string): { key: string; value: string } {
  const text = ttl === 0 && contentType === '' ? textOf(value) : undefined;
  if (text === undefined) throw unsupported('times to live, content types, and values that are not UTF-8', server);
  return { key, value: text };
}
