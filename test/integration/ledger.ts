/**
 * What was written and what became of it, so that a test can say what may stand under each key at the end.
 *
 * `done` was acknowledged; `refused` certainly did not happen; `unknown` may have happened, at its place among this caller's writes.
 */
import { type CallOptions, put, remove } from './calls.ts';

export type Outcome = 'done' | 'refused' | 'unknown';

interface Attempt {
  readonly value: string | undefined;
  readonly outcome: Outcome;
}

interface At {
  readonly url: string;
}

export class Ledger {
  readonly #attempts = new Map<string, Attempt[]>();
  readonly counts: Record<Outcome, number> = { done: 0, refused: 0, unknown: 0 };

  get keys(): string[] {
    return [...this.#attempts.keys()];
  }

  /** Writes, or deletes without a value. The writes of one key must follow one another. */
  async write(node: At, key: string, value: string | undefined, options?: CallOptions): Promise<Outcome> {
    const outcome = await (value === undefined ? remove(node, key, options) : put(node, key, value, options)).then(
      (answer) => {
        if (answer.status === 200) return 'done';
        if (answer.status === 503) return 'refused';
        if (answer.status === 504) return 'unknown';
        throw new Error(`a write was answered ${answer.status}: ${answer.body}`);
      },
      // Nobody listened: nothing was sent. Any other failure of the connection leaves the write in the dark.
      (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? 'refused' : 'unknown'),
    );
    this.note(key, value, outcome);
    return outcome;
  }

  note(key: string, value: string | undefined, outcome: Outcome): void {
    this.counts[outcome]++;
    const attempts = this.#attempts.get(key) ?? [];
    this.#attempts.set(key, attempts);
    attempts.push({ value, outcome });
  }

  /** What may stand under the key: the last acknowledged write, or an unknown one after it. */
  allowed(key: string): ReadonlySet<string | undefined> {
    let allowed = new Set<string | undefined>([undefined]);
    for (const { value, outcome } of this.#attempts.get(key) ?? []) {
      if (outcome === 'done') allowed = new Set([value]);
      else if (outcome === 'unknown') allowed.add(value);
    }
    return allowed;
  }

  /** Keys under which a node holds what must not be there, each with what it holds. */
  async wrongAt(read: (key: string) => Promise<string | undefined>): Promise<string[]> {
    const wrong: string[] = [];
    await inParallel(this.keys, 16, async (key) => {
      const value = await read(key);
      const allowed = this.allowed(key);
      if (!allowed.has(value)) wrong.push(`${key}: ${value}, allowed: ${[...allowed].join(' or ')}`);
    });
    return wrong;
  }
}

/** Does `work` for all, `width` at a time. */
export async function inParallel<T>(all: readonly T[], width: number, work: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < all.length) await work(all[next++] as T);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
