/**
 * What stands in a frame besides a message's own values:
 *
 * ```
 * call   = [handshake] metadata name:string request
 * answer = [handshake] metadata failed:boolean (response | failure)
 * ```
 */
import { BitacoraError } from '../../src/core/errors.ts';
import { Malformed } from '../../wire/avro/check.ts';
import { type CallError, metadata, text } from '../../wire/avro/codec.ts';
import { type Encode, FrameReader, FrameWriter } from '../../wire/avro/frames.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import type { Dialect } from './dialect.ts';

/** Bytes that are always the same. */
function fixed(...parts: Encode[]): Encode {
  const writer = new FrameWriter();
  writer.add(0, ...parts);
  const bytes = new FrameReader({ maxFrameBytes: 10_000, maxBuffers: 1 }).push(writer.take())[0]?.payload as Buffer;
  return (buffer, at) => {
    const end = at + bytes.length;
    if (end > buffer.length) return buffer.length - end;
    bytes.copy(buffer, at);
    return end;
  };
}

const heads = new Map<string, Encode>();

/** Metadata (none) and name of a call; an empty name asks for nothing but the handshake. */
export function callHead(name: MessageName | ''): Encode {
  let head = heads.get(name);
  if (head === undefined) {
    head = fixed(metadata.encode({}), text.encode(name));
    heads.set(name, head);
  }
  return head;
}

export type CallAnswer =
  | { readonly failed: false; readonly value: unknown }
  | {
      readonly failed: true;
      readonly value: CallError;
    };

/** An answer from `start` to the payload's end. Errors: `Malformed` for bytes that are none, and those of `Decode`. */
export function readAnswer(payload: Buffer, start: number, name: MessageName, dialect: Dialect): CallAnswer {
  const reading = dialect.readings.get(name);
  if (reading === undefined) throw new BitacoraError('internal', `${name} was asked of a server that does not know it`);
  // An empty map is one zero byte.
  const at = payload[start] === 0 ? start + 1 : metadata.decode(payload, start).end;
  const flag = payload[at];
  if (flag !== 0 && flag !== 1) throw new Malformed('an answer that says neither failed nor done');
  const { value, end } = flag === 0 ? reading.answer(payload, at + 1) : reading.failure(payload, at + 1);
  if (end !== payload.length) throw new Malformed(`${payload.length - end} bytes too many in an answer`);
  return flag === 0 ? { failed: false, value } : { failed: true, value: value as CallError };
}
