/** Parts of answers that are written without a schema at hand: they are the same for every call, or too hot for one. */
import type { Encode } from '../../wire/avro/frames.ts';

/** Behind the metadata (none) of an answer: no error. */
export const answered: Encode = constant([0, 0]);
/** Behind the metadata (none): an error, by the message's union of errors. */
export const failed: Encode = constant([0, 1]);
/** The first branch of a union of errors is `string`, whatever the message. */
export const inWords: Encode = constant([0]);
/** Of `null`: no bytes at all. */
export const nothing: Encode = constant([]);
/** The `null` of `getValue`'s union. */
export const absent: Encode = constant([0]);

function constant(bytes: readonly number[]): Encode {
  return (buffer, at) => {
    if (at + bytes.length > buffer.length) return buffer.length - at - bytes.length;
    for (let index = 0; index < bytes.length; index++) buffer[at + index] = bytes[index] as number;
    return at + bytes.length;
  };
}

/** At most a branch and a length. */
const headBytes = 6;

/**
 * The `string` of `getValue`'s union, from the bytes of the value as they are. Decoding and encoding them again would cost more than the
 * rest of the answer; what is not UTF-8 reaches the caller as it was written, and what he makes of it is his.
 */
export function present(value: Uint8Array): Encode {
  return (buffer, start) => {
    const most = headBytes + value.length;
    if (start + most > buffer.length) return buffer.length - start - most;
    let at = start;
    buffer[at++] = 2;
    let zigzag = value.length * 2;
    for (; zigzag > 0x7f; zigzag >>>= 7) buffer[at++] = (zigzag & 0x7f) | 0x80;
    buffer[at++] = zigzag;
    buffer.set(value, at);
    return at + value.length;
  };
}
