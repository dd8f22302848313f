/** Counts what may mean that the log is another one: a new leader may tell an old end for a moment, so one word is a suspicion only. */

const certainAfter = 3;
/** What is told sooner after the word before belongs to the same moment. */
const apartMs = 900;

export class Verdicts {
  readonly #told = new Map<string, { readonly times: number; readonly at: number }>();

  /** True: it was told often enough in a row to be believed. */
  told(what: string): boolean {
    const now = performance.now();
    const before = this.#told.get(what);
    const times = before === undefined ? 1 : now - before.at < apartMs ? before.times : before.times + 1;
    if (before === undefined || times > before.times) this.#told.set(what, { times, at: now });
    return times >= certainAfter;
  }

  /** It is not so, or not any more. */
  clear(what: string): void {
    this.#told.delete(what);
  }

  suspects(what: string): boolean {
    return this.#told.has(what);
  }
}
