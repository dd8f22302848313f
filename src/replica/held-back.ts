/** The beginning of an atomic batch at the end of what the log brought: held back, by partition, until the rest has come. */
import { type DecodedRun, wholeUntil } from '../core/machine.ts';
import type { LogBatch, LogRecord, Partition } from '../ports.ts';

export class HeldBack {
  readonly #held = new Map<Partition, LogBatch>();

  /** A batch with what was held back before it. */
  joined(batch: LogBatch): LogBatch {
    const held = this.#held.get(batch.partition);
    if (held === undefined) return batch;
    this.#held.delete(batch.partition);
    return { ...batch, first: held.first, jumped: held.jumped || batch.jumped, records: [...held.records, ...batch.records] };
  }

  /** What of a batch can be applied now; undefined: nothing. The rest is held back. */
  whole(batch: LogBatch, run: DecodedRun): LogBatch | undefined {
    const { records, next } = batch;
    const count = wholeUntil(records, run, next);
    if (count === records.length) return batch;
    const cut = (records[count] as LogRecord).offset;
    this.#held.set(batch.partition, { ...batch, first: cut, jumped: count === 0 && batch.jumped, records: records.slice(count) });
    return cut === batch.first ? undefined : { ...batch, next: cut, records: records.slice(0, count) };
  }
}
