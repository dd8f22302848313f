/** What callers are shown of an entry. */
import type { Entry, FoundValue, Partition } from '../ports.ts';

/** The value is the entry's own bytes, not a copy. */
export function foundOf(entry: Entry, partition: Partition): FoundValue {
  return {
    value: entry.value,
    version: { partition, offset: entry.version },
    time: entry.time,
    expires: entry.expires,
    id: entry.id,
    contentType: entry.contentType,
  };
}
