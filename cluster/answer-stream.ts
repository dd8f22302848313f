/** Answers in the order in which they come, until all have come or the wait is over. */
export class AnswerStream<T> {
  readonly #waiting: T[] = [];
  #open: number;
  #wake: (() => void) | undefined;

  /** `expected`: how many will call `settled`. */
  constructor(expected: number) {
    this.#open = expected;
  }

  /** One of those expected is through, with or without an answer. */
  settled(answer: T | undefined): void {
    this.#open--;
    if (answer !== undefined) this.#waiting.push(answer);
    this.#wake?.();
  }

  /** Nothing more is waited for. */
  end(): void {
    this.#open = 0;
    this.#wake?.();
  }

  /** To be read once. */
  async *read(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#open <= 0) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
