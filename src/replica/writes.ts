/**
 * Writes: checked, given an author, appended, and as a rule visible here before they are acknowledged.
 *
 * The acknowledgement means that the log has the record; waiting for this node to apply it is a courtesy, bounded, and skipped by a node
 * that is far behind. A caller's deadline ends his wait and nothing else.
 */
import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey, checkValue, type Limits } from '../core/keys.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, conditionalDeleteRecord, conditionalPutRecord, deleteRecord, putRecord } from '../core/record.ts';
import type { AtomicWrite, Chance, Clock, Log, Meter, Millis, Partition, Position, WriteOptions, Written } from '../ports.ts';
import { Appender } from './appender.ts';
import { DecidedWrites, type Known, type Proposal } from './decided-writes.ts';
import type { Decisions } from './decisions.ts';
import type { Horizon } from './horizon.ts';
import type { Waiters } from './waiters.ts';

/** How long a write that is in the log waits to be visible on this node. */
const visibleMs = 500;
const mostTogether = 1_000;

export interface WritesOptions {
  /** This node's name, as it appears in `by`. */
  readonly node: string;
  readonly limits: Limits;
  /** Wait for the log, at most. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly meter: Meter;
  readonly waiters: Waiters;
  readonly horizon: Horizon;
  readonly known: Known;
  /** The log of now; undefined while there is none. */
  readonly log: () => Log | undefined;
  readonly caughtUp: () => boolean;
  /** What a write is refused with when the log is sealed. */
  readonly sealed: () => Promise<BitacoraError>;
}

export class Writes {
  readonly #options: WritesOptions;
  /** One incarnation for as long as the process lives: a record that comes late is then known to be an old one. */
  readonly #incarnation: string;
  readonly #appender: Appender;
  readonly #decided: DecidedWrites;
  #sequence = 0;
  #draining = false;
  #inFlight = 0;
  #idle: (() => void)[] = [];

  constructor(options: WritesOptions) {
    this.#options = options;
    this.#incarnation = options.chance.uuid().slice(0, 8);
    this.#appender = new Appender(options.clock, options.meter, options.timeoutMs);
    this.#decided = new DecidedWrites({ ...options, appender: this.#appender, author: () => this.author() });
  }

  /** `node/incarnation`: what the machine calls the writer. */
  get writer(): string {
    return `${this.#options.node}/${this.#incarnation}`;
  }

  /** Those who wait to hear what became of their records. */
  get decisions(): Decisions {
    return this.#decided.decisions;
  }

  author(): Authorship {
    return { id: this.#options.chance.uuid(), by: `${this.writer}/${++this.#sequence}` };
  }

  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<Written> {
    return this.#write({ key, value, ...options }, options);
  }

  async delete(key: string, options: WriteOptions = {}): Promise<Written> {
    return this.#write({ key, value: undefined, condition: options.condition }, options);
  }

  /** All or none. Errors: as `put`, and `batch-invalid`. */
  async writeAtomic(writes: readonly AtomicWrite[], signal?: AbortSignal): Promise<readonly Written[]> {
    const keys = new Set(writes.map(({ key }) => key));
    if (writes.length === 0 || writes.length > mostTogether) throw notTogether(`it has ${writes.length} writes, not 1 to ${mostTogether}`);
    if (keys.size < writes.length) throw notTogether('it names a key twice');
    const checked = writes.map((write) => this.#checked(write));
    return this.#whileOpen(async (log) => {
      const [partition, ...others] = new Set(checked.map(({ bytes }) => partitionOf(bytes, log.identity.partitions)));
      if (others.length > 0) throw notTogether(`its keys are in ${others.length + 1} partitions; a common {tag} in each puts them in one`);
      const proposals = checked.map(({ proposal }) => proposal);
      return this.#decided.writeTogether(log, partition as Partition, proposals, signal);
    });
  }

  /** New writes are refused from now on. */
  refuse(): void {
    this.#draining = true;
  }

  /** New writes are refused; resolves when those under way have ended, which their deadlines see to. */
  async drain(): Promise<void> {
    this.refuse();
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #write(write: AtomicWrite & { readonly idempotencyKey?: string | undefined }, options: WriteOptions): Promise<Written> {
    const { bytes, proposal } = this.#checked(write, options.idempotencyKey);
    const { signal, idempotencyKey } = options;
    return this.#whileOpen((log) => {
      const partition = partitionOf(bytes, log.identity.partitions);
      const plain = write.condition === undefined && idempotencyKey === undefined;
      return plain
        ? this.#writePlain(log, partition, proposal, signal)
        : this.#decided.write(log, partition, proposal, idempotencyKey, signal);
    });
  }

  /** Errors: `key-invalid`, `value-too-large`, `bad-request`. */
  #checked(write: AtomicWrite, idempotencyKey?: string): { readonly bytes: Uint8Array; readonly proposal: Proposal } {
    const { key, value, condition, contentType, expires } = write;
    const bytes = checkKey(key, this.#options.limits);
    const more = { contentType, expires, idempotencyKey };
    const repeatable = idempotencyKey !== undefined;
    if (value === undefined) {
      const record: Proposal['record'] = (author, holds) =>
        holds === undefined
          ? deleteRecord(bytes, author, { idempotencyKey })
          : conditionalDeleteRecord(bytes, holds, author, { idempotencyKey });
      return { bytes, proposal: { key, condition, repeatable, record } };
    }
    checkValue(value, this.#options.limits);
    checkDeadline(expires);
    const record: Proposal['record'] = (author, holds) =>
      holds === undefined ? putRecord(bytes, value, author, more) : conditionalPutRecord(bytes, value, holds, author, more);
    return { bytes, proposal: { key, condition, repeatable, record } };
  }

  /** Errors: `draining`, `log-unavailable`, `log-sealed`. */
  async #whileOpen<T>(write: (log: Log) => Promise<T>): Promise<T> {
    if (this.#draining) throw new BitacoraError('draining', 'the node is going away');
    const log = this.#options.log();
    if (log === undefined) throw new BitacoraError('log-unavailable', 'this node has not reached the log yet');
    this.#inFlight++;
    try {
      return await write(log);
    } catch (error) {
      // Only here it is known where the log went.
      throw codeOf(error) === 'log-sealed' ? await this.#options.sealed() : error;
    } finally {
      if (--this.#inFlight === 0) for (const idle of this.#idle.splice(0)) idle();
    }
  }

  async #writePlain(log: Log, partition: Partition, { record }: Proposal, signal?: AbortSignal): Promise<Written> {
    // The sequence number is taken and the record handed over in one go: the log keeps the order of the calls.
    const author = this.author();
    const position = await this.#appender.append((ended) => log.append(partition, record(author, undefined), ended), signal);
    if (this.#options.caughtUp()) await this.#visible(position);
    return { position, id: author.id };
  }

  async #visible(position: Position): Promise<void> {
    try {
      await this.#options.waiters.wait(position, (giveUp) => this.#options.clock.after(visibleMs, giveUp));
    } catch (error) {
      // Too many wait already. The write is in the log, which is all that was promised.
      if (codeOf(error) !== 'overloaded') throw error;
    }
  }
}

function notTogether(why: string): BitacoraError {
  return new BitacoraError('batch-invalid', `the batch cannot be atomic: ${why}`);
}

/** Every node would skip a record whose deadline is no time, after it had been acknowledged. Errors: `bad-request`. */
function checkDeadline(expires: Millis | undefined): void {
  if (expires === undefined || (Number.isSafeInteger(expires) && expires >= 0)) return;
  throw new BitacoraError('bad-request', `the deadline ${expires} is not a time in milliseconds since the epoch`);
}
