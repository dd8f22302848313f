/**
 * The memory of the hashmap: entries by key, bounded in bytes.
 *
 * Entries are kept in their stored form (row.ts, without checksum), one behind the other in segments of up to 1 MiB, keys included, and a
 * table of numbers says where (key-table.ts). There is no object per entry, so the account is exact: what has been allocated. Measured on
 * Node 20 with keys of 16 bytes, values of 100, id and writer: 206 bytes an entry by the account and by the process's own, against 1,150 as
 * live objects in a Map, all of which the garbage collector would visit.
 *
 * To make room the oldest segment is emptied; entries that were read since they were put there get a second chance and move to the
 * newest. So a hit costs one byte written and reorders nothing. A changed entry is a new row and leaves a dead one; a segment that is mostly
 * dead is emptied first, and all that still lives in it moves.
 */
import type { Entry } from '../../src/ports.ts';
import { hashOf } from './key-hash.ts';
import { KeyTable } from './key-table.ts';
import { bodyBound, writeBody } from './row.ts';
import { MAX_KEY_LENGTH, ROW_HEADER_BYTES, Segment } from './segment.ts';

const MAX_SEGMENT_BYTES = 1024 * 1024;
/** A place is `slot * 2^17 + start / 8`: below 2^31, as small integers are cheapest. */
const SLOT_PLACES = 2 ** 17;
const SLOTS = 2 ** 14;
/** So many segments may pass on rows that were read; the next is emptied whatever was read in it, so that the work is bounded. */
const MAX_MOVES = 4;

export class EntryCache {
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  readonly #table = new KeyTable((place, key) => this.#segmentOf(place).matches(startOf(place), key));
  /** By slot; a freed slot is used again. */
  readonly #segments: (Segment | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  /** Slots of the full segments, from the oldest. */
  readonly #order: number[] = [];
  #filling: Segment;
  /** The buffer of the segment emptied last, for the next one. */
  #spare: Buffer | undefined;
  #bytes: number;

  /** `maxBytes` 0: holds nothing. */
  constructor(maxBytes: number) {
    this.#segmentBytes = Math.max(1024, Math.min(MAX_SEGMENT_BYTES, Math.floor(maxBytes / 256) * 8));
    // One segment's worth is left for the spare buffer.
    this.#maxBytes = maxBytes - this.#segmentBytes;
    this.#bytes = this.#table.bytes;
    this.#filling = this.#addSegment(this.#segmentBytes, false);
  }

  /** What it takes up now. */
  get bytes(): number {
    return this.#bytes + (this.#spare?.length ?? 0);
  }

  get size(): number {
    return this.#table.size;
  }

  /** The entry is the caller's own: its value is a copy, or a view of memory that is never used for anything else. */
  get(key: string): Entry | undefined {
    const hash = hashOf(key);
    const place = this.#table.part(hash).find(hash, key);
    return place < 0 ? undefined : this.#segmentOf(place).read(startOf(place));
  }

  /**
   * Copies the entry, value and all, without showing it yet, so that the copying can be done while the disk writes. `publish` shows what
   * is at the returned place, `discard` gives it up, and one of them must be called. -1: it is too large to hold.
   */
  stage(key: string, entry: Entry): number {
    const segment = this.#segmentForRow(key, bodyBound(entry));
    if (segment === undefined) return -1;
    const body = segment.writeKey(key);
    return this.#staged(segment, body, writeBody(segment.buffer, body, 0, entry));
  }

  /** As `stage`, of an entry that has already been encoded. */
  stageBody(key: string, encoded: Uint8Array): number {
    const segment = this.#segmentForRow(key, encoded.length);
    if (segment === undefined) return -1;
    const body = segment.writeKey(key);
    segment.buffer.set(encoded, body);
    return this.#staged(segment, body, body + encoded.length);
  }

  /** Shows what was staged for `key`; -1: nothing is known of it any more. */
  publish(key: string, place: number): void {
    this.#publish(hashOf(key), key, place);
  }

  /** As `publish`, of many: `places` stand side by side with their keys. */
  publishAll(keys: readonly string[], places: readonly number[]): void {
    const hashes = new Int32Array(keys.length);
    for (let i = 0; i < keys.length; i++) hashes[i] = hashOf(keys[i]!);
    this.#table.touch(hashes);
    for (let i = 0; i < keys.length; i++) this.#publish(hashes[i]!, keys[i]!, places[i]!);
  }

  #publish(hash: number, key: string, place: number): void {
    const part = this.#table.part(hash);
    const old = part.find(hash, key);
    if (old >= 0) this.#segmentOf(old).forget(startOf(old));
    if (place >= 0) this.#segmentOf(place).show();
    if (old >= 0 && place >= 0) part.move(hash, old, place);
    else if (old >= 0) part.remove(hash, old);
    else if (place >= 0) this.#bytes += part.insert(hash, place);
  }

  discard(place: number): void {
    if (place >= 0) this.#segmentOf(place).discard(startOf(place));
  }

  #segmentOf(place: number): Segment {
    return this.#segments[(place / SLOT_PLACES) | 0]!;
  }

  /** Where a row can be appended; undefined: it is too large to hold. */
  #segmentForRow(key: string, bodyBytes: number): Segment | undefined {
    const bound = ROW_HEADER_BYTES + 2 * key.length + bodyBytes;
    return bound > this.#maxBytes / 8 || key.length > MAX_KEY_LENGTH ? undefined : this.#segmentFor(bound);
  }

  #staged(segment: Segment, body: number, end: number): number {
    const start = segment.append(body, end);
    if (segment.single) this.#order.push(segment.slot);
    if (this.#overfull) this.#makeRoom();
    return placeOf(segment, start);
  }

  /** Where a row of up to `bound` bytes can be appended; a large one gets a segment of its own. */
  #segmentFor(bound: number): Segment {
    if (bound > this.#segmentBytes / 16) return this.#addSegment((bound + 15) & ~7, true);
    if (!this.#filling.fits(bound)) {
      this.#order.push(this.#filling.slot);
      this.#filling = this.#addSegment(this.#segmentBytes, false);
    }
    return this.#filling;
  }

  #addSegment(bytes: number, single: boolean): Segment {
    const slot = this.#freeSlots.pop() ?? this.#segments.length;
    const segment = new Segment(slot, bytes, single, single ? undefined : this.#spare);
    if (!single) this.#spare = undefined;
    this.#segments[slot] = segment;
    this.#bytes += segment.buffer.length;
    return segment;
  }

  get #overfull(): boolean {
    return this.#bytes > this.#maxBytes || this.#segments.length - this.#freeSlots.length > SLOTS - 16;
  }

  #makeRoom(): void {
    for (let moves = 0; this.#overfull; ) {
      const segment = this.#takeVictim();
      if (segment === undefined) return;
      const chance = moves < MAX_MOVES;
      if (segment.single && chance && segment.wasRead(0)) {
        segment.clearRead();
        this.#order.push(segment.slot);
        moves++;
      } else {
        if (this.#moveRows(segment, segment.mostlyDead, chance)) moves++;
        this.#free(segment);
      }
    }
  }

  /** Takes the first mostly dead segment out of the order, or else the oldest; one with staged rows stays. */
  #takeVictim(): Segment | undefined {
    let victim = -1;
    for (let i = 0; i < this.#order.length; i++) {
      const segment = this.#segments[this.#order[i]!]!;
      if (segment.pinned) continue;
      if (victim < 0 || segment.mostlyDead) victim = i;
      if (segment.mostlyDead) break;
    }
    const [slot] = victim < 0 ? [] : this.#order.splice(victim, 1);
    return slot === undefined ? undefined : this.#segments[slot];
  }

  /** Moves the rows that stay to the newest segment and drops the others; true if any stayed. */
  #moveRows(segment: Segment, all: boolean, read: boolean): boolean {
    let moved = false;
    for (let start = 0; start < segment.used; start += segment.extent(start)) {
      if (segment.isDead(start)) continue;
      const hash = segment.hash(start);
      const part = this.#table.part(hash);
      if (!segment.single && (all || (read && segment.wasRead(start)))) {
        const target = this.#segmentFor(segment.extent(start));
        part.move(hash, placeOf(segment, start), placeOf(target, target.appendCopy(segment, start)));
        moved = true;
      } else {
        part.remove(hash, placeOf(segment, start));
      }
    }
    return moved;
  }

  #free(segment: Segment): void {
    this.#segments[segment.slot] = undefined;
    this.#freeSlots.push(segment.slot);
    this.#bytes -= segment.buffer.length;
    // Views of a single one may still be in use.
    if (!segment.single) this.#spare = segment.buffer;
  }
}

const placeOf = (segment: Segment, start: number): number => segment.slot * SLOT_PLACES + start / 8;
const startOf = (place: number): number => (place % SLOT_PLACES) * 8;
