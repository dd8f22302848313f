/** A page of a listing, collected in small parts so that neither the page nor what is under way for it grows with the values. */
import type { FoundValue, Listing } from '../../../src/ports.ts';
import type { Footing } from './footing.ts';
import type { Patiently } from './reading.ts';
import { maxAnswerBytes, type V1Rooms } from './rooms.ts';
import type { Session } from './session.ts';

/** How many keys are asked for at once. */
const partItems = 32;
const nothing = new Uint8Array(0);

export interface PageOptions {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly delimiter: string | undefined;
  readonly limit: number;
  /** Moved on by every part; it may be that of the page before. */
  readonly footing: Footing;
  readonly patiently: Patiently;
  /** False: only names are kept, so values do not end the page. */
  readonly withValues: boolean;
}

export interface PageItem {
  readonly key: string;
  readonly found: FoundValue;
  /** Bytes of the value; in `found` there is none of it when only names are kept. */
  readonly size: number;
}

export interface Page {
  readonly items: readonly PageItem[];
  readonly prefixes: readonly string[];
  readonly next: string | undefined;
}

/** Errors: those of `KeyValue.list`; `position-not-reached`, `position-foreign` also of a node that goes back between two parts. */
export async function readPage(rooms: V1Rooms, session: Session, options: PageOptions): Promise<Page> {
  const { prefix, delimiter, limit, footing, patiently, withValues } = options;
  const items: PageItem[] = [];
  const prefixes: string[] = [];
  let { after } = options;
  let bytes = 0;
  for (;;) {
    const part = Math.min(partItems, limit - items.length - prefixes.length);
    const from = { prefix, after, delimiter, limit: part };
    const listing = await footing.page((asked) => patiently((more) => rooms.keyValue.list({ ...more, ...from, ...asked })));
    noteAll(session, listing);
    for (const { key, found } of listing.items) {
      const size = found.value.length;
      items.push({ key, size, found: withValues ? found : { ...found, value: nothing } });
      if (withValues) bytes += size;
    }
    prefixes.push(...listing.prefixes);
    after = listing.next;
    if (after === undefined || items.length + prefixes.length >= limit || bytes >= maxAnswerBytes) return { items, prefixes, next: after };
  }
}

/** What is shown is seen: also what was written between two parts. */
function noteAll(session: Session, { applied, items }: Listing): void {
  session.noteApplied(applied);
  for (const { found } of items) session.note(found.version);
}
