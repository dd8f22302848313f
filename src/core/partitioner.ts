/**
 * Which partition a key belongs to: murmur2 as in `org.apache.kafka.common.utils.Utils.murmur2`, made positive, modulo the number of
 * partitions: what the Java client's default partitioner does for records with a key, so that other producers agree with us.
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
  return ((murmur2(key) & 0x7fffffff) % partitions) as Partition;
}
