/** What the rooms of the Avro face hand one another. */
import type { ErrorCode } from '../../src/core/errors.ts';
import type { KeyValue, Logger } from '../../src/ports.ts';
import type { Encode } from '../../wire/avro/frames.ts';
import type { Messages } from '../../wire/avro/messages.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import type { Caller } from './caller.ts';

/** Bounds of the Avro face. Times in milliseconds. */
export interface AvroLimits {
  /** Told to clients; the key-value service holds them to it. */
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  /** Payload of one frame, of a call as of an answer. At least a value and a key with room to spare: see `openAvroServer`. */
  readonly maxFrameBytes: number;
  /** Buffers of one frame. Java cuts at 8 KiB. */
  readonly maxBuffers: number;
  /** Connections above this are closed at once. */
  readonly maxConnections: number;
  /** Calls of one connection that are begun and not answered; at this many its socket is not read. */
  readonly maxCallsPerConnection: number;
  /** Bytes of one connection in such calls, or in answers that have not left; above this its socket is not read. */
  readonly maxBytesPerConnection: number;
  /** Without a call in flight and without a byte. */
  readonly idleTimeoutMs: number;
  /** For a frame that has begun to be whole. */
  readonly frameTimeoutMs: number;
  /** For a client that has let answers pile up to take them. */
  readonly takeTimeoutMs: number;
  /** How long a write waits for the log before its caller is told that the outcome is unknown. */
  readonly writeTimeoutMs: number;
}

/** Hears of every call: its message's name (`other`: one that is not ours), how it ended, seconds. */
export type Observe = (message: MessageName | 'other', outcome: 'ok' | ErrorCode, seconds: number) => void;

/** What every handler needs. */
export interface Rooms {
  readonly keyValue: KeyValue;
  /** This node's name. */
  readonly node: string;
  readonly limits: AvroLimits;
  readonly logger: Logger;
}

/** Answers one message: the response as bytes, at once where that is possible. What it throws is answered by `failures.ts`. */
export type Handler<M extends MessageName> = (request: Messages[M]['request'], caller: Caller) => Encode | Promise<Encode>;

export type Handlers = { readonly [M in MessageName]: Handler<M> };
