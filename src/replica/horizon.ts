/**
 * Where a partition must be applied before it may be read, for a read that asks for more than this node has: the log's end as the log tells
 * it, or a barrier, an empty record in the partition itself. Both are asked for once for all reads that wait.
 */
import { bytesOf } from '../core/bytes.ts';
import { BitacoraError, codeOf } from '../core/errors.ts';
import { barrierKey } from '../core/keys.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, putRecord } from '../core/record.ts';
import type { Clock, Log, NewRecord, Offset, Partition, PartitionBounds, Position } from '../ports.ts';
import { SharedQuestion } from './shared-question.ts';

export interface HorizonOptions {
  /** The log of now; undefined while there is none. */
  readonly log: () => Log | undefined;
  readonly author: () => Authorship;
  readonly clock: Clock;
  /** Bound of one question. */
  readonly timeoutMs: number;
}

const nothing = new Uint8Array(0);

export class Horizon {
  readonly #options: HorizonOptions;
  readonly #ends = new SharedQuestion(() => this.#askEnds());
  readonly #barriers = new Map<Partition, SharedQuestion<Position>>();
  /** Keys of barriers by partition, once looked for. */
  readonly #keys = new Map<Partition, Uint8Array>();

  constructor(options: HorizonOptions) {
    this.#options = options;
  }

  /** The newest record of the partition that the log tells of; undefined: it is empty. Errors: `log-unavailable`. */
  async end(partition: Partition): Promise<Position | undefined> {
    const next = (await this.#ends.ask())[partition]?.next ?? 0;
    return next === 0 ? undefined : { partition, offset: (next - 1) as Offset };
  }

  /** As `end`, of all partitions. */
  async ends(): Promise<readonly Position[]> {
    const bounds = await this.#ends.ask();
    return bounds.flatMap(({ next }, partition) =>
      next === 0 ? [] : [{ partition: partition as Partition, offset: (next - 1) as Offset }],
    );
  }

  /** A record of this node that stands behind everything that was in the partition before. Errors: those of `Log.append`. */
  barrier(partition: Partition): Promise<Position> {
    const known = this.#barriers.get(partition);
    const question = known ?? new SharedQuestion(() => this.#appendBarrier(partition));
    if (known === undefined) this.#barriers.set(partition, question);
    return question.ask();
  }

  #log(): Log {
    const log = this.#options.log();
    if (log === undefined) throw new BitacoraError('log-unavailable', 'this node has not reached the log yet');
    return log;
  }

  async #askEnds(): Promise<readonly PartitionBounds[]> {
    return this.#bounded((signal) => this.#log().bounds(signal));
  }

  async #appendBarrier(partition: Partition): Promise<Position> {
    const log = this.#log();
    const record = this.record(partition, log.identity.partitions);
    return this.#bounded((signal) => log.append(partition, record, signal));
  }

  /** What a barrier is made of. */
  record(partition: Partition, partitions: number): NewRecord {
    const key = this.#keys.get(partition) ?? keyIn(partition, partitions, barrierKey);
    this.#keys.set(partition, key);
    return putRecord(key, nothing, this.#options.author());
  }

  async #bounded<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController();
    const cancel = this.#options.clock.after(this.#options.timeoutMs, () => deadline.abort());
    try {
      return await ask(deadline.signal);
    } catch (error) {
      // A log that was just closed under us is replaced. Whether a barrier came to be or not is of no interest to anybody.
      const code = codeOf(error);
      if (code !== 'closed' && code !== 'unknown-outcome') throw error;
      throw new BitacoraError('log-unavailable', 'the log did not answer in time', { cause: error });
    } finally {
      cancel();
    }
  }
}

/** The first of a partition's possible system keys that the partitioner sends there. */
export function keyIn(partition: Partition, partitions: number, keyOf: (partition: number, attempt: number) => string): Uint8Array {
  for (let attempt = 0; ; attempt++) {
    const key = bytesOf(keyOf(partition, attempt));
    if (partitionOf(key, partitions) === partition) return key;
  }
}
