/** The node of one of the two logs: what it is asked beside keys, patiently. */
import { setTimeout as pause } from 'node:timers/promises';
import { ClientConnectionError, ClientError, retryOf } from '../../client/errors.ts';
import { exportPages } from '../../client/http/exports.ts';
import { type ExportItem, itemOf } from '../../wire/export-reader.ts';
import { bytesOf } from '../core/bytes.ts';
import { logOf, parseToken } from '../core/position.ts';
import { MoveConflict } from './move-log-state.ts';
import { callNode, type NodeAnswer } from './node-call.ts';

const pauseMs = 200;
/** Sealing tries every partition, for up to 30 s, and waits until what was on its way is settled; a broker may take its time. */
const longestCallMs = 90_000;

/** A node's own word on itself, as far as a move needs it. */
export interface NodeWord {
  readonly node: string;
  readonly ready: boolean;
  readonly genesis: string | null;
  readonly applied: string;
  readonly sealed?: boolean;
  readonly limits: { readonly batch_bytes: number };
  readonly supports: readonly string[];
}

export interface SealWord {
  readonly to: string | null;
  /** The last record of every partition, as a token. */
  readonly position: string;
}

/** The keys of a log, as one node lists them. */
export interface Listed {
  readonly items: AsyncIterable<ExportItem>;
  /** Known once the first item, or the end, has come: everything up to here is in the items; newer writes may be. */
  readonly position: () => string;
}

export class MoveNode {
  readonly url: string;
  readonly #timeoutMs: number;
  #aheadMs = 0;

  /** `timeoutMs`: how long nothing may move. */
  constructor(url: string, timeoutMs: number) {
    this.url = /^https?:\/\//.test(url) ? url : `http://${url}`;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * By how much this machine's clock is certainly ahead of the node's, or below 0 behind it, by the last answer, in ms. Nodes tell whole
   * seconds, and an answer takes its time: within that, 0.
   */
  get aheadMs(): number {
    return this.#aheadMs;
  }

  /** `patient`: also when nobody listens yet. Errors: as `ask`. */
  async word(patient = true): Promise<NodeWord> {
    return (await this.#ask('GET', '/v1/node', patient)) as NodeWord;
  }

  /** Of its log, also when it makes its state anew and knows its log only in a while. Errors: as `ask`, `timeout`. */
  async genesis(): Promise<string> {
    for (const until = performance.now() + this.#timeoutMs; ; await pause(pauseMs)) {
      const { genesis } = await this.word();
      if (genesis !== null) return genesis;
      if (performance.now() > until) throw new ClientError('timeout', `${this.url} does not know its log`, { server: this.url });
    }
  }

  /** Closes its log to writes; repeating it tells the end anew. Errors: as `ask`. */
  async seal(to: string): Promise<SealWord> {
    return (await this.#ask('POST', `/v1/seal?to=${encodeURIComponent(to)}`)) as SealWord;
  }

  async unseal(): Promise<void> {
    await this.#ask('DELETE', '/v1/seal', false);
  }

  /** How many keys it holds, up to `limit`. */
  async keys(limit: number): Promise<number> {
    const body = (await this.#ask('GET', `/v1/kv?limit=${limit}&consistency=latest`)) as { readonly items: readonly unknown[] };
    return body.items.length;
  }

  /** What changed since a position, as soon as there is something, and where that ends; `reset`: it cannot be told. */
  async changes(from: string, waitMs: number): Promise<{ readonly events: readonly Record<string, unknown>[]; readonly position: string }> {
    const asked = `/v1/watch?prefix=&from=${encodeURIComponent(from)}&wait=${waitMs}ms`;
    return (await this.#ask('GET', asked)) as { events: Record<string, unknown>[]; position: string };
  }

  /**
   * All keys in the byte order of their names. `seen`: at least as new as this; empty: as the end of the log. Errors: those of an export;
   * `MoveConflict` when it is of another log than the one of that genesis.
   */
  list(genesis: string, seen = ''): Listed {
    const { url } = this;
    let position = '';
    const options = { endpoints: [this.url], ...(seen === '' ? {} : { position: seen }) };
    const pages = exportPages(options, { consistency: 'latest', timeoutMs: this.#timeoutMs, reachMs: this.#timeoutMs });
    const items = (async function* () {
      for await (const { lines } of ofOneLog(pages, url)) {
        for (const line of lines) {
          const item = itemOf(bytesOf(line));
          if (item !== undefined) {
            yield item;
            continue;
          }
          const told = (JSON.parse(line) as { position?: string }).position ?? '';
          const log = parseToken(told)?.log;
          if (log !== undefined && log !== logOf(genesis)) throw otherLog(url);
          if (position === '') position = told;
        }
      }
    })();
    return { items, position: () => position };
  }

  /**
   * The JSON of an answer. What may help is asked again, until the time is over. Errors: what the node says, `connection`,
   * `MoveConflict` when the node is of another log than the position that it was shown.
   */
  async #ask(method: 'GET' | 'POST' | 'DELETE', path: string, patient = true): Promise<unknown> {
    for (const until = performance.now() + this.#timeoutMs; ; await pause(pauseMs)) {
      const failure = await this.#attempt(method, path);
      if ('body' in failure) return failure.body;
      const { error } = failure;
      if (isForeign(error)) throw otherLog(this.url);
      if (!patient || retryOf(error.code) === 'no' || performance.now() > until) throw error;
    }
  }

  async #attempt(method: 'GET' | 'POST' | 'DELETE', path: string): Promise<{ readonly body: unknown } | { readonly error: ClientError }> {
    let answer: NodeAnswer;
    const askedAt = Date.now();
    try {
      answer = await callNode(this.url, method, path, longestCallMs);
    } catch (cause) {
      return { error: new ClientConnectionError(`${this.url}: ${(cause as Error).message}`, [], { server: this.url, cause }) };
    }
    const { status, body, date } = answer;
    if (askedAt > date + 1_000) this.#aheadMs = askedAt - date - 1_000;
    else this.#aheadMs = Math.min(0, Date.now() - date) || 0;
    if (status < 300) return { body };
    const { code = 'internal', detail = `it answered ${status}` } = (body ?? {}) as { code?: string; detail?: string };
    return { error: new ClientError(code, `${this.url}: ${detail}`, { server: this.url }) };
  }
}

/** A node that is shown a position of the log that it was of says so. */
const isForeign = (error: unknown): boolean => error instanceof ClientError && error.code === 'position-foreign';

/** Errors: `MoveConflict` in the place of the node's word that it is of another log. */
async function* ofOneLog<T>(pages: AsyncIterable<T>, url: string): AsyncGenerator<T, void, undefined> {
  try {
    yield* pages;
  } catch (error) {
    throw isForeign(error) ? otherLog(url) : error;
  }
}

/** Its node has got another log while it was moved. */
export function otherLog(url: string): MoveConflict {
  const wayOut = 'nothing was deleted for it. If the old log is sealed, `bitacora move-log --undo` opens it again';
  return new MoveConflict(`the log of ${url} was replaced by another one while it was moved; ${wayOut}`);
}
