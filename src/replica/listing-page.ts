/**
 * One page of a listing while it is put together, without any waiting: which keys are listed, which stand for a group, and where to look
 * next. All order is that of the keys' UTF-8 bytes, in which no byte is 0xff.
 */
import { bytesOf } from '../core/bytes.ts';
import type { FoundValue, ListItem, Listing, ListOptions, Offset } from '../ports.ts';

/** A page ends when its values have so many bytes: a thousand of the largest would be a gigabyte. */
const mostPageBytes = 8 * 1024 * 1024;
/** The first byte of a key that is not the system's own. */
const firstUserKey = Uint8Array.of(1);

/** Where the keys begin that have a prefix, system keys left out. */
export function startOf(prefix: string): Uint8Array {
  return laterOf(bytesOf(prefix), firstUserKey);
}

/** Behind all that begins with a text; undefined: there is nothing behind. */
export function behindAll(text: string): Uint8Array | undefined {
  const bytes = Uint8Array.from(bytesOf(text));
  if (bytes.length === 0) return undefined;
  bytes[bytes.length - 1]!++;
  return bytes;
}

/** Directly behind a key. */
export function behind(key: string): Uint8Array {
  const bytes = bytesOf(key);
  const next = new Uint8Array(bytes.length + 1);
  next.set(bytes);
  return next;
}

export class ListingPage {
  readonly #prefix: string;
  /** Empty: there are no groups. */
  readonly #delimiter: string;
  readonly #limit: number;
  readonly #items: ListItem[] = [];
  readonly #prefixes: string[] = [];
  /** The group listed last, in which nothing more is looked at. */
  #group: string | undefined;
  /** The key or group listed last. */
  #last: string | undefined;
  #bytes = 0;
  /** The first place to look at. */
  readonly from: Uint8Array;

  constructor({ prefix, after, delimiter = '', limit }: ListOptions) {
    this.#prefix = prefix;
    this.#delimiter = delimiter;
    this.#limit = limit;
    const start = startOf(prefix);
    if (after === undefined) this.from = start;
    // What is given for a group that was listed is its name.
    else this.from = laterOf(start, (this.#groupOf(after) === after ? behindAll(after) : undefined) ?? behind(after));
  }

  get full(): boolean {
    return this.#items.length + this.#prefixes.length >= this.#limit || this.#bytes >= mostPageBytes;
  }

  /** The key stands in the group that was listed last. */
  covers(key: string): boolean {
    return this.#group !== undefined && key.startsWith(this.#group);
  }

  /** Lists a live key, or the group it is in. */
  add(key: string, foundOf: () => FoundValue): void {
    this.#group = this.#groupOf(key);
    this.#last = this.#group ?? key;
    if (this.#group !== undefined) {
      this.#prefixes.push(this.#group);
    } else {
      const found = foundOf();
      this.#items.push({ key, found });
      this.#bytes += found.value.length;
    }
  }

  /** Where to look when this key, of a page that was looked at up to it, was the last that came. */
  behind(key: string): Uint8Array {
    return (this.covers(key) ? behindAll(this.#group as string) : undefined) ?? behind(key);
  }

  /**
   * What to give as `after` so that the next page goes on behind a key that was looked at; undefined: there is nothing to give, as the
   * key is spelled as its group, and would stand for all of it.
   */
  nextBehind(key: string): string | undefined {
    if (this.covers(key)) return this.#group;
    return this.#groupOf(key) === key ? undefined : key;
  }

  /** The page as it is, with more behind it. */
  ended(applied: readonly Offset[]): Listing {
    return this.listing(this.#last, applied);
  }

  listing(next: string | undefined, applied: readonly Offset[]): Listing {
    return { items: this.#items, prefixes: this.#prefixes, next, applied };
  }

  #groupOf(key: string): string | undefined {
    if (this.#delimiter === '' || !key.startsWith(this.#prefix)) return undefined;
    const at = key.indexOf(this.#delimiter, this.#prefix.length);
    return at < 0 ? undefined : key.slice(0, at + this.#delimiter.length);
  }
}

function laterOf(one: Uint8Array, other: Uint8Array): Uint8Array {
  return Buffer.compare(one, other) < 0 ? other : one;
}
