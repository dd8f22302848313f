/**
 * A put as it was found in the log, and at once the entry that it comes to: a restore makes this one object of each record.
 *
 * The headers stay bytes, which a store that writes bytes can take as they are; `id` and `by` are made into text for whoever asks. It keeps
 * the log's fetch buffer alive, so it must not outlive the batch it came with; and a copy by `...` would lack what is asked here.
 */
import type { Entry, LogRecord, Millis, Offset } from '../ports.ts';
import { asciiOf } from './bytes.ts';
import type { Decoded } from './record.ts';

const nothing = new Uint8Array(0);

export class LoggedPut implements Decoded, Entry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly version: Offset;
  readonly time: Millis;
  readonly writer: string;
  readonly sequence: number;
  readonly expires: Millis;
  readonly contentType: string;
  readonly idempotencyKey: string;
  /** The headers' bytes; none when there is no such header. */
  readonly idBytes: Uint8Array;
  readonly byBytes: Uint8Array;

  constructor(
    key: string,
    record: LogRecord,
    writer: string,
    sequence: number,
    expires: Millis,
    contentType: string,
    idempotencyKey: string,
    idBytes: Uint8Array,
    byBytes: Uint8Array,
  ) {
    this.key = key;
    this.value = record.value ?? nothing;
    this.version = record.offset;
    this.time = record.time;
    this.writer = writer;
    this.sequence = sequence;
    this.expires = expires;
    this.contentType = contentType;
    this.idempotencyKey = idempotencyKey;
    this.idBytes = idBytes;
    this.byBytes = byBytes;
  }

  get id(): string {
    return asciiOf(this.idBytes);
  }

  get by(): string {
    return asciiOf(this.byBytes);
  }

  get operation(): 'put' {
    return 'put';
  }

  get condition(): undefined {
    return undefined;
  }

  get stated(): undefined {
    return undefined;
  }

  get goneAsof(): undefined {
    return undefined;
  }

  get batch(): undefined {
    return undefined;
  }

  get newest(): Offset {
    return this.version;
  }

  get settled(): true {
    return true;
  }

  get deleted(): false {
    return false;
  }
}
