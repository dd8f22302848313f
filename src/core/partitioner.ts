/**
 * Which partition a key belongs to: murmur2 as in `org.apache.kafka.common.utils.Utils.murmur2`, made positive, modulo the number of
 * partitions: what the Java client's default partitioner does for records with a key, so that other producers agree with us.
 *
 * A key with a tag, `{tag}` of 1 to 64 characters `A-Z a-z 0-9 . _ -`, is placed by its first tag alone, so that keys that must be
 * written together can be kept together. The characters leave out what begins a JSON object: its keys are common in others' topics.
 */
import type { Partition } from '../ports.ts';

const seed = 0x9747b28c;
const m = 0x5bd1e995;

/** The signed 32-bit murmur2 hash of the Java client. */
export function murmur2(data: Uint8Array): number {
  const length = data.length;
  let h = seed ^ length;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    let k = (data[i] as number) | ((data[i + 1] as number) << 8) | ((data[i + 2] as number) << 16) | ((data[i + 3] as number) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  const rest = length - i;
  if (rest >= 3) h ^= (data[i + 2] as number) << 16;
  if (rest >= 2) h ^= (data[i + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (data[i] as number), m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return (h ^ (h >>> 15)) | 0;
}

/** The partition of a key among `partitions`. */
export function partitionOf(key: Uint8Array, partitions: number): Partition {
  const open = key.indexOf(OPEN);
  const hashed = open < 0 ? key : (tagFrom(key, open) ?? key);
  return ((murmur2(hashed) & 0x7fffffff) % partitions) as Partition;
}

const OPEN = 0x7b;
const CLOSE = 0x7d;
const longestTag = 64;

/** The bytes of the first tag at or after an opening brace; undefined: there is none. */
function tagFrom(key: Uint8Array, open: number): Uint8Array | undefined {
  for (let begin = open; begin >= 0; begin = key.indexOf(OPEN, begin + 1)) {
    let end = begin + 1;
    while (end < key.length && isTagByte(key[end] as number)) end++;
    const length = end - begin - 1;
    if (key[end] === CLOSE && length > 0 && length <= longestTag) return key.subarray(begin + 1, end);
  }
  return undefined;
}

function isTagByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2e || byte === 0x5f || byte === 0x2d;
}
