/**
 * All calls of a client: which wait for a server, which for another attempt, and the one timer that looks at everybody's deadline.
 *
 * A call under way stands in its connection alone; a call that no server can take now waits here, in order, and what was refused by all
 * waits here for its next attempt. So nothing is kept for a call beyond its place, and no call has a timer of its own.
 */
import type { Chance, Clock } from '../../src/ports.ts';
import { ClientConnectionError, ClientError } from '../errors.ts';
import type { Limits } from '../options.ts';
import { Aborts } from './aborts.ts';
import { Call } from './call.ts';
import type { Connection } from './connection.ts';
import { namesOf, type Operation } from './operation.ts';
import type { Avoid, Pool } from './pool.ts';

/** Until when, by the monotonic clock, and who may end it earlier. */
export interface Wait {
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  /** It belongs to a `whole` that is under way. */
  readonly part?: boolean;
  /** To be asked only when there is nobody else. */
  readonly avoid?: Avoid;
}

/** How often deadlines are looked at. */
const tickMs = 10;
const firstBackoffMs = 25;
const longestBackoffMs = 1_000;
const none: Avoid = [];

export class Calls {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly aborts = new Aborts();
  readonly #pool: Pool;
  readonly #chance: Pick<Chance, 'random'>;
  /** Waiting for a server with room, in order. */
  readonly #queue = new Set<Call<unknown>>();
  /** Waiting for the time of their next attempt. */
  readonly #later = new Set<Call<unknown>>();
  readonly #pauses = new Set<() => void>();
  /** Calls that are not settled, and wholes. */
  #live = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #cancelTick: (() => void) | undefined;
  #placing = false;
  #whenIdle: (() => void) | undefined;

  constructor(pool: Pool, limits: Limits, clock: Clock, chance: Pick<Chance, 'random'>) {
    this.#pool = pool;
    this.limits = limits;
    this.clock = clock;
    this.#chance = chance;
  }

  /** Errors: those of the operation, and `connection`, `timeout`, `aborted`, `overloaded`, `closed`, `unknown-outcome`. */
  run<R>(operation: Operation<R>, { deadline, signal, part = false, avoid = none }: Wait): Promise<R> {
    return new Promise((resolve, reject) => {
      this.check(signal, part);
      const now = this.clock.monotonic();
      const times = { now, deadline, avoid: avoid.length > 0 && this.#pool.has(avoid) ? avoid : none };
      const call = new Call<R>(this, operation, times, resolve, reject);
      if (signal !== undefined) call.follow(signal);
      this.#live++;
      this.#cancelTick ??= this.clock.after(tickMs, this.#tick);
      this.#begin(call as Call<unknown>, now);
    });
  }

  /** Runs what is made of several calls, one after another: closing the client waits for it as for one call, and its parts still begin. */
  async whole<T>(work: () => Promise<T>): Promise<T> {
    this.#live++;
    try {
      return await work();
    } finally {
      this.#live--;
      if (this.#live === 0) this.#whenIdle?.();
    }
  }

  /** Errors: `closed`, `aborted`. */
  check(signal: AbortSignal | undefined, part = false): void {
    if (this.#state === 'closed' || (this.#state === 'closing' && !part)) throw closed();
    if (signal?.aborted) throw new ClientError('aborted', 'the caller has stopped waiting', { cause: signal.reason });
  }

  /** Sends it now, or when a server has room. */
  place<R>(call: Call<R>): void {
    this.#place(call as Call<unknown>, this.clock.monotonic());
  }

  later<R>(call: Call<R>, waitMs: number): void {
    call.notBefore = this.clock.monotonic() + waitMs;
    this.#later.add(call as Call<unknown>);
  }

  settled<R>(call: Call<R>): void {
    this.#live--;
    if (this.#queue.size > 0 || this.#later.size > 0) {
      this.#queue.delete(call as Call<unknown>);
      this.#later.delete(call as Call<unknown>);
      this.fill();
    }
    if (this.#live > 0) return;
    this.#whenIdle?.();
  }

  /** A server may have room: those who wait are sent, in order. */
  fill(): void {
    if (this.#placing || this.#queue.size === 0) return;
    this.#placing = true;
    const now = this.clock.monotonic();
    for (const call of this.#queue) {
      const connection = this.#pool.pick(call.tried);
      if (connection !== undefined) {
        this.#queue.delete(call);
        call.send(connection, now);
      } else if (!this.#pool.isOpen) {
        break;
      } else if (!this.#pool.has(call.tried)) {
        this.#queue.delete(call);
        call.pause();
      } else if (this.#pool.pick(none) === undefined) {
        break;
      }
      // Otherwise it waits for a server without room, and those behind it need not.
    }
    this.#placing = false;
  }

  /** Resolves after so long, or earlier when the caller stops waiting or the client is closed. */
  pause(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#state === 'closed' || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#pauses.delete(end);
        unfollow?.();
        resolve();
      };
      const cancel = this.clock.after(waitMs, end);
      const unfollow = signal && this.aborts.follow(signal, end);
      this.#pauses.add(end);
    });
  }

  /** Lets calls finish, bounded, then ends them. */
  async close(): Promise<void> {
    this.#state = 'closing';
    if (this.#live > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.clock.after(this.limits.closeTimeoutMs, resolve);
        this.#whenIdle = () => {
          cancel();
          resolve();
        };
      });
    }
    this.#state = 'closed';
    this.#cancelTick?.();
    this.#pool.close();
    for (const end of [...this.#pauses]) end();
    for (const call of [...this.#queue, ...this.#later]) call.fail(closed());
    for (const connection of [...this.#pool.connections]) connection.destroy(closed());
  }

  /** What calls are told now that all is over; undefined: it is not. */
  get ended(): ClientError | undefined {
    return this.#state === 'closed' ? closed() : undefined;
  }

  pick(avoid: Avoid): Connection | undefined {
    return this.#pool.pick(avoid);
  }

  has(avoid: Avoid): boolean {
    return this.#pool.has(avoid);
  }

  get isOpen(): boolean {
    return this.#pool.isOpen;
  }

  draining(connection: Connection): void {
    this.#pool.draining(connection);
  }

  /** Why a call found no server. */
  nobody(): ClientError {
    if (this.#pool.isOpen) return new ClientError('timeout', 'no server had room in time');
    const { tried } = this.#pool;
    return new ClientConnectionError(
      tried.length === 0 ? 'no server is known' : `no server can be reached; tried ${namesOf(tried)}`,
      tried,
    );
  }

  /** Before the attempt after so many. */
  backoffMs(attempts: number): number {
    return Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.max(0, attempts - 1)) * (0.5 + this.#chance.random() / 2);
  }

  #begin(call: Call<unknown>, now: number): void {
    const connection = this.#next(call);
    if (connection !== undefined) call.send(connection, now);
    else if (this.#queue.size + this.#later.size < this.limits.maxQueued) this.#wait(call);
    else call.fail(new ClientError('overloaded', `${this.limits.maxQueued} calls wait for a server; this one was not begun`));
  }

  /** As `#begin`, for a call that was begun: it always has a place. */
  #place(call: Call<unknown>, now: number): void {
    const connection = this.#next(call);
    if (connection !== undefined) {
      call.send(connection, now);
      return;
    }
    this.#wait(call);
  }

  #wait(call: Call<unknown>): void {
    this.#queue.add(call);
    this.fill();
  }

  /** Who came first is served first. */
  #next(call: Call<unknown>): Connection | undefined {
    return this.#queue.size > 0 ? undefined : this.#pool.pick(call.tried);
  }

  readonly #tick = (): void => {
    this.#cancelTick = undefined;
    if (this.#live === 0) return;
    this.#cancelTick = this.clock.after(tickMs, this.#tick);
    const now = this.clock.monotonic();
    for (const connection of this.#pool.connections) connection.sweep(now);
    for (const call of this.#queue) if (now >= call.deadline) call.expired();
    for (const call of this.#later) {
      if (now < call.notBefore) continue;
      this.#later.delete(call);
      this.#place(call, now);
    }
    this.fill();
  };
}

function closed(): ClientError {
  return new ClientError('closed', 'the client is closed', { retryable: false });
}
