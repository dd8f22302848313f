/**
 * A request with all its attempts.
 *
 * Invariant: a write is sent again only when it certainly had no effect (it never had a connection, or a node's answer says so), or when it
 * carries idempotency keys. What may have had an effect is never told as a failure that had none.
 */
import { ClientConnectionError, ClientError, type Tried } from '../errors.ts';
import { foreignLog } from '../session.ts';
import type { Ask } from './ask.ts';
import type { Endpoint } from './endpoint.ts';
import { exchange, Lost, type Reply } from './exchange.ts';
import { failureOf, isOfNode, nodesWordOn } from './failures.ts';
import { Malformed } from './fields.ts';
import type { HttpLimits } from './options.ts';
import { Rounds, type RoundsWorld } from './rounds.ts';
import type { Wait } from './wait.ts';

export interface AttemptsWorld extends RoundsWorld {
  readonly limits: HttpLimits;
}

const longestPauseMs = 1_000;

interface Failed {
  readonly failure: ClientError;
  /** It may be asked again, here or elsewhere. */
  readonly again: boolean;
}

export class Attempts<R> {
  readonly #ask: Ask<R>;
  readonly #wait: Wait;
  readonly #world: AttemptsWorld;
  readonly #rounds: Rounds;
  readonly #tried: Tried[] = [];
  /** One attempt may have had its effect. */
  #mayHave = false;

  constructor(ask: Ask<R>, wait: Wait, world: AttemptsWorld, only?: Endpoint) {
    this.#ask = ask;
    this.#wait = wait;
    this.#world = world;
    const candidates = only === undefined ? world.endpoints.all : [only];
    this.#rounds = new Rounds(world, { candidates, load: 'inFlight', longestPauseMs });
  }

  /** Errors: what the node says, `connection`, `timeout`, `aborted`, `closed`, `internal`, `unknown-outcome`. */
  async run(): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      if (this.#wait.over !== undefined) throw this.#conclude(this.#wait.over);
      const endpoint = this.#rounds.pick();
      const outcome = await this.#attempt(endpoint);
      if ('result' in outcome) return outcome.result;
      const { failure } = outcome;
      if (this.#wait.over !== undefined || !outcome.again || attempt >= this.#world.limits.attempts) throw this.#conclude(failure);
      this.#tried.push({ server: endpoint.name, reason: failure.message });
      this.#rounds.asked(endpoint, failure.retryAfterMs);
      const pauseMs = this.#rounds.pauseMs();
      // To wait longer than anybody waits tells less than what is known now.
      if (pauseMs >= this.#wait.leftMs) throw this.#conclude(failure);
      if (pauseMs > 0) await this.#rounds.next(pauseMs, this.#wait);
    }
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
    const moveOnMs = this.#rounds.hasAnother(endpoint) ? this.#wait.timeoutMs / 3 : undefined;
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
