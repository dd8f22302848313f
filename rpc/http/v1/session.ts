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
  readonly #token: Token;
  #noted: Position[] = [];

  /** Errors: `bad-request`, `position-foreign`. */
  constructor(keyValue: KeyValue, text: string | undefined) {
    this.#keyValue = keyValue;
    this.#token = text === undefined ? nothing : tokenOf(text, keyValue);
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
    const { genesis } = this.#keyValue;
    const log = genesis === undefined ? this.#token.log : logOf(genesis);
    return formatToken({ positions: mergePositions(this.#token.positions, this.#noted), log });
  }
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
