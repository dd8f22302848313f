/** The records of a log in memory, all of them, and a bound before which they count as compacted: what was overwritten there is gone. */
import { BitacoraError, HistoryCompacted } from '../../src/core/errors.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import type { FoundValue, History, HistoryOptions, Millis, Moment, Offset, Partition, Position, Version } from '../../src/ports.ts';

interface Entry extends Version {
  readonly key: string;
}

export class MemoryHistory {
  /** By partition: everything from this offset on is kept. */
  readonly completeFrom: number[];
  readonly #partitions: readonly Entry[][];

  constructor(partitions: number) {
    this.completeFrom = Array.from({ length: partitions }, () => 0);
    this.#partitions = Array.from({ length: partitions }, () => []);
  }

  /** Each record stands at the index of its offset. */
  add(key: string, version: Version): void {
    this.#of(key).push({ ...version, key });
  }

  page(key: string, { limit, before, since }: Pick<HistoryOptions, 'limit' | 'before' | 'since'>): History {
    const records = this.#of(key);
    const horizon = this.#horizon(key);
    const end = before === undefined ? records.length : this.#offset(key, before);
    const from = since === undefined ? 0 : this.#from(key, since);
    if (since !== undefined && from < horizon) throw new HistoryCompacted(this.#place(key, horizon));
    const left = this.#left(key).filter(({ version }) => version.offset >= from && version.offset < end);
    const versions = left.reverse().slice(0, limit);
    const more = left.length > limit;
    const complete = Math.max(horizon, more ? (versions.at(-1)?.version.offset ?? 0) : from);
    return {
      versions,
      completeSince: { position: this.#place(key, complete), time: records[complete]?.time },
      next: more ? versions.at(-1)?.version : undefined,
    };
  }

  at(key: string, at: Moment): FoundValue | undefined {
    const records = this.#of(key);
    const last = typeof at === 'object' ? this.#offset(key, at) : this.#from(key, (at + 1) as Millis) - 1;
    if (typeof at === 'number' && at > Date.now()) throw new BitacoraError('bad-request', 'the time is still to come');
    if (last >= records.length) throw new BitacoraError('position-not-reached', 'not applied yet');
    const horizon = this.#horizon(key);
    if (last < horizon && horizon > 0) throw new HistoryCompacted(this.#place(key, horizon));
    const found = this.#left(key).findLast(({ version }) => version.offset <= last)?.found;
    const time = typeof at === 'object' ? (records[last]?.time ?? 0) : at;
    return found !== undefined && (found.expires === 0 || found.expires > time) ? found : undefined;
  }

  /** What compaction keeps: before the bound only the newest. */
  #left(key: string): Version[] {
    const horizon = this.#horizon(key);
    const mine = this.#of(key).filter((entry) => entry.key === key);
    const newest = mine.findLast(({ version }) => version.offset < horizon);
    const left = mine.filter((entry) => entry === newest || entry.version.offset >= horizon);
    return left.map(({ key: _key, ...version }) => version);
  }

  /** The first offset that is not before the moment. */
  #from(key: string, since: Moment): number {
    if (typeof since === 'object') return this.#offset(key, since);
    const records = this.#of(key);
    const first = records.findIndex(({ time }) => time >= since);
    return first < 0 ? records.length : first;
  }

  #offset(key: string, { partition, offset }: Position): number {
    if (partition !== this.#partition(key)) throw new BitacoraError('bad-request', 'the place is of another partition');
    return offset;
  }

  #place(key: string, offset: number): Position {
    return { partition: this.#partition(key), offset: offset as Offset };
  }

  #horizon(key: string): number {
    return this.completeFrom[this.#partition(key)] ?? 0;
  }

  #of(key: string): Entry[] {
    return this.#partitions[this.#partition(key)] as Entry[];
  }

  #partition(key: string): Partition {
    return partitionOf(Buffer.from(key), this.#partitions.length);
  }
}
