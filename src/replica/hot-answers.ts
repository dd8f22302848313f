/**
 * The answers given last, ready to be given again: what a hot read costs is mostly the decoding of the stored row and the checking of the
 * key, and both come out the same until the key changes. Bounded; a key leaves when a batch touches it, before anybody is told of the batch.
 */
import { isLive } from '../core/machine.ts';
import type { Entry, FoundValue, Millis, Partition, Store } from '../ports.ts';

export interface HotAnswer {
  readonly entry: Entry;
  readonly partition: Partition;
  readonly found: FoundValue;
}

const mostAnswers = 4_096;
/** The faces keep what they made of an answer beside it, so that this bounds them too. */
const largestValueBytes = 1_024;

export class HotAnswers {
  readonly #answers = new Map<string, HotAnswer>();
  /** The store they were read from: another one, and they are void. */
  #store: Store | undefined;

  get(key: string, store: Store, now: Millis): HotAnswer | undefined {
    if (store !== this.#store) return undefined;
    const answer = this.#answers.get(key);
    return answer !== undefined && isLive(answer.entry, now) ? answer : undefined;
  }

  put(key: string, store: Store, answer: HotAnswer): void {
    if (store !== this.#store) this.#answers.clear();
    this.#store = store;
    if (answer.entry.value.length > largestValueBytes) return;
    // The oldest goes: what is hot comes back at once.
    if (this.#answers.size >= mostAnswers) for (const oldest of this.#answers.keys()) if (this.#answers.delete(oldest)) break;
    this.#answers.set(key, answer);
  }

  applied(keys: readonly string[]): void {
    if (this.#answers.size === 0) return;
    for (const key of keys) this.#answers.delete(key);
  }
}
