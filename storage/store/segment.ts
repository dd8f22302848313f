/**
 * A run of memory of the entry cache: rows one behind the other, each at a multiple of 8.
 *
 *     row  = state u8 (0 unread, 1 read, 2 dead), wide u8, keyLength u16, bodyLength u32, extent u32 (the whole row's bytes),
 *            key: keyLength characters of one byte (all Latin-1), or of two when `wide`; body (row.ts)
 *
 * In the machine's own byte order, as it never leaves the memory. Rows are appended staged, shown, and forgotten; their room comes back
 * when the whole segment is emptied.
 */
import type { Entry } from '../../src/ports.ts';
import { hashAt } from './key-hash.ts';
import { readBody } from './row.ts';

export const ROW_HEADER_BYTES = 12;
/** Keys of more characters are not held. */
export const MAX_KEY_LENGTH = 0xffff;
/** From here on, copying a value for each reader costs more than what a reader's view may keep alive. */
const LARGE_BYTES = 64 * 1024;
const UNREAD = 0;
const READ = 1;
const DEAD = 2;

export class Segment {
  readonly slot: number;
  readonly buffer: Buffer;
  /** Made for one large row, so that views of it may be given away. */
  readonly single: boolean;
  /** The same memory in words of 32 bits. */
  readonly #words: Int32Array;
  #used = 0;
  #deadBytes = 0;
  #staged = 0;

  /** `bytes`: a multiple of 8. Given a buffer, an earlier segment's, it is used instead of a new one. */
  constructor(slot: number, bytes: number, single: boolean, buffer?: Buffer) {
    this.slot = slot;
    this.single = single;
    // Never from Node's pool, where a few bytes kept would keep 8 KiB.
    this.buffer = buffer ?? Buffer.allocUnsafeSlow(bytes);
    this.#words = new Int32Array(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length >>> 2);
  }

  /** Where the next row begins. */
  get used(): number {
    return this.#used;
  }

  /** Some of its rows are staged, so it cannot be emptied. */
  get pinned(): boolean {
    return this.#staged > 0;
  }

  get mostlyDead(): boolean {
    return this.#deadBytes * 2 > this.#used;
  }

  /** Whether a row of so many bytes can be appended. */
  fits(bytes: number): boolean {
    return this.#used + bytes + 8 <= this.buffer.length;
  }

  /** Writes a key where the next row will have it; returns where the row's body is to begin. */
  writeKey(key: string): number {
    const buffer = this.buffer;
    const at = this.#used + ROW_HEADER_BYTES;
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i);
      if (code > 0xff) return this.#writeWideKey(key);
      buffer[at + i] = code;
    }
    this.#words[this.#used >>> 2] = UNREAD | (key.length << 16);
    return at + key.length;
  }

  #writeWideKey(key: string): number {
    this.#words[this.#used >>> 2] = UNREAD | (1 << 8) | (key.length << 16);
    const at = this.#used + ROW_HEADER_BYTES;
    return at + this.buffer.write(key, at, 'utf16le');
  }

  /** Takes the key written, and the body from `body` to `end`, as a row, staged as yet; returns where it begins. */
  append(body: number, end: number): number {
    const start = this.#used;
    const next = (end + 7) & ~7;
    this.#words[(start >>> 2) + 1] = end - body;
    this.#words[(start >>> 2) + 2] = next - start;
    this.#used = next;
    this.#staged++;
    return start;
  }

  /** One of the staged rows is now in use. None is told apart, so that showing a row does not touch its memory. */
  show(): void {
    this.#staged--;
  }

  /** A staged row is given up. */
  discard(start: number): void {
    this.#staged--;
    this.forget(start);
  }

  /** Appends a row of another segment as one that has not been read. */
  appendCopy(other: Segment, start: number): number {
    const extent = other.extent(start);
    other.buffer.copy(this.buffer, this.#used, start, start + extent);
    this.buffer[this.#used] = UNREAD;
    this.#used += extent;
    return this.#used - extent;
  }

  /** The entry of a row, which from now on counts as read. Its value is a copy, or when large a view of a `single` segment. */
  read(start: number): Entry {
    this.buffer[start] = READ;
    const body = this.#bodyAt(start);
    const length = this.#words[(start >>> 2) + 1]!;
    return readBody(this.buffer, body, body + length, !this.single || length < LARGE_BYTES);
  }

  matches(start: number, key: string): boolean {
    const head = this.#words[start >>> 2]!;
    if (head >>> 16 !== key.length) return false;
    const wide = (head >>> 8) & 1;
    const at = start + ROW_HEADER_BYTES;
    const buffer = this.buffer;
    for (let i = 0; i < key.length; i++) {
      const unit = wide ? buffer[at + 2 * i]! | (buffer[at + 2 * i + 1]! << 8) : buffer[at + i];
      if (unit !== key.charCodeAt(i)) return false;
    }
    return true;
  }

  /** The hash of a row's key. */
  hash(start: number): number {
    const head = this.#words[start >>> 2]!;
    return hashAt(this.buffer, start + ROW_HEADER_BYTES, head >>> 16, ((head >>> 8) & 1) === 1);
  }

  extent(start: number): number {
    return this.#words[(start >>> 2) + 2]!;
  }

  /** A row in use is wanted no more. */
  forget(start: number): void {
    this.buffer[start] = DEAD;
    this.#deadBytes += this.extent(start);
  }

  isDead(start: number): boolean {
    return this.buffer[start] === DEAD;
  }

  wasRead(start: number): boolean {
    return this.buffer[start] === READ;
  }

  /** The only row of a `single` segment gets a second chance. */
  clearRead(): void {
    this.buffer[0] = UNREAD;
  }

  #bodyAt(start: number): number {
    const head = this.#words[start >>> 2]!;
    return start + ROW_HEADER_BYTES + ((head >>> 16) << ((head >>> 8) & 1));
  }
}
