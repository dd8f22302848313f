/**
 * One partition of a log in memory: records in order, log-append time, and key compaction by Kafka's rules.
 *
 * Invariants: offsets never change and `next` never goes back; times never go back, even if the wall clock does; a record is removed only
 * below the first record that is younger than the compaction lag.
 */
import type { LogRecord, Millis, NewRecord, Offset } from '../../src/ports.ts';

/** A record as another producer may have written it: perhaps without key or headers. */
export interface ForeignRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: NewRecord['headers'];
}

export class MemoryPartition {
  /** By offset, with holes where compaction was. */
  #records: LogRecord[] = [];
  #next = 0;
  #newestTime = 0;
  /** When a tombstone may go, by its offset: set by the first compaction that saw it as its key's newest record. */
  readonly #due = new Map<Offset, number>();

  get next(): Offset {
    return this.#next as Offset;
  }

  append(record: ForeignRecord, now: Millis): Offset {
    const offset = this.#next as Offset;
    this.#newestTime = Math.max(this.#newestTime, now);
    this.#records.push({
      offset,
      time: this.#newestTime as Millis,
      key: record.key === null ? null : record.key.slice(),
      value: record.value === null ? null : record.value.slice(),
      headers: record.headers === undefined ? undefined : copyHeaders(record.headers),
    });
    this.#next += 1;
    return offset;
  }

  /** Records from an offset on, within the limits but at least one if there is any. */
  read(from: Offset, maxRecords: number, maxBytes: number): { readonly records: readonly LogRecord[]; readonly next: Offset } {
    const start = this.#indexOf(from);
    let end = start;
    for (let bytes = 0; end < this.#records.length && end - start < maxRecords; end += 1) {
      const record = this.#records[end] as LogRecord;
      bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
      if (end > start && bytes > maxBytes) break;
    }
    const records = this.#records.slice(start, end);
    // Behind the last record that is left there may be a hole up to the end.
    const next = end === this.#records.length ? this.#next : (records.at(-1)?.offset ?? from) + 1;
    return { records, next: next as Offset };
  }

  /**
   * What a broker's cleaner may do now, all of it: of the records old enough, keep each key's newest; let a tombstone go
   * `deleteRetentionMs` after it was first seen here; drop what has no key. Returns how many records went.
   */
  compact(now: Millis, compactionLagMs: number, deleteRetentionMs: number): number {
    const young = this.#records.findIndex((record) => record.time > now - compactionLagMs);
    const old = young === -1 ? this.#records : this.#records.slice(0, young);
    const newest = new Map<string, Offset>();
    for (const record of old) if (record.key !== null) newest.set(keyText(record.key), record.offset);
    const keeps = (record: LogRecord): boolean => {
      if (record.key === null || newest.get(keyText(record.key)) !== record.offset) return false;
      if (record.value !== null) return true;
      const due = this.#due.get(record.offset) ?? now + deleteRetentionMs;
      this.#due.set(record.offset, due);
      return now < due;
    };
    const before = this.#records.length;
    const kept = old.filter((record) => {
      const keep = keeps(record);
      if (!keep) this.#due.delete(record.offset);
      return keep;
    });
    this.#records = young === -1 ? kept : kept.concat(this.#records.slice(young));
    return before - this.#records.length;
  }

  /** Index of the first record at or after an offset. */
  #indexOf(offset: Offset): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#records[middle] as LogRecord).offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function copyHeaders(headers: NewRecord['headers']): NewRecord['headers'] {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.slice()]));
}

/** A string that is equal exactly when the bytes are. */
function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
