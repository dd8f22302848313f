/**
 * A request with all its attempts.
 *
 * Invariant: a write is sent again only when it certainly had no effect (it never had a connection, or a node's answer says so), or when it
 * carries idempotency keys. What may have had an effect is never told as a failure that had none.
 */
import type { Chance, Clock } from '../../src/ports.ts';
import { ClientConnectionError, ClientError, type Tried } from '../errors.ts';
import { foreignLog } from '../session.ts';
import type { Ask } from './ask.ts';
import type { Endpoint } from './endpoint.ts';
import type { Endpoints } from './endpoints.ts';
import { exchange, Lost, type Reply } from './exchange.ts';
import { failureOf, isOfNode, nodesWordOn } from './failures.ts';
import { Malformed } from './fields.ts';
import type { HttpLimits } from './options.ts';
import type { Wait } from './wait.ts';

export interface AttemptsWorld {
  readonly endpoints: Endpoints;
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly chance: Pick<Chance, 'random'>;
}

const firstBackoffMs = 25;
const longestBackoffMs = 1_000;

interface Failed {
  readonly failure: ClientError;
  /** It may be asked again, here or elsewhere. */
  readonly again: boolean;
}

export class Attempts<R> {
  readonly #ask: Ask<R>;
  readonly #wait: Wait;
  readonly #world: AttemptsWorld;
  /** Those that may be asked. */
  readonly #candidates: readonly Endpoint[];
  /** Asked in this round, or not to be asked before this time, by the monotonic clock. */
  readonly #avoid = new Map<Endpoint, number>();
  readonly #tried: Tried[] = [];
  #rounds = 0;
  /** One attempt may have had its effect. */
  #mayHave = false;

  constructor(ask: Ask<R>, wait: Wait, world: AttemptsWorld, only?: Endpoint) {
    this.#ask = ask;
    this.#wait = wait;
    this.#world = world;
    this.#candidates = only === undefined ? world.endpoints.all : [only];
  }

  /** Errors: what the node says, `connection`, `timeout`, `aborted`, `closed`, `internal`, `unknown-outcome`. */
  async run(): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      if (this.#wait.over !== undefined) throw this.#conclude(this.#wait.over);
      // Somebody there always is: those of a round that is over may be asked again.
      const endpoint = this.#world.endpoints.pick(this.#avoid, this.#candidates) as Endpoint;
      const outcome = await this.#attempt(endpoint);
      if ('result' in outcome) return outcome.result;
      const { failure } = outcome;
      if (this.#wait.over !== undefined || !outcome.again || attempt >= this.#world.limits.attempts) throw this.#conclude(failure);
      this.#tried.push({ server: endpoint.name, reason: failure.message });
      this.#avoid.set(endpoint, this.#now + failure.retryAfterMs);
      const pauseMs = this.#pauseMs();
      // To wait longer than anybody waits tells less than what is known now.
      if (pauseMs >= this.#wait.leftMs) throw this.#conclude(failure);
      if (pauseMs > 0) await this.#nextRound(pauseMs);
    }
  }

  get #now(): number {
    return this.#world.clock.monotonic();
  }

  /** 0: there is somebody who was not asked yet. */
  #pauseMs(): number {
    if (this.#candidates.some((endpoint) => !this.#avoid.has(endpoint))) return 0;
    const askedMs = Math.min(...this.#avoid.values()) - this.#now;
    const backoffMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** this.#rounds) * (0.5 + this.#world.chance.random() / 2);
    return Math.max(backoffMs, askedMs);
  }

  async #nextRound(pauseMs: number): Promise<void> {
    this.#rounds++;
    // By the time meant, not by the time it is then: a timer may be early by a little.
    const until = this.#now + pauseMs + 1;
    await this.#wait.pause(pauseMs);
    for (const [endpoint, notBefore] of this.#avoid) if (notBefore <= until) this.#avoid.delete(endpoint);
  }

  async #attempt(endpoint: Endpoint): Promise<{ result: R } | Failed> {
    const { seen, unseen, write } = this.#ask;
    const epoch = seen?.epoch ?? 0;
    const token = unseen ? '' : (seen?.token ?? '');
    const headers = { ...this.#ask.headers, ...(token === '' ? {} : { 'Bitacora-Min-Position': token }) };
    let reply: Reply;
    try {
      reply = await exchange(endpoint, { ...this.#ask, headers }, this.#exchangeOptions(endpoint));
    } catch (error) {
      if (error instanceof Lost) return this.#lost(error, endpoint);
      throw error;
    }
    // A proxy that answers for a node that it cannot reach is of no more use than the node.
    if (isOfNode(reply)) endpoint.answered();
    else endpoint.failed();
    const foreign = isOfNode(reply) && seen?.take(header(reply, 'bitacora-position'), epoch) === false;
    const failure = failureOf(reply, write, endpoint.name, Date.now());
    if (failure?.code === 'not-found' && this.#ask.absent !== undefined && !foreign) return { result: this.#ask.absent() };
    if (failure !== undefined) return this.#refused(failure, endpoint, epoch);
    if (foreign && !write) return { failure: foreignLog(endpoint.name), again: false };
    // The write is done, and that has to be told.
    if (foreign) seen?.owe(foreignLog(endpoint.name));
    try {
      return { result: this.#ask.take(reply, endpoint.name) };
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return this.#maybe(new ClientError('internal', `${endpoint.name}: ${error.message}`, { retryable: !write, server: endpoint.name }));
    }
  }

  #exchangeOptions(endpoint: Endpoint) {
    const { clock, limits } = this.#world;
    const another = this.#candidates.some((each) => each !== endpoint && !this.#avoid.has(each));
    const moveOnMs = another ? this.#wait.timeoutMs / 3 : undefined;
    const { write, idempotent = false } = this.#ask;
    return { wait: this.#wait, clock, moveOnMs, repeatable: !write || idempotent, maxAnswerBytes: limits.maxAnswerBytes };
  }

  #lost(lost: Lost, endpoint: Endpoint): Failed {
    const { over } = this.#wait;
    const { name: server } = endpoint;
    const options = { server, cause: over ?? lost.cause ?? lost };
    if (over === undefined && lost.reason !== 'too-large') endpoint.failed();
    if (lost.sent && this.#ask.write) {
      const told = `${server}: ${lost.message}; the write may be in the log`;
      return this.#maybe(new ClientError('unknown-outcome', told, { ...options, retryable: false }));
    }
    if (over !== undefined) return { failure: over, again: false };
    if (lost.reason === 'too-large') {
      return { failure: new ClientError('internal', `${server}: ${lost.message}`, { ...options, retryable: false }), again: false };
    }
    if (lost.reason === 'slow') return { failure: new ClientError('timeout', `${server}: ${lost.message}`, options), again: true };
    return { failure: new ClientConnectionError(`${server}: ${lost.message}`, this.#tried, options), again: true };
  }

  #refused(failure: ClientError, endpoint: Endpoint, epoch: number): Failed {
    // Positions of another log mean nothing: the call after this one begins a new session.
    if (failure.code === 'position-foreign') this.#ask.seen?.forget(epoch);
    if (failure.retryAfterMs > 0) endpoint.asksForRest(failure.retryAfterMs);
    const retry = nodesWordOn(failure.code);
    if (retry === 'reads') return this.#maybe(failure);
    return { failure, again: retry === 'yes' };
  }

  /** What a read may be asked again after, and a write may have done. */
  #maybe(failure: ClientError): Failed {
    const { write, idempotent = false } = this.#ask;
    this.#mayHave ||= write;
    return { failure, again: !write || idempotent };
  }

  /** What the caller is told in the end. */
  #conclude(failure: ClientError): ClientError {
    const { code, server, retryAfterMs } = failure;
    if (this.#mayHave) {
      // The log’s own decision on one of the attempts is that on all of them.
      if (code === 'version-conflict' || code === 'unknown-outcome') return failure;
      const told = `${failure.message}; the write was sent and may be in the log`;
      return new ClientError('unknown-outcome', told, { retryable: false, server, retryAfterMs, cause: failure });
    }
    if (code === 'timeout' && this.#tried.length > 0) {
      const reasons = this.#tried.map(({ reason }) => reason).join(', ');
      return new ClientError('timeout', `${failure.message}; before: ${reasons}`, { server, cause: failure.cause });
    }
    if (code !== 'connection') return failure;
    const tried = [...this.#tried, { server: server ?? '', reason: failure.message }];
    const last = [...new Map(tried.map((each) => [each.server, each])).values()];
    const message = `no node can be reached; tried ${last.map(({ reason }) => reason).join(', ')}`;
    return new ClientConnectionError(message, last, { server, cause: failure.cause });
  }
}

function header(reply: Reply, name: string): string | undefined {
  const value = reply.headers[name];
  return typeof value === 'string' ? value : undefined;
}
