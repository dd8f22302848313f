/**
 * The past of a key: its versions, and what stood under it at a moment. This node knows the newest version; those before it are looked for
 * in the log, backward, for as long as the caller has patience.
 */
import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey } from '../core/keys.ts';
import { isLive } from '../core/machine.ts';
import { partitionOf } from '../core/partitioner.ts';
import { formatPosition } from '../core/position.ts';
import type { Entry, History, HistoryOptions, Millis, Moment, Offset, Partition, Position, ReadAnswer, ReadOptions } from '../ports.ts';
import { foundOf } from './found.ts';
import { Page } from './history-page.ts';
import { type Known, type Look, lookBack } from './looking-back.ts';
import type { Past } from './past.ts';
import type { Patience } from './patience.ts';
import { Reaching } from './reaching.ts';
import { doubtPauseMs, inDoubt, type ReadsOptions } from './reads.ts';
import { Sight } from './sight.ts';

const mostVersions = 1_000;
const mostLooking = 16;
const defaultWaitMs = 5_000;

export interface HistoriesOptions
  extends Omit<ReadsOptions, 'peers' | 'peerReads' | 'peerTimeoutMs' | 'behind' | 'store' | 'storeTrouble' | 'meter'> {
  readonly past: Past;
  /** What this node holds. Errors: `store-failed`. */
  readonly entry: (key: string) => Promise<Entry | undefined>;
}

export class Histories {
  readonly #options: HistoriesOptions;
  readonly #reaching: Reaching;
  #looking = 0;

  constructor(options: HistoriesOptions) {
    this.#options = options;
    this.#reaching = new Reaching(options);
  }

  /** As `KeyValue.history`. */
  history(key: string, options: HistoryOptions): Promise<History> {
    const { limit, before, since } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > mostVersions)
      throw badRequest(`the limit is a whole number from 1 to ${mostVersions}`);
    return this.#patiently(key, options, async (known, patience) => {
      for (const place of [before, since]) if (typeof place === 'object') checkPartition(place, known.applied.partition);
      const page = new Page(known, options);
      if (!page.isEnough) await this.#look(known, page.end, patience, (look) => page.add(look));
      return page.history();
    });
  }

  /** As `KeyValue.readAt`. */
  readAt(key: string, at: Moment, options: ReadOptions = {}): Promise<ReadAnswer> {
    if (typeof at === 'number' && !(at <= this.#options.clock.now())) throw badRequest('the time is still to come');
    const asked = typeof at === 'object' ? { ...options, seen: this.#including(at, options) } : this.#notBefore(key, at, options);
    return this.#patiently(key, asked, async (known, patience) => {
      if (typeof at === 'object') checkPartition(at, known.applied.partition);
      const sight = new Sight(known, at);
      if (!sight.isClear) await this.#look(known, sight.end, patience, (look) => sight.add(look));
      const { partition } = known.applied;
      const entry = sight.entry();
      return { source: 'local', found: entry && foundOf(entry, partition), applied: known.applied };
    });
  }

  /** What a key is now, for whoever wants to change it back. Errors: as `KeyValue.readAt`. */
  current(key: string, options: ReadOptions): Promise<Position | 'absent'> {
    return this.#patiently(key, options, async ({ entry, applied }) => {
      const live = entry !== undefined && isLive(entry, this.#options.clock.now());
      return live ? { partition: applied.partition, offset: entry.version } : 'absent';
    });
  }

  /** What has not come to a time yet does not know what stood there: unless something later is applied, the log's end has to be. */
  #notBefore(key: string, at: Millis, options: ReadOptions): ReadOptions {
    const { consistency = 'local' } = options;
    if (consistency !== 'local' || this.#hasPassed(key, at)) return options;
    return { ...options, consistency: 'latest' };
  }

  #hasPassed(key: string, at: Millis): boolean {
    const { past, limits, partitions } = this.#options;
    try {
      return past.logTime(partitionOf(checkKey(key, limits), partitions())) > at;
    } catch (error) {
      if (codeOf(error) !== 'log-unavailable') throw error;
      return false;
    }
  }

  /** The caller has seen the place that is asked about, so it is waited for. */
  #including(at: Position, { seen }: ReadOptions): ReadOptions['seen'] {
    const genesis = seen?.genesis ?? this.#options.genesis();
    if (genesis === undefined) throw new BitacoraError('position-not-reached', 'this node does not know its log yet');
    const others = (seen?.positions ?? []).filter(({ partition, offset }) => partition !== at.partition || offset > at.offset);
    const isSeen = others.some(({ partition }) => partition === at.partition);
    return { genesis, positions: isSeen ? others : [...others, at] };
  }

  async #patiently<T>(key: string, options: ReadOptions, work: (known: Known, patience: Patience) => Promise<T>): Promise<T> {
    const bytes = checkKey(key, this.#options.limits);
    const partition = partitionOf(bytes, this.#options.partitions());
    if (this.#looking >= mostLooking) throw new BitacoraError('overloaded', `${mostLooking} histories are being read`);
    const patient = { ...options, waitMs: options.waitMs ?? defaultWaitMs };
    const patience = this.#reaching.patience(patient);
    this.#looking++;
    try {
      await this.#reaching.one(partition, patient);
      const known = await this.#known(key, bytes, partition, patience);
      return await work(known, patience);
    } finally {
      this.#looking--;
      patience.end();
    }
  }

  /** Errors: `in-doubt`, `position-not-reached`: this node does not know in time. */
  async #known(key: string, bytes: Uint8Array, partition: Partition, patience: Patience): Promise<Known> {
    const { isDoubtful, whole, doubtsEnded, applied, clock, restoring } = this.#options;
    const certain = (): boolean => whole() && !isDoubtful(key) && !restoring();
    for (;;) {
      const before = doubtsEnded();
      const position = { partition, offset: applied(partition) };
      if (certain()) {
        const entry = await this.#options.entry(key);
        if (certain() && before === doubtsEnded()) return { bytes, applied: position, entry };
      }
      if (await patience.pause(clock, doubtPauseMs)) continue;
      if (restoring())
        throw new BitacoraError('position-not-reached', 'this node reads the log, and does not know yet what has become of the key');
      throw inDoubt();
    }
  }

  /** Shows one look after the other until `take` says that it is enough, or patience is over. */
  async #look({ bytes, applied: { partition } }: Known, end: Offset, patience: Patience, take: (look: Look) => boolean): Promise<void> {
    const over = new AbortController();
    const stop = patience.onEnd(() => over.abort());
    try {
      for await (const look of lookBack(this.#options.past, bytes, { partition, offset: end }, over.signal)) if (!take(look)) return;
    } catch (error) {
      if (!over.signal.aborted || codeOf(error) !== 'closed') throw error;
    } finally {
      stop();
    }
  }
}

function checkPartition(place: Position, partition: Partition): void {
  if (place.partition !== partition) throw badRequest(`the key is in partition ${partition}, and not at ${formatPosition(place)}`);
}

function badRequest(why: string): BitacoraError {
  return new BitacoraError('bad-request', why);
}
