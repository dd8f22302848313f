/**
 * What a session has seen, as `/v1` tells it: tokens (`0:1204,3:77@8f14e45f`), merged by partition. The rules are those of any session of
 * a client; here the log is known by the eight digits that stand in a token.
 */
import { formatToken, mergePositions, parseToken, type Token } from '../../src/core/position.ts';
import type { Position } from '../../src/ports.ts';
import { ClientError } from '../errors.ts';
import { refused } from '../options.ts';
import { Session } from '../session.ts';

export class Seen {
  readonly #session = new Session();
  #token: string | undefined;

  /** Grows whenever everything was forgotten. */
  get epoch(): number {
    return this.#session.epoch;
  }

  /** Empty: nothing was seen. */
  get token(): string {
    this.#token ??= this.#format();
    return this.#token;
  }

  /**
   * Takes over what an answer says, to what was asked in this epoch. False: it is of another log than before, whose positions are
   * forgotten now.
   */
  take(text: string | undefined, epoch: number): boolean {
    const token = text === undefined || text === '' ? undefined : parseToken(text);
    if (token === undefined) return true;
    // Asked before everything was forgotten, and of a log that is perhaps the one that is over.
    if (epoch !== this.epoch && token.log !== this.#log) return true;
    const known = this.#session.learn(token.log ?? '');
    this.#reach(token);
    return known;
  }

  /** A node follows another log than what was sent in this epoch tells of. */
  forget(epoch: number): void {
    if (epoch !== this.epoch) return;
    this.#session.forget();
    this.#token = undefined;
  }

  /** Errors: `bad-request`, `position-foreign`. */
  observe(text: string): void {
    const token = parseToken(text.trim());
    if (token === undefined) throw refused('this is not the position of a session: 0:1204,3:77@8f14e45f');
    if (token.log !== undefined && this.#log !== undefined && token.log !== this.#log) {
      throw new ClientError('position-foreign', `the position is of the log ${token.log}, this session of ${this.#log}`);
    }
    this.#session.learn(token.log ?? '');
    this.#reach(token);
  }

  /** What the next read is told, because the call that found out had to tell something else. */
  owe(error: ClientError): void {
    this.#session.owe(error);
  }

  /** Errors: `position-foreign`, once, when it is owed. */
  settle(): void {
    this.#session.settle();
  }

  get #log(): string | undefined {
    return this.#session.seen([]).genesis || undefined;
  }

  #reach({ positions }: Token): void {
    for (const { partition, offset } of positions) this.#session.reach(partition, offset);
    this.#token = undefined;
  }

  #format(): string {
    const positions = mergePositions(this.#session.seen(undefined).positions as readonly Position[]);
    return formatToken({ positions, log: this.#log });
  }
}
