/**
 * Commits a batch of appends: one atomic, synced LevelDB batch of the records and the new ends of their partitions.
 *
 * When the write fails, the log is opened again and looked into: the batch is there whole, or not at all.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Clock, Millis, Offset, Partition, Position } from '../../../src/ports.ts';
import type { QueuedRecord } from '../queue-shared.ts';
import { sealedError } from '../sealed-shared.ts';
import type { Disk } from './disk.ts';
import type { End, Ends } from './ends.ts';
import { encodeRecord } from './record.ts';
import { endKey, recordKey, sealNumbers } from './rows.ts';
import type { Seal } from './seal.ts';

export interface CommitterOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly ends: Ends;
  readonly seal: Seal;
  /** How long a failed write's callers wait for the log to be open again before they are told that nobody knows. */
  readonly outcomeWaitMs: number;
  appended(partition: Partition): void;
}

export class Committer {
  readonly #options: CommitterOptions;
  #commits = 0;
  #underWay: Promise<unknown> = Promise.resolve();

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Commits that were written, so far. */
  get commits(): number {
    return this.#commits;
  }

  /** Resolves when what is being committed has ended, however. */
  get ended(): Promise<unknown> {
    return this.#underWay;
  }

  /** Errors: `log-unavailable`, `log-sealed`, `closed` (nothing was written), `unknown-outcome`. */
  commit(batch: readonly QueuedRecord[]): Promise<readonly Position[]> {
    if (this.#options.seal.sealed) return Promise.reject(sealedError());
    const committing = this.#commit(batch);
    this.#underWay = committing.catch(() => undefined);
    return committing;
  }

  async #commit(batch: readonly QueuedRecord[]): Promise<readonly Position[]> {
    const { clock, disk, ends } = this.#options;
    const chained = disk.level.batch();
    const planned = new Map<Partition, End>();
    const now = clock.now();
    const positions = batch.map(({ partition, record }) => {
      const end = planned.get(partition) ?? ends.of(partition);
      const time = Math.max(end.time, now) as Millis;
      const key = recordKey(partition, end.next);
      chained.put(key, encodeRecord(key, time, record));
      planned.set(partition, { next: (end.next + 1) as Offset, time });
      return { partition, offset: end.next };
    });
    for (const [partition, { next, time }] of planned) chained.put(endKey(partition), sealNumbers(endKey(partition), next, time));
    try {
      await chained.write({ sync: true });
    } catch (error) {
      disk.fail(error);
      await this.#lookFor(planned, error);
    }
    this.#commits += 1;
    for (const [partition, end] of planned) {
      ends.set(partition, end);
      this.#options.appended(partition);
    }
    return positions;
  }

  /** Resolves when the batch is in the log after all. */
  async #lookFor(planned: ReadonlyMap<Partition, End>, cause: unknown): Promise<void> {
    const { disk, ends, outcomeWaitMs } = this.#options;
    if (!(await disk.recovered(outcomeWaitMs))) {
      throw new BitacoraError('unknown-outcome', 'the disk did not take the record, and whether it did in part cannot be seen yet', {
        cause,
      });
    }
    // The batch is atomic and nobody else appends, so one partition's end tells of all.
    for (const [partition, { next }] of planned) {
      if (ends.of(partition).next !== next) throw new BitacoraError('log-unavailable', 'the disk did not take the record', { cause });
    }
  }
}
