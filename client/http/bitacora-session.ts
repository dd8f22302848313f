/** The calls, on behalf of one session: what it reads is never older than what it wrote or read before, whichever nodes answer. */
import { looseTextOf } from '../../src/core/bytes.ts';
import type { KeyRecord, Value } from '../client.ts';
import { ClientError } from '../errors.ts';
import { refused } from '../options.ts';
import { batch } from './batches.ts';
import type { Calls } from './calls.ts';
import { del, getBytes, getRecord, put } from './keys.ts';
import { countKeys, listPage } from './lists.ts';
import { nodeReport } from './nodes.ts';
import { Seen } from './seen.ts';
import type {
  BatchOperation,
  BatchOptions,
  BatchResult,
  CallOptions,
  Condition,
  Count,
  ListOptions,
  NodeOptions,
  NodeReport,
  Page,
  PutOptions,
  ReadOptions,
  UpdateOptions,
  WriteOptions,
  Written,
} from './types.ts';
import { type Change, update } from './update.ts';

/**
 * Every call rejects with a `ClientError`. All of them: `bad-request` and `key-invalid` (what was asked makes no sense), `connection`,
 * `timeout`, `aborted`, `overloaded`, `closed`, `internal`, and what the nodes say; `position-foreign` once, when the log is another one
 * than before. Writes also: `version-conflict` (a `VersionConflictError`), and `unknown-outcome` (sent, and may or may not be in the log).
 */
export class BitacoraSession {
  readonly #calls: Calls;
  readonly #seen = new Seen();

  /** Made by `Bitacora`. Errors: `bad-request` for what is no position. */
  constructor(calls: Calls, position = '') {
    this.#calls = calls;
    this.observe(position);
  }

  /** The value as text; undefined: absent. What is not UTF-8 reads as U+FFFD. */
  async get(key: string, options: ReadOptions = {}): Promise<string | undefined> {
    const bytes = await this.getBytes(key, options);
    return bytes && looseTextOf(bytes);
  }

  /** The value's bytes; undefined: absent. */
  getBytes(key: string, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    return this.#calls.call(options, () => getBytes(this.#seen, key, options));
  }

  /** The value with all that is known of it; undefined: absent. */
  getRecord(key: string, options: ReadOptions = {}): Promise<KeyRecord | undefined> {
    return this.#calls.call(options, () => getRecord(this.#seen, key, options));
  }

  /** The value, parsed; undefined: absent. `T` is the caller's word, nothing is checked. Errors: `bad-request` when it is not JSON. */
  async getJson<T = unknown>(key: string, options: ReadOptions = {}): Promise<T | undefined> {
    const text = await this.get(key, options);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as T;
    } catch {
      // The parser's own words may hold parts of the value.
      throw new ClientError('bad-request', `the value of ${JSON.stringify(key)} is not JSON`, { retryable: false });
    }
  }

  /** Resolves when the log has it, and as a rule when the node that took it serves it. */
  put(key: string, value: Value, options: PutOptions = {}): Promise<Written> {
    return this.#calls.call(options, () => put(this.#seen, key, value, options));
  }

  /** Resolves when the log has it; deleting what is not there is a write too. */
  del(key: string, options: WriteOptions = {}): Promise<void> {
    return this.#calls.call(options, () => del(this.#seen, key, options));
  }

  /** Writes only if the key is at this version; undefined: only if it is absent. Errors: `version-conflict` with `current`. */
  cas(key: string, version: string | undefined, value: Value, options: Omit<PutOptions, keyof Condition> = {}): Promise<Written> {
    const condition = { ifVersion: version, ifAbsent: version === undefined, ifPresent: false };
    return this.put(key, value, { ...options, ...condition });
  }

  /**
   * Reads the key, writes what `change` makes of it, and begins anew when somebody else has written meanwhile, at most `tries` times and
   * within `timeoutMs` for all. Undefined: `change` wanted nothing written. The content type is kept, a deadline is not.
   */
  update(key: string, change: Change, options: UpdateOptions = {}): Promise<Written | undefined> {
    return update(this.#calls, this.#seen, key, change, options);
  }

  /**
   * Page by page, each asked for when it is wanted; `timeoutMs` is for each. No snapshot: a key that is written meanwhile is there or not,
   * one that was there all the time is there once.
   */
  async *list(options: ListOptions = {}): AsyncGenerator<Page, void, undefined> {
    let { cursor } = options;
    do {
      const from = cursor;
      const page = await this.#calls.call(options, () => listPage(this.#seen, { ...options, cursor: from }));
      yield page;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /** How many keys begin with the prefix. */
  count(prefix = '', options: ReadOptions = {}): Promise<Count> {
    return this.#calls.call(options, () => countKeys(this.#seen, prefix, options));
  }

  /**
   * Up to 1,000 operations in one request, one result each, in their order. Operations on one key are done in their order, others side by
   * side. With `atomic` all or none, and then a failure is that of the whole call.
   */
  batch(operations: readonly BatchOperation[], options: BatchOptions = {}): Promise<readonly BatchResult[]> {
    return this.#calls.call(options, () => batch(this.#seen, operations, options));
  }

  /** What a node says of itself, in every state: the one asked for, or any. */
  async node(options: NodeOptions = {}): Promise<NodeReport> {
    const { endpoint } = options;
    const only = this.#calls.world.endpoints.all.find(({ name }) => name === endpoint);
    if (endpoint !== undefined && only === undefined) throw refused('endpoint must be one of the client’s endpoints');
    return this.#calls.call<NodeReport>(options satisfies CallOptions, nodeReport, only);
  }

  /** All that this session has seen, as text for `session(position)`, another process, or the header `Bitacora-Min-Position`; empty: nothing yet. */
  get position(): string {
    return this.#seen.token;
  }

  /** Takes over what another session has seen: later reads are not older. Errors: `bad-request`, `position-foreign`. */
  observe(position: string): void {
    if (position !== '') this.#seen.observe(position);
  }
}
