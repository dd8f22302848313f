/**
 * A hash table from keys to places, in two numbers per entry and without any object: a JS Map needs the keys as strings, which the garbage
 * collector visits, and ends at 2^24 entries.
 *
 * The keys themselves stand at their places, and `matches` compares them there; the table holds the hash, so that it is rarely asked in
 * vain. Open addressing with linear probing; a removal closes its gap at once. It is split in sixteen, which keeps the pause short when
 * one of them doubles.
 */

/** The slots of one part: hash, then place + 1; 0: free. */
const FIRST_SLOTS = 64;
const PARTS = 16;

export class KeyTable {
  readonly #parts: Part[];
  /** What `touch` saw: kept where others could ask for it, or a compiler might leave out the looking. */
  seen = 0;

  /** `matches`: whether `key` stands at `place`. */
  constructor(matches: (place: number, key: string) => boolean) {
    this.#parts = Array.from({ length: PARTS }, () => new Part(matches));
  }

  get size(): number {
    return this.#parts.reduce((sum, part) => sum + part.size, 0);
  }

  /** The part for an int32 hash. The high bits choose it, the low ones the slot within. */
  part(hash: number): Part {
    return this.#parts[hash >>> 28]!;
  }

  /**
   * Looks once at the slot of each hash, before that many questions. The processor fetches these from memory side by side; between them the
   * questions have so much else to do that each would wait for its own (measured on a restore: 0.4 s of a million publications, now 0.2 s).
   */
  touch(hashes: Int32Array): void {
    let seen = 0;
    for (let i = 0; i < hashes.length; i++) seen |= this.part(hashes[i]!).touch(hashes[i]!);
    this.seen = seen;
  }

  get bytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.bytes, 0);
  }
}

export class Part {
  readonly #matches: (place: number, key: string) => boolean;
  #slots = new Int32Array(2 * FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  size = 0;

  constructor(matches: (place: number, key: string) => boolean) {
    this.#matches = matches;
  }

  get bytes(): number {
    return this.#slots.byteLength;
  }

  /** What stands in the slot where the search for a hash begins. */
  touch(hash: number): number {
    return this.#slots[2 * (hash & this.#mask)]!;
  }

  /** The place of a key, or -1. */
  find(hash: number, key: string): number {
    const slots = this.#slots;
    for (let i = hash & this.#mask; ; i = (i + 1) & this.#mask) {
      const place = slots[2 * i + 1]! - 1;
      if (place < 0) return -1;
      if (slots[2 * i] === hash && this.#matches(place, key)) return place;
    }
  }

  /** Adds a key that is not in. Returns by how many bytes the part has grown. */
  insert(hash: number, place: number): number {
    const before = this.bytes;
    if (++this.size * 4 > (this.#mask + 1) * 3) this.#grow();
    this.#put(hash, place + 1);
    return this.bytes - before;
  }

  /** The key at `from` now stands at `to`. */
  move(hash: number, from: number, to: number): void {
    this.#slots[2 * this.#slotOf(hash, from) + 1] = to + 1;
  }

  remove(hash: number, place: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = this.#slotOf(hash, place);
    // An entry further on may only be found across the gap; it moves into it, unless it would then stand before its own first slot.
    for (let i = (gap + 1) & mask; slots[2 * i + 1] !== 0; i = (i + 1) & mask) {
      const wanted = slots[2 * i]! & mask;
      if (((i - wanted) & mask) < ((i - gap) & mask)) continue;
      slots[2 * gap] = slots[2 * i]!;
      slots[2 * gap + 1] = slots[2 * i + 1]!;
      gap = i;
    }
    slots[2 * gap + 1] = 0;
    this.size--;
  }

  #slotOf(hash: number, place: number): number {
    let i = hash & this.#mask;
    while (this.#slots[2 * i + 1] !== place + 1) i = (i + 1) & this.#mask;
    return i;
  }

  #put(hash: number, stored: number): void {
    let i = hash & this.#mask;
    while (this.#slots[2 * i + 1] !== 0) i = (i + 1) & this.#mask;
    this.#slots[2 * i] = hash;
    this.#slots[2 * i + 1] = stored;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = old.length - 1;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) this.#put(old[i]!, old[i + 1]!);
  }
}
