/**
 * Where a watch begins and how far it has come.
 *
 * The position of a watch is a session token: of each partition the newest change that was told. It is right to resume from only when all
 * before it has been told, so not in the middle of a state. There the position is the word `reset`: who is cut off then has thrown away what
 * it knew, and has to be told the state anew; with the token from before it would go on with half of it. The same holds for the state
 * that `initial` asks for: what was told of it may be gone at the second attempt, and only a `reset` says so.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import { partitionOf } from '../../../src/core/partitioner.ts';
import { formatToken, isOfLog, logOf, mergePositions, never, parseToken, type Token } from '../../../src/core/position.ts';
import type { KeyValue, Partition, Position, Seen, WatchEvent } from '../../../src/ports.ts';

/** The position from which only the whole state can be told. */
export const anew = 'reset';

/** A token and its text. */
interface Told extends Token {
  readonly text: string;
}

const nothing: Told = toldOf([], undefined);

function toldOf(positions: readonly Position[], log: string | undefined): Told {
  return { positions, log, text: formatToken({ positions, log }) };
}

/** The newest step of any watcher: a change comes to all its watchers one after another, and most of them have seen the same before. */
let newest: { readonly before: string; readonly position: Position; readonly after: Told } | undefined;

function stepped({ positions, log, text }: Told, position: Position, current: string | undefined): Told {
  if (newest?.position !== position || newest.before !== text) {
    // A log without a record has no genesis yet.
    newest = { before: text, position, after: toldOf(mergePositions(positions, [position]), log ?? current) };
  }
  return newest.after;
}

/** A watcher's word on what it has seen, for the service: of another log when nothing can be resumed from it. Errors: `bad-request`. */
export function seenIn(text: string, keyValue: KeyValue, key: string | undefined): { readonly token: Token; readonly from: Seen } {
  const foreign = { token: nothing, from: { genesis: '', positions: [] } };
  if (text === anew) return foreign;
  const token = parseToken(text);
  if (token === undefined) {
    throw new BitacoraError('bad-request', 'from and Last-Event-ID are tokens: send back an id as it came, 0:1204,3:77@8f14e45f');
  }
  const { genesis, status } = keyValue;
  const partitions = status.applied.length;
  if (genesis === undefined || !isOfLog(token, genesis) || (token.positions.at(-1)?.partition ?? 0) >= partitions) return foreign;
  return { token, from: { genesis, positions: ofAll(token.positions, partitions, key) } };
}

/**
 * A partition that the token does not name was empty when it was made, or nobody has looked at it: from its beginning on, or what was
 * written there meanwhile would be a gap. A watch of one key cares for one partition.
 */
function ofAll(positions: readonly Position[], partitions: number, key: string | undefined): readonly Position[] {
  const unseen = Array.from({ length: partitions }, (_, partition) => ({ partition: partition as Partition, offset: never }));
  const all = mergePositions(unseen, positions);
  if (key === undefined) return all;
  const own = partitionOf(Buffer.from(key), partitions);
  return all.filter(({ partition }) => partition === own);
}

export class Progress {
  readonly #keyValue: KeyValue;
  #token: Told;
  /** False: a state is being told, or nothing yet. */
  #whole: boolean;

  /** `token`: what the watcher has seen; undefined: it begins. */
  constructor(keyValue: KeyValue, token: Token | undefined) {
    this.#keyValue = keyValue;
    this.#whole = token !== undefined;
    this.#token = toldOf(token?.positions ?? [], this.#log);
  }

  /** A state is being told, or the beginning is not known yet. */
  get whole(): boolean {
    return this.#whole;
  }

  get position(): string {
    // Of a log without a record too: what will be written to it must not be missed.
    return this.#whole ? this.#token.text || anew : anew;
  }

  /** The position once the event has been told; undefined: none that could be resumed from, and the one before stays. */
  after(event: WatchEvent): string | undefined {
    if (event.kind === 'reset') {
      this.#whole = false;
      // Perhaps of another log, or ahead of a state that is older.
      this.#token = nothing;
      return anew;
    }
    if (event.kind === 'sync') {
      this.#whole = true;
      this.#token = toldOf(mergePositions(this.#token.positions, event.positions), this.#log);
    } else if (this.#whole) {
      this.#token = stepped(this.#token, event.position, this.#log);
    }
    return this.#whole ? this.position : undefined;
  }

  get #log(): string | undefined {
    const { genesis } = this.#keyValue;
    return genesis === undefined ? undefined : logOf(genesis);
  }
}
