/**
 * Reads: memory, then the local database, then the peers.
 *
 * A peer's answer goes to the caller and never into the store. Concurrent misses of one key share one question, and if the log delivers
 * the key while the peers are being asked, the log's word is the answer.
 */

import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey, type Limits } from '../core/keys.ts';
import { isLive } from '../core/machine.ts';
import { partitionOf } from '../core/partitioner.ts';
import { bestAnswer } from '../core/peer-answers.ts';
import { formatPosition, seenOf } from '../core/position.ts';
import type {
  Clock,
  Entry,
  FoundValue,
  Meter,
  Millis,
  Offset,
  Partition,
  PeerAnswer,
  Peers,
  Position,
  ReadAnswer,
  ReadOptions,
  Seen,
  Store,
} from '../ports.ts';
import { type HotAnswer, HotAnswers } from './hot-answers.ts';
import type { Waiters } from './waiters.ts';

/** How long a read waits until this node has applied what its caller has seen. */
const positionWaitMs = 1_000;

export type PeerReads = 'always' | 'behind' | 'never';

export interface ReadsOptions {
  readonly limits: Limits;
  readonly peers: Peers;
  readonly peerReads: PeerReads;
  readonly peerTimeoutMs: number;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly waiters: Waiters;
  /** The store of now; it is replaced when it has to be rebuilt, and there is none meanwhile. */
  readonly store: () => Store | undefined;
  readonly partitions: () => number;
  readonly applied: (partition: Partition) => Offset;
  readonly genesis: () => string | undefined;
  /** This node lags behind the log, or does not know. */
  readonly behind: () => boolean;
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
  readonly #questions = new Map<string, Question>();
  readonly #hot = new HotAnswers();

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  peek(key: string): ReadAnswer | undefined {
    const { clock, meter, applied } = this.#options;
    const store = this.#options.store();
    if (store === undefined) return undefined;
    const now = clock.now();
    const answer = this.#hot.get(key, store, now) ?? this.#warm(key, store, now);
    if (answer === undefined) return undefined;
    meter.read('local', 'hit');
    const { partition, found } = answer;
    return { source: 'local', found, applied: { partition, offset: applied(partition) } };
  }

  #warm(key: string, store: Store, now: Millis): HotAnswer | undefined {
    const entry = store.peek(key);
    if (entry === undefined || !isLive(entry, now)) return undefined;
    // Other producers may write what users may not ask for.
    const { partition } = this.#applied(checkKey(key, this.#options.limits));
    const answer = { entry, partition, found: foundOf(entry, partition) };
    this.#hot.put(key, store, answer);
    return answer;
  }

  async readLocal(key: string): Promise<ReadAnswer> {
    const bytes = checkKey(key, this.#options.limits);
    const entry = await this.#entry(key);
    return this.#local(bytes, entry);
  }

  async read(key: string, { seen, signal }: ReadOptions = {}): Promise<ReadAnswer> {
    const { limits, meter, peerReads, behind } = this.#options;
    const bytes = checkKey(key, limits);
    if (seen !== undefined && seen.positions.length > 0) await this.#reach(bytes, seen, signal);
    const entry = await this.#entry(key);
    const local = this.#local(bytes, entry);
    if (local.found !== undefined) {
      meter.read('local', 'hit');
      return local;
    }
    if (peerReads === 'never' || (peerReads === 'behind' && !behind())) {
      meter.read('local', 'miss');
      return local;
    }
    const answer = await this.#ask(key, bytes);
    meter.read(answer.source, answer.found === undefined ? 'miss' : 'hit');
    return answer;
  }

  /** A batch is applied: those who ask the peers for one of its keys have their answer here. */
  applied(keys: readonly string[]): void {
    this.#hot.applied(keys);
    if (this.#questions.size === 0) return;
    for (const key of keys) this.#questions.get(key)?.overtaken();
  }

  /** Resolves once this node has applied what of `seen` is in the key's partition. */
  async #reach(key: Uint8Array, seen: Seen, signal: AbortSignal | undefined): Promise<void> {
    const { partitions, waiters, clock } = this.#options;
    this.#sameLog(seen);
    const position = seenOf(partitionOf(key, partitions()), seen);
    if (position === undefined) return;
    const reached = await waiters.wait(position, (giveUp) => {
      const cancel = clock.after(positionWaitMs, giveUp);
      signal?.addEventListener('abort', giveUp, { once: true });
      return () => {
        cancel();
        signal?.removeEventListener('abort', giveUp);
      };
    });
    if (!reached) throw new BitacoraError('position-not-reached', `this node has not applied ${formatPosition(position)} yet`);
    // It may have been waiting for another log than it began with.
    this.#sameLog(seen);
  }

  #sameLog(seen: Seen): void {
    const genesis = this.#options.genesis();
    if (genesis === undefined) throw new BitacoraError('position-not-reached', 'this node does not know its log yet');
    if (genesis !== seen.genesis)
      throw new BitacoraError('position-foreign', `the position is of the log ${seen.genesis}, this is ${genesis}`);
  }

  async #entry(key: string): Promise<Entry | undefined> {
    const store = this.#options.store();
    if (store === undefined) throw reopening();
    try {
      return store.peek(key) ?? (await store.get(key));
    } catch (error) {
      this.#options.meter.read('local', 'error');
      // Closed under this read: it is being opened again.
      if (codeOf(error) === 'closed') throw reopening(error);
      this.#options.storeTrouble(error as Error);
      throw error;
    }
  }

  #applied(key: Uint8Array): Position {
    const partition = partitionOf(key, this.#options.partitions());
    return { partition, offset: this.#options.applied(partition) };
  }

  #local(key: Uint8Array, entry: Entry | undefined): ReadAnswer {
    const applied = this.#applied(key);
    const live = entry !== undefined && isLive(entry, this.#options.clock.now());
    return { source: 'local', found: live ? foundOf(entry, applied.partition) : undefined, applied };
  }

  #ask(key: string, bytes: Uint8Array): Promise<ReadAnswer> {
    const shared = this.#questions.get(key);
    if (shared !== undefined) return shared.answer;
    const stop = new AbortController();
    let overtaken = (): void => undefined;
    const fromLog = new Promise<ReadAnswer>((resolve) => {
      overtaken = () => {
        stop.abort();
        resolve(this.#entry(key).then((entry) => this.#local(bytes, entry)));
      };
    });
    const answer = Promise.race([this.#askPeers(key, bytes, stop.signal), fromLog]).finally(() => this.#questions.delete(key));
    this.#questions.set(key, { answer, overtaken });
    return answer;
  }

  async #askPeers(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<ReadAnswer> {
    const { peers, peerTimeoutMs, genesis, clock, applied } = this.#options;
    const answers: PeerAnswer[] = [];
    for await (const answer of peers.ask(key, peerTimeoutMs, signal)) answers.push(answer);
    const partition = partitionOf(bytes, this.#options.partitions());
    const entry = await this.#entry(key);
    const best = bestAnswer(answers, { next: applied(partition), genesis: genesis(), time: entry?.time }, clock.now());
    if (best === undefined) return this.#local(bytes, entry);
    const offset = best.next ?? applied(partition);
    return { source: 'peer', found: best.found, applied: { partition, offset } };
  }
}

function reopening(cause?: unknown): BitacoraError {
  return new BitacoraError('store-failed', 'the local database is being opened', { cause });
}

function foundOf(entry: Entry, partition: Partition): FoundValue {
  return {
    value: entry.value,
    version: { partition, offset: entry.version },
    time: entry.time,
    expires: entry.expires,
    id: entry.id,
    contentType: entry.contentType,
  };
}
