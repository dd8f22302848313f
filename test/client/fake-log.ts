/** A log that several fake servers follow, each as fast as it is let: what makes sessions matter. */
import { randomUUID } from 'node:crypto';
import { partitionOf } from '../../src/core/partitioner.ts';

export interface FakeRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: Buffer | undefined;
  readonly contentType: string;
  readonly expires: number;
  readonly timestamp: number;
  readonly uuid: string;
}

export class FakeLog {
  readonly genesis: string;
  readonly partitions: number;
  readonly records: FakeRecord[] = [];
  readonly #followers = new Set<(record: FakeRecord) => void>();
  readonly #next: number[];

  constructor(genesis = 'log-1', partitions = 4) {
    this.genesis = genesis;
    this.partitions = partitions;
    this.#next = Array(partitions).fill(0);
  }

  append(key: string, value: Buffer | undefined, more: { contentType?: string; ttl?: number } = {}): FakeRecord {
    const partition = this.partitionOf(key);
    const timestamp = Date.now();
    const offset = this.#next[partition] as number;
    this.#next[partition] = offset + 1;
    const record: FakeRecord = {
      partition,
      offset,
      key,
      value: value === undefined ? undefined : Buffer.from(value),
      contentType: more.contentType ?? '',
      expires: more.ttl ? timestamp + more.ttl : 0,
      timestamp,
      uuid: randomUUID(),
    };
    this.records.push(record);
    for (const follow of this.#followers) follow(record);
    return record;
  }

  partitionOf(key: string): number {
    return partitionOf(Buffer.from(key), this.partitions);
  }

  follow(follower: (record: FakeRecord) => void): void {
    for (const record of this.records) follower(record);
    this.#followers.add(follower);
  }
}

/** What one server has of a log. Records come in order, each after `delay` said so. */
export class Replica {
  readonly log: FakeLog;
  readonly applied: number[];
  readonly #entries = new Map<string, FakeRecord>();
  readonly #waiting: (() => void)[] = [];
  #tail: Promise<void> = Promise.resolve();

  /** `delay` undefined: at once. */
  constructor(log: FakeLog, delay?: (record: FakeRecord) => Promise<void>) {
    this.log = log;
    this.applied = Array(log.partitions).fill(0);
    log.follow((record) => {
      if (delay === undefined) {
        this.#apply(record);
        return;
      }
      this.#tail = this.#tail.then(() => delay(record)).then(() => this.#apply(record));
    });
  }

  get(key: string): FakeRecord | undefined {
    const record = this.#entries.get(key);
    return record?.value === undefined || (record.expires !== 0 && record.expires <= Date.now()) ? undefined : record;
  }

  /** True once everything up to this place is applied; false when that takes longer than `waitMs`. */
  reach(partition: number, offset: number, waitMs: number): Promise<boolean> {
    if ((this.applied[partition] as number) > offset) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), waitMs);
      const look = (): void => {
        if ((this.applied[partition] as number) <= offset) {
          this.#waiting.push(look);
          return;
        }
        clearTimeout(timer);
        resolve(true);
      };
      this.#waiting.push(look);
    });
  }

  #apply(record: FakeRecord): void {
    this.#entries.set(record.key, record);
    this.applied[record.partition] = record.offset + 1;
    for (const look of this.#waiting.splice(0)) look();
  }
}
