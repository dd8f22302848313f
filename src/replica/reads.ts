/**
 * Reads: memory, then the local database, then the peers; a node that restores asks them even for what it has.
 *
 * A peer's answer goes to the caller and never into the store. Concurrent misses of one key share one question, and if the log delivers
 * the key while the peers are being asked, the log's word is the answer.
 */

import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey, type Limits } from '../core/keys.ts';
import { isLive } from '../core/machine.ts';
import { partitionOf } from '../core/partitioner.ts';
import { bestAnswer } from '../core/peer-answers.ts';
import { never } from '../core/position.ts';
import type {
  Clock,
  Entry,
  Meter,
  Millis,
  Offset,
  Partition,
  PeerAnswer,
  Peers,
  Position,
  ReadAnswer,
  ReadOptions,
  Store,
} from '../ports.ts';
import { foundOf } from './found.ts';
import type { Horizon } from './horizon.ts';
import { type HotAnswer, HotAnswers } from './hot-answers.ts';
import { Reaching } from './reaching.ts';
import type { StaleStore } from './stale-store.ts';
import type { Waiters } from './waiters.ts';

/** Between two questions about a key that this node is in doubt about. */
export const doubtPauseMs = 50;

export type PeerReads = 'always' | 'behind' | 'never';

export interface ReadsOptions {
  readonly limits: Limits;
  readonly peers: Peers;
  readonly peerReads: PeerReads;
  readonly peerTimeoutMs: number;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly waiters: Waiters;
  readonly horizon: Horizon;
  /** The store of now; it is replaced when it has to be rebuilt, and there is none meanwhile. */
  readonly store: () => Store | undefined;
  readonly partitions: () => number;
  readonly applied: (partition: Partition) => Offset;
  readonly genesis: () => string | undefined;
  /** Others may have decided otherwise about the key. */
  readonly isDoubtful: (key: string) => boolean;
  /** No jump in offsets is unresolved. */
  readonly whole: () => boolean;
  /** Rises whenever a doubt ends. */
  readonly doubtsEnded: () => number;
  /** This node lags behind the log, or does not know. */
  readonly behind: () => boolean;
  /** This node reads the log to come to a state that it can answer for: what it has may be long gone. */
  readonly restoring: () => boolean;
  /** The state of before, from which this node answers, saying so, while it makes another. */
  readonly stale?: () => StaleStore | undefined;
  /** A read has found the local database failed or damaged: it has to be mended, not only told. */
  readonly storeTrouble: (error: Error) => void;
}

interface Question {
  readonly answer: Promise<ReadAnswer>;
  /** The log has delivered the key. */
  readonly overtaken: () => void;
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #reaching: Reaching;
  readonly #questions = new Map<string, Question>();
  readonly #hot = new HotAnswers();

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.#reaching = new Reaching(options);
  }

  peek(key: string): ReadAnswer | undefined {
    const { clock, meter, applied, restoring } = this.#options;
    const store = this.#options.store();
    if (store === undefined || this.#options.isDoubtful(key) || restoring()) return undefined;
    const now = clock.now();
    const answer = this.#hot.get(key, store, now) ?? this.#warm(key, store, now);
    if (answer === undefined) return undefined;
    meter.read('local', 'hit');
    const { partition, found, entry } = answer;
    return { source: 'local', found, applied: stateAt({ partition, offset: applied(partition) }, entry) };
  }

  #warm(key: string, store: Store, now: Millis): HotAnswer | undefined {
    const entry = store.peek(key);
    if (entry === undefined || !isLive(entry, now)) return undefined;
    // Other producers may write what users may not ask for.
    const { partition } = this.#appliedIn(checkKey(key, this.#options.limits));
    const answer = { entry, partition, found: foundOf(entry, partition) };
    this.#hot.put(key, store, answer);
    return answer;
  }

  /**
   * Another node takes what this one says for the truth at its position. Errors: also `in-doubt`: of this key, or of any, behind a jump in
   * offsets that is not resolved.
   */
  async readLocal(key: string): Promise<ReadAnswer> {
    const bytes = checkKey(key, this.#options.limits);
    const local = await this.#local(key, bytes);
    if (local === undefined || !this.#options.whole()) throw inDoubt();
    return local;
  }

  async read(key: string, options: ReadOptions = {}): Promise<ReadAnswer> {
    const { limits, clock, peerReads, behind, restoring, genesis } = this.#options;
    const bytes = checkKey(key, limits);
    const reached = await this.#reaching.one(partitionOf(bytes, this.#options.partitions()), options);
    // What has to reflect something has waited for it, and is not stale.
    const stale = reached.current || reached.least > 0 ? undefined : this.#options.stale?.();
    if (stale !== undefined && this.#options.store() === undefined) {
      // The new store is about to be opened.
      const answer = await stale.newer(key, { source: 'local', found: undefined, applied: this.#appliedIn(bytes) }, genesis(), clock.now());
      if (answer !== undefined) return this.#told(answer);
    }
    const local = await this.#local(key, bytes);
    if (local === undefined) return this.#whenInDoubt(key, bytes, reached.least, options);
    const mayAsk = !reached.current && peerReads !== 'never';
    const isEnough = !mayAsk || (local.found !== undefined ? !restoring() : peerReads === 'behind' && !behind());
    const own = isEnough ? local : await this.#ask(key, bytes);
    return this.#told((own.source === 'local' && (await stale?.newer(key, own, genesis(), clock.now()))) || own);
  }

  #told(answer: ReadAnswer): ReadAnswer {
    this.#options.meter.read(answer.source, answer.found === undefined ? 'miss' : 'hit');
    return answer;
  }

  /** A batch is applied: those who ask the peers for one of its keys have their answer here. */
  applied(keys: readonly string[]): void {
    this.#hot.applied(keys);
    if (this.#questions.size === 0) return;
    for (const key of keys) this.#questions.get(key)?.overtaken();
  }

  /** A peer that is not in doubt answers, from no earlier than `least`; or this node ceases to be. Errors: `in-doubt`. */
  async #whenInDoubt(key: string, bytes: Uint8Array, least: number, options: ReadOptions): Promise<ReadAnswer> {
    const { clock, meter, peers, peerReads, peerTimeoutMs, genesis, whole } = this.#options;
    const patience = this.#reaching.patience(options);
    try {
      for (;;) {
        const answers: PeerAnswer[] = [];
        if (peerReads !== 'never') for await (const answer of peers.ask(key, peerTimeoutMs, options.signal)) answers.push(answer);
        const placed = answers.filter(({ next }) => next !== undefined);
        // Who has not come to the record that this node is in doubt about knows less than it told before.
        const newest = (await this.entry(key))?.newest ?? never;
        const beyond = { next: Math.max(least - 1, newest) as Offset, genesis: genesis(), time: undefined };
        const best = bestAnswer(placed, beyond, clock.now());
        // Behind a jump that came since, this node would claim to reflect what it does not.
        const held = await this.#local(key, bytes);
        const local = least > 0 && !whole() ? undefined : held;
        if (local !== undefined || best !== undefined) {
          const answer = local ?? {
            source: 'peer',
            found: best?.found,
            applied: { ...this.#appliedIn(bytes), offset: best?.next as Offset },
          };
          meter.read(answer.source, answer.found === undefined ? 'miss' : 'hit');
          return answer;
        }
        if (!(await patience.pause(clock, doubtPauseMs))) throw inDoubt();
      }
    } catch (error) {
      meter.read('local', 'error');
      throw error;
    } finally {
      patience.end();
    }
  }

  /** What this node holds, a marker included. Errors: `store-failed`. */
  entry(key: string): Promise<Entry | undefined> {
    return askStore(this.#options, async (store) => store.peek(key) ?? (await store.get(key)));
  }

  #appliedIn(key: Uint8Array): Position {
    const partition = partitionOf(key, this.#options.partitions());
    return { partition, offset: this.#options.applied(partition) };
  }

  /**
   * The position is taken before the entry is looked for: an answer must not claim to reflect what came to be meanwhile. Undefined: this
   * node is in doubt about the key.
   */
  async #local(key: string, bytes: Uint8Array): Promise<ReadAnswer | undefined> {
    const { isDoubtful, doubtsEnded } = this.#options;
    const before = this.#appliedIn(bytes);
    const wasDoubtful = isDoubtful(key);
    const ended = doubtsEnded();
    const entry = await this.entry(key);
    // The entry may be of the time of a doubt that has come, or gone, while it was looked for.
    if (wasDoubtful || isDoubtful(key)) return undefined;
    if (entry !== undefined && !entry.settled && ended !== doubtsEnded()) return undefined;
    const live = entry !== undefined && isLive(entry, this.#options.clock.now());
    return { source: 'local', found: live ? foundOf(entry, before.partition) : undefined, applied: stateAt(before, entry) };
  }

  #ask(key: string, bytes: Uint8Array): Promise<ReadAnswer> {
    const shared = this.#questions.get(key);
    if (shared !== undefined) return shared.answer;
    const stop = new AbortController();
    let overtaken = (): void => undefined;
    const fromLog = new Promise<ReadAnswer>((resolve) => {
      overtaken = () => {
        if (this.#options.restoring()) return;
        stop.abort();
        resolve(this.#local(key, bytes).then(known));
      };
    });
    const fromPeers = this.#askPeers(key, bytes, stop.signal);
    // What the log brings a node that restores may be older than what the peers know.
    const first = this.#options.restoring() ? fromPeers : Promise.race([fromPeers, fromLog]);
    const answer = first.finally(() => this.#questions.delete(key));
    this.#questions.set(key, { answer, overtaken });
    return answer;
  }

  async #askPeers(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<ReadAnswer> {
    const { peers, peerTimeoutMs, genesis, clock, applied } = this.#options;
    const answers: PeerAnswer[] = [];
    for await (const answer of peers.ask(key, peerTimeoutMs, signal)) answers.push(answer);
    const partition = partitionOf(bytes, this.#options.partitions());
    const entry = await this.entry(key);
    const best = bestAnswer(answers, { next: applied(partition), genesis: genesis(), time: entry?.time }, clock.now());
    if (best === undefined) return known(await this.#local(key, bytes));
    const offset = best.next ?? applied(partition);
    return { source: 'peer', found: best.found, applied: { partition, offset } };
  }
}

/** Asks the store of now; what is wrong with it is not only told. Errors: `store-failed`. */
export async function askStore<T>(
  { store, meter, storeTrouble }: Pick<ReadsOptions, 'store' | 'meter' | 'storeTrouble'>,
  question: (store: Store) => Promise<T>,
): Promise<T> {
  const now = store();
  if (now === undefined) throw reopening();
  try {
    return await question(now);
  } catch (error) {
    meter.read('local', 'error');
    // Closed under this read: it is being opened again.
    if (codeOf(error) === 'closed') throw reopening(error);
    // What was wrong with one that has been replaced since is not the new one's fault.
    if (store() === now) storeTrouble(error as Error);
    throw error;
  }
}

export function reopening(cause?: unknown): BitacoraError {
  return new BitacoraError('store-failed', 'the local database is being opened', { cause });
}

export function inDoubt(): BitacoraError {
  return new BitacoraError('in-doubt', 'others may have decided otherwise about this key, and none has told in time');
}

/** Errors: `in-doubt`: it came while the peers were asked; the caller may ask again. */
function known(local: ReadAnswer | undefined): ReadAnswer {
  if (local === undefined) throw inDoubt();
  return local;
}

/**
 * Where the log stands as an answer from `entry` shows it: at what was applied before the entry was looked for, or behind the entry's own
 * record, which may have come since.
 */
function stateAt(before: Position, entry: Entry | undefined): Position {
  return entry === undefined || entry.version < before.offset
    ? before
    : { partition: before.partition, offset: (entry.version + 1) as Offset };
}
