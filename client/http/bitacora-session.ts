/** The calls, on behalf of one session: what it reads is never older than what it wrote or read before, whichever nodes answer. */
import { looseTextOf } from '../../src/core/bytes.ts';
import type { KeyRecord, Value } from '../client.ts';
import { ClientError } from '../errors.ts';
import { refused } from '../options.ts';
import { batch } from './batches.ts';
import type { Calls } from './calls.ts';
import { history, revert } from './history.ts';
import { del, getBytes, getRecord, put } from './keys.ts';
import { countKeys, listPage } from './lists.ts';
import { lock, type Work } from './lock.ts';
import type { LockOptions } from './lock-terms.ts';
import { patient } from './moment.ts';
import { nodeReport } from './nodes.ts';
import { Seen } from './seen.ts';
import type {
  BatchOperation,
  BatchOptions,
  BatchResult,
  CallOptions,
  Condition,
  Count,
  GetOptions,
  History,
  HistoryOptions,
  ListOptions,
  Moment,
  NodeOptions,
  NodeReport,
  Page,
  PutOptions,
  ReadOptions,
  RevertOptions,
  UpdateOptions,
  WriteOptions,
  Written,
} from './types.ts';
import { type Change, update } from './update.ts';
import { type Watching, type WatchOptions, watch } from './watch.ts';

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

  /** The value as text; undefined: absent. What is not UTF-8 reads as U+FFFD. With `at`, as the other reads of a key: that of a moment. */
  async get(key: string, options: GetOptions = {}): Promise<string | undefined> {
    const bytes = await this.getBytes(key, options);
    return bytes && looseTextOf(bytes);
  }

  /** The value's bytes; undefined: absent. */
  getBytes(key: string, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    return this.#calls.call(options.at === undefined ? options : patient(options), () => getBytes(this.#seen, key, options));
  }

  /** The value with all that is known of it; undefined: absent. */
  getRecord(key: string, options: GetOptions = {}): Promise<KeyRecord | undefined> {
    return this.#calls.call(options.at === undefined ? options : patient(options), () => getRecord(this.#seen, key, options));
  }

  /** The value, parsed; undefined: absent. `T` is the caller's word, nothing is checked. Errors: `bad-request` when it is not JSON. */
  async getJson<T = unknown>(key: string, options: GetOptions = {}): Promise<T | undefined> {
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

  /**
   * The versions of a key, the newest first, as far as the log still holds them; `timeoutMs` is 20,000 unless told, as the log is read.
   * Errors: `history-compacted`, a `HistoryCompactedError`, when `since` is before what the log tells whole.
   */
  history(key: string, options: HistoryOptions = {}): Promise<History> {
    return this.#calls.call(patient(options), () => history(this.#seen, key, options));
  }

  /**
   * Makes a key what it was at a moment: the value of then is written once more, without its deadline; undefined: there was none, and the key
   * is deleted. Without a condition it depends on the key not being changed meanwhile. Errors: `version-conflict`, `history-compacted`.
   */
  revert(key: string, at: Moment, options: RevertOptions = {}): Promise<Written | undefined> {
    return this.#calls.call(patient(options), () => revert(this.#seen, key, at, options));
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

  /**
   * Every change of a key or of the keys under a prefix, in the log’s order within a partition, for `for await`: over broken connections and
   * dead nodes without gap or duplicate. Where that cannot be kept a `reset` says so, and the state follows. The next event is asked for
   * only when it is wanted. Ends with its signal, with `close`, and when the loop is left; rejects only with what waiting does not mend
   * (`bad-request`, `key-invalid`, …), and with `connection` after `patienceMs`.
   */
  watch(options: WatchOptions = {}): Watching {
    return watch(this.#calls, this.#seen, options);
  }

  /**
   * Does the work while holding a lock, and gives what it gives. Whoever else asks for the name waits meanwhile, `waitMs` at most; a holder of
   * whom nothing is heard loses it after `ttlMs`. The work is told by its `signal` when it may not be alone any more, and has a `fence` for
   * what must not be touched by those who do not know that yet. Errors: `lock-taken`, `lock-lost` (both a `LockError`), and the work’s own.
   */
  lock<T>(name: string, work: Work<T>, options: LockOptions = {}): Promise<T> {
    return lock(this.#calls, this.#seen, name, work, options);
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
