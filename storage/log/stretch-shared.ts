/**
 * Reading a stretch of a log beside its subscription (`Log.read`): the walk is the same for every log, the source is the log's own.
 *
 * Nothing is read ahead and nothing is held between two batches, so a caller who stops or forgets leaves nothing behind but his place among
 * the stretches that may be read at a time. Only promises, no timers: in the simulation a run depends on nothing but its seed.
 */
import { BitacoraError } from '../../src/core/errors.ts';
import type { LogBatch, LogRange, LogRecord, Offset, Partition, PartitionBounds } from '../../src/ports.ts';
import type { LogSource, ReadLimits } from './reader-shared.ts';

export interface StretchLimits {
  /** Stretches that may be read at a time; each holds a batch at most. */
  readonly maxStretches: number;
}

export const defaultStretchLimits: StretchLimits = { maxStretches: 32 };

/** What was found from an offset on. */
export interface Piece {
  readonly records: readonly LogRecord[];
  /** Up to here all is known; beyond the offset that was asked for. */
  readonly next: Offset;
  /** How many offsets before `next` hold something, be it for the log itself only: the others are missing. */
  readonly held: number;
}

/** Where the batches of one stretch come from. */
export interface StretchSource {
  /** Asked of the log now. */
  bounds(): Promise<readonly PartitionBounds[]>;
  /**
   * Reads from a held offset on, up to `to` at most, which the log has reached. Rejects as `log-unavailable` when nothing comes for a while;
   * when `stop` is aborted nobody waits for it any more.
   */
  piece(partition: Partition, from: Offset, to: Offset, stop: AbortSignal): Promise<Piece>;
}

/** The stretches of one log that are being read. */
export class Stretches {
  readonly #limits: StretchLimits;
  readonly #open: () => StretchSource;
  readonly #running = new Set<AbortController>();
  #closed = false;

  /** `open` is called once for each stretch. */
  constructor(limits: StretchLimits, open: () => StretchSource) {
    this.#limits = limits;
    this.#open = open;
  }

  /** See `Log.read`. */
  async *read(range: LogRange, signal?: AbortSignal): AsyncGenerator<LogBatch, void, undefined> {
    const running = this.#begin(signal);
    const stop = () => running.abort();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      yield* walk(this.#open(), range, running.signal);
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#running.delete(running);
      running.abort();
    }
  }

  /** Ends what is being read, and refuses what is to come, as `closed`. */
  close(): void {
    this.#closed = true;
    for (const running of this.#running) running.abort();
  }

  #begin(signal: AbortSignal | undefined): AbortController {
    if (this.#closed || signal?.aborted) throw ended();
    if (this.#running.size >= this.#limits.maxStretches)
      throw new BitacoraError('overloaded', `${this.#running.size} stretches of the log are being read`);
    const running = new AbortController();
    this.#running.add(running);
    return running;
  }
}

/** The stretches of a log that is read by offset. */
export function sourceStretches(limits: StretchLimits & ReadLimits, source: LogSource): Stretches {
  return new Stretches(limits, () => stretchSource(source, limits));
}

async function* walk(source: StretchSource, range: LogRange, stop: AbortSignal): AsyncGenerator<LogBatch, void, undefined> {
  const { partition } = range;
  const bounds = (await unlessStopped(source.bounds(), stop))[partition];
  if (bounds === undefined) throw new BitacoraError('internal', `there is no partition ${partition}`);
  // The end is asked for once: a stretch that reaches beyond it ends, however fast the log grows.
  const to = Math.min(range.to, bounds.next) as Offset;
  for (let first = range.from; first < to; ) {
    const from = Math.max(first, bounds.first) as Offset;
    const piece = from < to ? await unlessStopped(source.piece(partition, from, to, stop), stop) : { records: [], next: to, held: 0 };
    const { records, next, held } = piece;
    yield { partition, first, next, end: bounds.next, jumped: held < next - first, records };
    first = next;
  }
}

/** A log that goes away, or is replaced, ends the stretch: what would come then may be of another log. */
function stretchSource(source: LogSource, limits: ReadLimits): StretchSource {
  const { generation } = source;
  const gone = () => !source.connected || source.generation !== generation;
  const away = (cause?: unknown) => new BitacoraError('log-unavailable', 'the log is out of reach, or was while it was read', { cause });
  return {
    async bounds() {
      if (gone()) throw away();
      return source.bounds();
    },
    async piece(partition, from, to) {
      if (gone()) throw away();
      const maxBatchRecords = Math.min(limits.maxBatchRecords, to - from);
      const chunk = await source.read(partition, from, { ...limits, maxBatchRecords }).catch((error: unknown) => {
        throw gone() ? away(error) : error;
      });
      if (gone()) throw away();
      const records = chunk.records.filter(({ offset }) => offset < to);
      return { records, next: Math.min(chunk.next, to) as Offset, held: records.length };
    },
  };
}

/** `work`, unless the stretch is ended before it is done. */
function unlessStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onStop = () => reject(ended());
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop, { once: true });
    work.then(resolve, reject).finally(() => stop.removeEventListener('abort', onStop));
  });
}

const ended = (): BitacoraError => new BitacoraError('closed', 'the reading was ended, or the log was closed');
