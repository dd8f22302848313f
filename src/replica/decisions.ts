/** Writers of this node that wait to hear what became of their records, by the records' `by`. */
import { BitacoraError, VersionConflict } from '../core/errors.ts';
import type { Decision } from '../core/machine.ts';
import { never } from '../core/position.ts';
import type { Answer, Partition, Written } from '../ports.ts';

/** What a writer waits for. */
export interface Expected {
  readonly told: Promise<Answer>;
  /** Nobody waits for it any more. */
  forget(): void;
}

export class Decisions {
  readonly #waiting = new Map<string, (answer: Answer) => void>();

  /** To be called before the record is handed over: it may be applied before it is acknowledged. */
  expect(by: string): Expected {
    const told = new Promise<Answer>((resolve) => this.#waiting.set(by, resolve));
    return { told, forget: () => this.#waiting.delete(by) };
  }

  tell(decisions: readonly Decision[]): void {
    if (this.#waiting.size === 0) return;
    for (const { by, answer } of decisions) this.#waiting.get(by)?.(answer);
  }
}

/** Errors: `version-conflict`, `unknown-outcome`. */
export function outcomeOf({ outcome, offset, current, id }: Answer, partition: Partition, key?: string): Written {
  switch (outcome) {
    case 'written':
      return { position: { partition, offset }, id };
    case 'refused':
      throw new VersionConflict(current === never ? undefined : { partition, offset: current }, key);
    case 'doubtful':
      throw new BitacoraError('unknown-outcome', 'the write is in the log, and this node cannot tell yet what others decided about it');
  }
}
