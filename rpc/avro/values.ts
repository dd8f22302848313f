/** What the key-value service says, as the protocol's records. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { FoundValue, ReadAnswer, ReadSource, Written } from '../../src/ports.ts';
import type { Answer, KeyValue, Written as WrittenRecord } from '../../wire/avro/messages.ts';

/** The protocol's numbers, which were the original's. */
const sourceNumber: Readonly<Record<ReadSource, number>> = { local: 1, peer: 2, stale: 3 };

/** Bytes that an answer has beside its value: metadata, positions, times, names. */
const besideValue = 1_024;

/** Other producers may have written more than an answer holds. Errors: `value-too-large`. */
export function checkFits(value: Uint8Array, maxFrameBytes: number): void {
  if (value.length + besideValue <= maxFrameBytes) return;
  throw new BitacoraError('value-too-large', `the value has ${value.length} bytes, too many for a frame of ${maxFrameBytes}`);
}

/** Errors: `value-too-large`. */
export function answerOf({ found, source, applied }: ReadAnswer, genesis: string | undefined, maxFrameBytes: number): Answer {
  if (found !== undefined) checkFits(found.value, maxFrameBytes);
  return { found: found === undefined ? null : keyValueOf(found), source: sourceNumber[source], applied, genesis: genesis ?? '' };
}

function keyValueOf({ value, contentType, version, time, expires, id }: FoundValue): KeyValue {
  const buffer = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.length);
  return { value: buffer, contentType, version: version ?? null, timestamp: time, expires, uuid: id };
}

export function writtenOf({ position, id }: Written, genesis: string | undefined): WrittenRecord {
  return { position, uuid: id, genesis: genesis ?? '' };
}

/** At least the bytes that an answer takes in a frame. */
export function sizeOf({ found, genesis }: Answer): number {
  const metadata = found === null ? 0 : 3 * (found.contentType.length + found.uuid.length) + found.value.length;
  return metadata + 3 * genesis.length + numbersBytes;
}

/** Branches, lengths and integers of an answer, each as long as it may get. */
const numbersBytes = 100;
