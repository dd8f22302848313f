/** A hash of keys for the structures in memory. It is never stored and decides no partition, so it may change at any time. */

/** FNV-1a over the UTF-16 units, stirred so that the low bits depend on all of them. An int32. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return mixed(hash);
}

/** The `hashOf` of a key that stands in memory in units of one byte, or when `wide` of two, little-endian. */
export function hashAt(bytes: Uint8Array, at: number, length: number, wide: boolean): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < length; i++) {
    const unit = wide ? bytes[at + 2 * i]! | (bytes[at + 2 * i + 1]! << 8) : bytes[at + i]!;
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return mixed(hash);
}

/** MurmurHash3's finaliser: another int32, each bit of which depends on all bits of `hash`. */
export function mixed(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
