/** What callers are shown of an entry. */
import type { Change } from '../core/machine.ts';
import type { Entry, FoundValue, Partition, WatchChange } from '../ports.ts';

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

/** What watchers are told of a change. With the value's bytes copied: it outlives the batch. */
export function changeOf(partition: Partition, { key, offset, entry, learned }: Change): WatchChange {
  const found = entry.deleted ? undefined : { ...foundOf(entry, partition), value: new Uint8Array(entry.value) };
  return { key, position: { partition, offset }, time: entry.time, found, learned };
}
