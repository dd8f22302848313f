/**
 * What a caller has seen, in and out: the token of his request, moved on by what his answer reflects. Who always sends back the last
 * token never reads anything older, on whichever node.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import { formatToken, isOfLog, logOf, mergePositions, newestSeen, parseToken, type Token } from '../../../src/core/position.ts';
import type { KeyValue, Offset, Partition, Position, Seen } from '../../../src/ports.ts';

const nothing: Token = { positions: [], log: undefined };

export class Session {
  readonly #keyValue: KeyValue;
  #token: Token;
  #noted: Position[] = [];
  /** Of which log all of that is; undefined: nobody knows yet. */
  #log: string | undefined;
  /** The one that the node followed when the request came. */
  readonly #began: string | undefined;

  /** Errors: `bad-request`, `position-foreign`. */
  constructor(keyValue: KeyValue, text: string | undefined) {
    this.#keyValue = keyValue;
    this.#token = text === undefined ? nothing : tokenOf(text, keyValue);
    this.#began = nameOf(keyValue);
    this.#log = this.#token.log ?? this.#began;
  }

  /** A log that is made anew under a request takes no place of the old one for its own: the caller would wait for it for ever. */
  #ofThisLog(): void {
    const log = nameOf(this.#keyValue);
    if (log === undefined || log === this.#log) return;
    if (this.#log !== undefined) {
      this.#token = nothing;
      this.#noted = [];
    }
    this.#log = log;
  }

  /** Of which log the versions are that this request reads or writes; undefined: nobody knows, or it has changed meanwhile. */
  get log(): string | undefined {
    const log = nameOf(this.#keyValue);
    return log === this.#began ? log : undefined;
  }

  /** What a read must reflect; undefined: nothing. Errors: `position-not-reached`. */
  get seen(): Seen | undefined {
    const { positions } = this.#token;
    if (positions.length === 0) return undefined;
    const { genesis } = this.#keyValue;
    if (genesis === undefined) throw new BitacoraError('position-not-reached', 'this node does not know its log yet');
    return { genesis, positions };
  }

  /** The answer reflects this. */
  note(position: Position | undefined): void {
    if (position === undefined) return;
    this.#ofThisLog();
    this.#noted.push(position);
    // Bounded, however many keys a request touches.
    if (this.#noted.length > 1_024) this.#noted = [...mergePositions(this.#noted)];
  }

  /** The answer reflects everything before these, by partition. */
  noteApplied(applied: readonly Offset[]): void {
    for (const [partition, offset] of applied.entries()) this.note(newestSeen({ partition: partition as Partition, offset }));
  }

  /** Empty: nothing was seen. */
  get token(): string {
    this.#ofThisLog();
    return formatToken({ positions: mergePositions(this.#token.positions, this.#noted), log: this.#log });
  }
}

function nameOf({ genesis }: KeyValue): string | undefined {
  return genesis === undefined ? undefined : logOf(genesis);
}

function tokenOf(text: string, keyValue: KeyValue): Token {
  const token = parseToken(text.trim());
  if (token === undefined) {
    throw new BitacoraError(
      'bad-request',
      'Bitacora-Min-Position is not a token: send back what Bitacora-Position said, 0:1204,3:77@8f14e45f',
    );
  }
  const { genesis } = keyValue;
  if (genesis !== undefined && !isOfLog(token, genesis)) {
    throw new BitacoraError('position-foreign', `the token is of the log ${token.log}, this is ${genesis}`);
  }
  const newest = token.positions.at(-1);
  if (newest !== undefined) {
    const partitions = keyValue.status.applied.length;
    if (partitions > 0 && newest.partition >= partitions) {
      throw new BitacoraError('position-foreign', `the token names the partition ${newest.partition}, this log has ${partitions}`);
    }
  }
  return token;
}
