/**
 * What memory knows of each partition: where it ends, its newest time, and how far compaction has been.
 *
 * Invariant: everything from `cleaned` on is without holes. Compaction raises the claim before it removes anything, so a reader who finds a
 * hole at or beyond it has found damage.
 */
import type { Millis, Offset, Partition, PartitionBounds } from '../../../src/ports.ts';
import type { Level } from '../../level.ts';
import { cleanedKey, endKey, unsealNumbers } from './rows.ts';

export interface End {
  readonly next: Offset;
  /** Log time of the newest record ever; never goes back. */
  readonly time: Millis;
}

export class Ends {
  readonly #ends: End[];
  readonly #cleaned: Offset[];

  private constructor(ends: End[], cleaned: Offset[]) {
    this.#ends = ends;
    this.#cleaned = cleaned;
  }

  /** Throws `DamagedRow`. */
  static async load(level: Level, partitions: number): Promise<Ends> {
    const ends = new Ends([], []);
    for (let partition = 0; partition < partitions; partition += 1) {
      ends.#ends.push({ next: 0 as Offset, time: 0 as Millis });
      ends.#cleaned.push(0 as Offset);
    }
    await ends.reload(level);
    return ends;
  }

  /** Reads everything anew, in place. Throws `DamagedRow`, and then nothing has changed. */
  async reload(level: Level): Promise<void> {
    const partitions = [...this.#ends.keys()] as Partition[];
    const rows = await Promise.all(partitions.map((partition) => readRows(level, partition)));
    for (const [partition, { end, cleaned }] of rows.entries()) {
      this.#ends[partition] = end;
      this.#cleaned[partition] = cleaned;
    }
  }

  get bounds(): readonly PartitionBounds[] {
    return this.#ends.map(({ next }) => ({ first: 0 as Offset, next }));
  }

  of(partition: Partition): End {
    return this.#ends[partition] as End;
  }

  set(partition: Partition, end: End): void {
    this.#ends[partition] = end;
  }

  /** No hole stands at or beyond this offset. */
  cleaned(partition: Partition): Offset {
    return this.#cleaned[partition] as Offset;
  }

  claim(partition: Partition, offset: Offset): void {
    this.#cleaned[partition] = offset;
  }
}

async function readRows(level: Level, partition: Partition): Promise<{ readonly end: End; readonly cleaned: Offset }> {
  const endRow = await level.get(endKey(partition));
  const cleanedRow = await level.get(cleanedKey(partition));
  const [next = 0, time = 0] = endRow === undefined ? [] : unsealNumbers(endKey(partition), endRow);
  const [cleaned = 0] = cleanedRow === undefined ? [] : unsealNumbers(cleanedKey(partition), cleanedRow);
  return { end: { next: next as Offset, time: time as Millis }, cleaned: cleaned as Offset };
}
