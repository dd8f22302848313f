/** Reads of what was applied long ago, from the log itself: what each record did, as far as this node knows. */
import { BitacoraError, codeOf } from '../core/errors.ts';
import type { Rules } from '../core/machine.ts';
import type { Fate, Log, LogBatch, Millis, Offset, Partition } from '../ports.ts';
import type { ApplyLoop } from './apply-loop.ts';

export interface PastOptions {
  /** The log of now; undefined while there is none. */
  readonly log: () => Log | undefined;
  /** The loop of now, which knows the fates; undefined while the log is not followed. */
  readonly loop: () => ApplyLoop | undefined;
}

/** A stretch of the log, with what is known of it. */
export interface Stretch {
  readonly batch: LogBatch;
  readonly rules: Rules;
  /** Of a record at or after `fatesFrom`; undefined: it had its effect. */
  readonly fate: (offset: Offset) => Fate | undefined;
  /** From here on every fate is known, and nothing was hidden from this node when it applied the records. */
  readonly fatesFrom: Offset;
}

export class Past {
  readonly #options: PastOptions;

  constructor(options: PastOptions) {
    this.#options = options;
  }

  /**
   * The stretch from `from` up to `to`, which must be applied. Errors: those of `Log.read`; `log-unavailable` too when the log ends before:
   * under a new leader it may for a moment, and what it did not tell must not count as nothing.
   */
  async *read(partition: Partition, from: Offset, to: Offset, signal?: AbortSignal): AsyncGenerator<Stretch> {
    const log = this.#options.log();
    if (log === undefined) throw notReached();
    const { partitions, compactionLagMs } = log.identity;
    const rules = { partition, partitions, compactionLagMs };
    let next = from;
    try {
      for await (const batch of log.read({ partition, from, to }, signal)) {
        const loop = this.#loop();
        yield { batch, rules, fate: (offset) => loop.fate(partition, offset), fatesFrom: loop.fatesFrom(partition) };
        next = batch.next;
      }
    } catch (error) {
      // A log that is closed under the reader is replaced, unless the reader, or the node, goes away.
      throw codeOf(error) === 'closed' && !signal?.aborted && log !== this.#options.log() ? notReached(error) : error;
    }
    if (next < to) throw endsBefore();
  }

  /** The beginning of a stretch: its first batch. Errors: those of `Log.read`; `log-unavailable` when it holds none now. */
  async first(partition: Partition, from: Offset, to: Offset, signal?: AbortSignal): Promise<Stretch> {
    for await (const stretch of this.read(partition, from, to, signal)) return stretch;
    throw endsBefore();
  }

  /** Log time of the newest record applied in a partition. Errors: `log-unavailable` while the log is not followed. */
  logTime(partition: Partition): Millis {
    return this.#loop().logTime(partition);
  }

  /** From here on every fate is known. Errors: `log-unavailable` while the log is not followed. */
  fatesFrom(partition: Partition): Offset {
    return this.#loop().fatesFrom(partition);
  }

  #loop(): ApplyLoop {
    const loop = this.#options.loop();
    if (loop === undefined) throw notReached();
    return loop;
  }
}

function endsBefore(): BitacoraError {
  return new BitacoraError('log-unavailable', 'the log ends before what this node has applied');
}

function notReached(cause?: unknown): BitacoraError {
  return new BitacoraError('log-unavailable', 'this node has not reached the log yet', { cause });
}
