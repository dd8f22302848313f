/**
 * Which keys may be in the store: a blocked Bloom filter. A restore asks for each new key whether there is an old entry, and LevelDB's
 * "no" costs more than all the rest of the restore. "No" here is certain; "yes" means: ask LevelDB.
 *
 * Blocked: the bits of a key lie in one block of 512 (a cache line), so that a question touches memory once.
 */
import { hashOf, mixed } from './key-hash.ts';

const BLOCK_WORDS = 16;
const PROBES = 6;
/** Below this many bits a key, one question in twenty or more is a false "yes" and the filter no longer pays. */
const BITS_PER_KEY = 8;

export class PresenceFilter {
  readonly #words: Int32Array;
  readonly #blockMask: number;
  #added = 0;

  /** `bytes`: its size; rounded down to a power of two, 64 at least. */
  constructor(bytes: number) {
    const blocks = 2 ** Math.max(0, Math.floor(Math.log2(bytes / 64)));
    this.#words = new Int32Array(blocks * BLOCK_WORDS);
    this.#blockMask = blocks - 1;
  }

  /** So many additions (of one key or many) that its answers are no longer worth asking for. */
  get full(): boolean {
    return this.#added * BITS_PER_KEY > this.#words.length * 32;
  }

  add(key: string): void {
    const hash = hashOf(key);
    const base = (hash & this.#blockMask) * BLOCK_WORDS;
    const words = this.#words;
    let bits = mixed(hash);
    const step = (bits >>> 16) | 1;
    for (let i = 0; i < PROBES; i++) {
      words[base + ((bits >>> 5) & 15)]! |= 1 << (bits & 31);
      bits += step;
    }
    this.#added++;
  }

  /** False: certainly never added. */
  has(key: string): boolean {
    const hash = hashOf(key);
    const base = (hash & this.#blockMask) * BLOCK_WORDS;
    const words = this.#words;
    let bits = mixed(hash);
    const step = (bits >>> 16) | 1;
    for (let i = 0; i < PROBES; i++) {
      if ((words[base + ((bits >>> 5) & 15)]! & (1 << (bits & 31))) === 0) return false;
      bits += step;
    }
    return true;
  }
}
