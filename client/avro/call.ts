/**
 * One call on its way: an attempt at one server after another, until one has answered, nothing more may be tried, or time is up.
 *
 * A read goes to another server whenever that may help. A write does so only if it certainly had no effect: the server said so, or its
 * connection broke before it was sent. What was sent and not answered is `unknown-outcome`. A write that is withdrawn (timeout, abort)
 * counts as sent as soon as it was given to a connection, because what waits there to leave cannot be taken back.
 */
import type { CallError } from '../../wire/avro/codec.ts';
import type { MessageName } from '../../wire/avro/protocol.ts';
import { ClientError } from '../errors.ts';
import type { Calls } from './calls.ts';
import type { Connection, Exchange, Request } from './connection.ts';
import { errorOf, type Operation } from './operation.ts';
import type { Avoid } from './pool.ts';

/** A read moves on after this part of its time. */
const patience = 1 / 3;
const none: Avoid = [];

export class Call<R> implements Exchange {
  readonly deadline: number;
  message: MessageName = 'getNode';
  lateAt = 0;
  /** Of another attempt, by the monotonic clock, while the call waits for it. */
  notBefore = 0;
  /** Where it was tried, and it is of no use to try again. */
  tried: Avoid;
  readonly #calls: Calls;
  readonly #operation: Operation<R>;
  readonly #patienceMs: number;
  readonly #resolve: (result: R) => void;
  readonly #reject: (error: ClientError) => void;
  #attempts = 0;
  /** Of the attempt before. */
  #failure: ClientError | undefined;
  #connection: Connection | undefined;
  #serial = 0;
  #signal: AbortSignal | undefined;
  #unfollow = (): void => undefined;
  #done = false;

  constructor(
    calls: Calls,
    operation: Operation<R>,
    times: { readonly now: number; readonly deadline: number; readonly avoid: Avoid },
    resolve: (result: R) => void,
    reject: (error: ClientError) => void,
  ) {
    this.#calls = calls;
    this.#operation = operation;
    this.deadline = times.deadline;
    this.#patienceMs = (times.deadline - times.now) * patience;
    this.tried = times.avoid;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get write(): boolean {
    return this.#operation.write;
  }

  /** An abort ends the call. */
  follow(signal: AbortSignal): void {
    this.#signal = signal;
    this.#unfollow = this.#calls.aborts.follow(signal, () => this.#aborted());
  }

  /** One more attempt, unless it would begin too late. */
  send(connection: Connection, now: number): void {
    if (now >= this.deadline) {
      this.expired();
      return;
    }
    let request: Request;
    try {
      request = this.#operation.request(connection);
    } catch (error) {
      this.#again(this.#own(error, connection), connection);
      return;
    }
    this.#attempts++;
    this.message = request.message;
    this.lateAt = this.write ? this.deadline : Math.min(this.deadline, now + this.#patienceMs);
    this.#connection = connection;
    try {
      this.#serial = connection.send(this, request.encode, now);
    } catch (error) {
      this.#connection = undefined;
      this.fail(new ClientError('internal', 'the request cannot be written', { retryable: false, cause: error }));
    }
  }

  answered(value: unknown): void {
    const connection = this.#connection as Connection;
    let result: R;
    try {
      result = this.#operation.result(value, connection);
    } catch (error) {
      this.#connection = undefined;
      this.#again(this.#own(error, connection), connection);
      return;
    }
    this.#settle();
    this.#resolve(result);
  }

  refused(failure: CallError): void {
    const connection = this.#connection as Connection;
    this.#connection = undefined;
    const error = this.#operation.refusal(errorOf(failure, this.write, connection.address));
    if (error.code === 'draining') this.#calls.draining(connection);
    this.#again(error, connection);
  }

  lost(reason: ClientError, sent: boolean): void {
    const connection = this.#connection as Connection;
    this.#connection = undefined;
    if (this.write && sent) this.fail(this.#unknown(connection, 'its connection was lost', reason));
    else this.#again(reason, connection);
  }

  late(now: number): void {
    const connection = this.#connection as Connection;
    if (now >= this.deadline) {
      this.#leave();
      if (this.write) this.fail(this.#unknown(connection, 'it has not answered in time', this.#failure));
      else this.fail(new ClientError('timeout', 'no answer in time', { server: connection.address, cause: this.#failure }));
      return;
    }
    if (this.write) return;
    const tried = [...this.tried, connection];
    const other = this.#attempts < this.#calls.limits.attempts ? this.#calls.pick(tried) : undefined;
    if (other === undefined) {
      // Better to wait for this one than for nobody.
      this.lateAt = this.deadline;
      return;
    }
    this.#leave();
    this.#failure = new ClientError('timeout', `${connection.address}: no answer for a while`, { server: connection.address });
    this.tried = tried;
    this.send(other, now);
  }

  /** No server has taken it in time. */
  expired(): void {
    this.fail(this.#failure ?? this.#calls.nobody());
  }

  /** Every server that might take it was tried: they are tried again after a while. */
  pause(): void {
    const error = this.#failure ?? this.#calls.nobody();
    this.tried = none;
    const wait = Math.max(error.retryAfterMs, this.#calls.backoffMs(this.#attempts));
    if (this.#calls.clock.monotonic() + wait >= this.deadline) this.fail(error);
    else this.#calls.later(this, wait);
  }

  fail(error: ClientError): void {
    if (this.#done) return;
    this.#settle();
    this.#reject(error);
  }

  /** The attempt came to nothing. */
  #again(error: ClientError, connection: Connection): void {
    this.#failure = error;
    this.tried = [...this.tried, connection];
    const { ended, limits } = this.#calls;
    // Another server may know what this one does not; the same one will not.
    const elsewhere = error.code === 'unsupported';
    if (ended !== undefined) this.fail(ended);
    else if (!(error.retryable || elsewhere) || this.#attempts >= limits.attempts) this.fail(error);
    else if (this.#calls.has(this.tried) || !this.#calls.isOpen) this.#calls.place(this);
    else if (elsewhere) this.fail(error);
    else this.pause();
  }

  /** What an operation has thrown. */
  #own(error: unknown, connection: Connection): ClientError {
    if (error instanceof ClientError) return error;
    return new ClientError('internal', (error as Error).message, { retryable: false, server: connection.address, cause: error });
  }

  #unknown({ address }: Connection, why: string, cause: unknown): ClientError {
    const what = `the write was sent to ${address}, and ${why}: it may or may not be in the log`;
    return new ClientError('unknown-outcome', what, { retryable: false, server: address, cause });
  }

  #aborted(): void {
    const cause = this.#signal?.reason;
    const connection = this.#connection;
    this.#leave();
    if (connection !== undefined && this.write) this.fail(this.#unknown(connection, 'its caller has stopped waiting', cause));
    else this.fail(new ClientError('aborted', 'the caller has stopped waiting', { cause }));
  }

  /** An answer would come too late. */
  #leave(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.forget(this.#serial);
  }

  #settle(): void {
    this.#done = true;
    this.#connection = undefined;
    this.#unfollow();
    this.#calls.settled(this);
  }
}
