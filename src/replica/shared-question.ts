/** Questions that serve everybody who was waiting when they were asked. */

/**
 * Asks one question at a time. Who comes while one is under way waits for the next, because the answer on its way may be older than he is;
 * all who wait for the next share it.
 */
export class SharedQuestion<T> {
  readonly #question: () => Promise<T>;
  #current: Promise<unknown> | undefined;
  #next: Promise<T> | undefined;

  constructor(question: () => Promise<T>) {
    this.#question = question;
  }

  /** The answer to a question that is asked from now on. Errors: the question's own. */
  ask(): Promise<T> {
    if (this.#current === undefined) return this.#begin();
    this.#next ??= this.#current.then(() => this.#begin());
    return this.#next;
  }

  #begin(): Promise<T> {
    this.#next = undefined;
    const answer = this.#question();
    const over = answer.then(
      () => undefined,
      () => undefined,
    );
    const current = over.then(() => {
      if (this.#current === current) this.#current = undefined;
    });
    this.#current = current;
    return answer;
  }
}
