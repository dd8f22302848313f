/**
 * Keys in the order of their UTF-8 bytes, for a store in memory. JavaScript orders strings by UTF-16 units, which puts U+E000 to U+FFFF
 * behind all astral characters and not, as bytes do, before them.
 *
 * What has changed since the keys were last asked for is put in its place then: writes stay cheap where nobody scans.
 */

/** Negative: `one` comes first in the order of UTF-8 bytes. Both are well-formed. */
export function compareInBytes(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let i = 0; i < length; i++) {
    const a = one.charCodeAt(i);
    const b = other.charCodeAt(i);
    if (a !== b) return unitPlace(a) - unitPlace(b);
  }
  return one.length - other.length;
}

/** Surrogates, and so all astral characters, go behind the rest. */
function unitPlace(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x2800 : unit;
}

export class SortedKeys {
  #sorted: string[];
  /** Not yet in `#sorted`. */
  readonly #added = new Set<string>();
  /** Still in `#sorted`. */
  readonly #removed = new Set<string>();

  constructor(keys: Iterable<string>) {
    this.#sorted = [...keys].sort(compareInBytes);
  }

  /** A key that is not there. */
  add(key: string): void {
    if (!this.#removed.delete(key)) this.#added.add(key);
  }

  /** A key that is there. */
  remove(key: string): void {
    if (!this.#added.delete(key)) this.#removed.add(key);
  }

  /** All keys, as of now: not to be changed. */
  get all(): readonly string[] {
    if (this.#removed.size > 0) this.#sorted = this.#sorted.filter((key) => !this.#removed.has(key));
    // The sort finds what is in order already, and merges the rest into it.
    if (this.#added.size > 0) this.#sorted = [...this.#sorted, ...this.#added].sort(compareInBytes);
    this.#added.clear();
    this.#removed.clear();
    return this.#sorted;
  }

  /** Where in `all` the first key stands that is not before `bytes`, which need not be UTF-8. */
  firstFrom(bytes: Uint8Array): number {
    const keys = this.all;
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(Buffer.from(keys[middle]!), bytes) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
