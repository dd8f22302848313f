/**
 * What the pages of one answer stand on: each is of the same log as the one before, and reflects at least as much. A node's store may be
 * made anew between two of them; what it holds then is less, and the end of that is no end.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import { mergePositions, newestSeen } from '../../../src/core/position.ts';
import type { Consistency, KeyValue, Listing, Offset, Partition, Position, Seen } from '../../../src/ports.ts';

/** What the first page must reflect. */
export interface FootingOptions {
  readonly consistency: Consistency;
  /** What its caller has seen; undefined: nothing. */
  readonly seen: Seen | undefined;
  /** Also all that this node has applied by now: what it tells is then of a point in time, or it waits until it is. */
  readonly itself?: boolean;
}

/** How a page is to be asked for, of `KeyValue.list`. */
export type Asked = Pick<FootingOptions, 'consistency' | 'seen'>;

export class Footing {
  readonly #keyValue: KeyValue;
  /** Each page waits for what the one before reflected; otherwise, what does not reflect it is refused. */
  readonly #waits: boolean;
  #asked: Asked;
  #log: string | undefined;
  #applied: readonly Offset[] = [];

  constructor(keyValue: KeyValue, { consistency, seen, itself = false }: FootingOptions) {
    this.#keyValue = keyValue;
    const { state, applied } = keyValue.status;
    // Of a node that comes to its state a local listing is what there is so far: it is waited for no more than its first page is.
    this.#waits = itself || consistency !== 'local' || seen !== undefined || (state !== 'restoring' && state !== 'starting');
    const own = itself ? positionsOf(applied) : [];
    this.#asked = { consistency, seen: own.length === 0 ? seen : (this.#seen(keyValue.genesis, own, seen?.positions) ?? seen) };
  }

  /** The next page. Errors: those of `ask`; `position-not-reached`, `position-foreign`: of a node that has gone back, or to another log. */
  async page(ask: (asked: Asked) => Promise<Listing>): Promise<Listing> {
    const before = this.#keyValue.genesis;
    const listing = await ask(this.#asked);
    const known = this.#log ?? before;
    const now = this.#keyValue.genesis;
    if (known !== undefined && now !== undefined && known !== now) {
      // Who has been told nothing yet may simply ask again.
      if (this.#log === undefined) throw new BitacoraError('position-not-reached', 'the log was made anew while it was looked at');
      throw new BitacoraError('position-foreign', `what was told until now is of the log ${known}, this is ${now}`);
    }
    this.holds(listing.applied);
    this.#log = known ?? now;
    this.#applied = [...listing.applied];
    const seen = this.#waits ? this.#seen(this.#log, positionsOf(listing.applied)) : undefined;
    // The end of the log, or a barrier, has been waited for.
    this.#asked = { consistency: 'local', seen };
    return listing;
  }

  /** A state that has applied so much may be told from. Errors: `position-not-reached`. */
  holds(applied: readonly Offset[]): void {
    if (this.#applied.every((offset, partition) => offset <= (applied[partition] ?? 0))) return;
    throw new BitacoraError('position-not-reached', 'this node makes its state anew, and is not yet where it was');
  }

  /** Undefined: nobody can wait for a place in a log that nobody knows. */
  #seen(genesis: string | undefined, ...positions: readonly (readonly Position[] | undefined)[]): Seen | undefined {
    if (genesis === undefined) return undefined;
    return { genesis, positions: mergePositions(...positions.map((each) => each ?? [])) };
  }
}

function positionsOf(applied: readonly Offset[]): readonly Position[] {
  return applied.flatMap((offset, partition) => newestSeen({ partition: partition as Partition, offset }) ?? []);
}
