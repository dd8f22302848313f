/**
 * What happened to a node's store, as seen from its walls: the jumps in offsets that the log made and the times of doubt. It says when a
 * watcher may be told a `reset`, and does not ask the fates that the node keeps itself what they are there for.
 */
import type { LogBatch, Partition, StoreBatch } from '../../src/ports.ts';
import type { MemoryDisk } from '../../storage/store/memory-store.ts';

interface Range {
  readonly from: number;
  readonly to: number;
}

export class StoreWatch {
  readonly #disk: MemoryDisk;
  readonly #gaps = new Map<Partition, number>();
  readonly #doubted = new Map<Partition, Range[]>();

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  /** From here on nothing of a partition was hidden from the node. */
  seesAllFrom(partition: Partition): number {
    return this.#gaps.get(partition) ?? 0;
  }

  /** The record may have been decided while the node was in doubt about something. */
  wasInDoubt(partition: Partition, offset: number): boolean {
    return this.#doubted.get(partition)?.some(({ from, to }) => from <= offset && offset < to) ?? false;
  }

  jumped(batch: LogBatch): void {
    let from: number = batch.next;
    for (const { offset } of [...batch.records].reverse()) if (offset + 1 === from) from = offset;
    this.#gaps.set(batch.partition, Math.max(from, this.seesAllFrom(batch.partition)));
  }

  /** The batch is about to be on the disk. */
  writes({ partition, checkpoint, entries, doubtful }: StoreBatch): void {
    const wasDoubtful = [...entries.keys()].some((key) => this.#disk.doubtful.has(key));
    if (checkpoint.whole && (doubtful?.size ?? 0) === 0 && !wasDoubtful) return;
    const ranges = this.#doubted.get(partition) ?? [];
    this.#doubted.set(partition, ranges);
    ranges.push({ from: this.#disk.checkpoints[partition]?.next ?? 0, to: checkpoint.next });
  }
}
