/**
 * How a reader that was never disconnected notices that its topic is another one by now, deleted, made again and filled beyond its position.
 *
 * With log-append time the times of a partition never go back. So once two records of one partition have been read, of which the later has
 * the later time, the broker's answer to "which is the first offset since that time?" lies behind the earlier one for ever, whatever
 * compaction removes. A topic made later has only later times and answers with its beginning. That is a suspicion and no proof: what it
 * leads to is a look for the landmark.
 */
import type { LogRecord, Millis, Offset, Partition } from '../../../src/ports.ts';

export class TopicClue {
  #clue: { readonly partition: Partition; readonly behind: Offset; readonly since: Millis } | undefined;
  /** The newest record read of each partition. */
  readonly #newest: (Pick<LogRecord, 'offset' | 'time'> | undefined)[] = [];

  /** The time to ask for; undefined: nothing is known yet. */
  get since(): Millis | undefined {
    return this.#clue?.since;
  }

  /** Takes what was read, in order. The first clue is kept: a later one might already be of another topic. */
  heard(partition: Partition, records: readonly LogRecord[]): void {
    if (this.#clue !== undefined || records.length === 0) return;
    const earliest = this.#newest[partition] ?? (records[0] as LogRecord);
    const newest = records.at(-1) as LogRecord;
    if (newest.time > earliest.time) this.#clue = { partition, behind: earliest.offset, since: newest.time };
    else this.#newest[partition] = { offset: newest.offset, time: newest.time };
  }

  /** Whether the first offsets since that time, by partition, can be of the same topic. */
  fits(firstSince: readonly Offset[]): boolean {
    return this.#clue === undefined || (firstSince[this.#clue.partition] as Offset) > this.#clue.behind;
  }

  /** After a suspicion: what is read from now on counts. */
  forget(): void {
    this.#clue = undefined;
    this.#newest.length = 0;
  }
}
