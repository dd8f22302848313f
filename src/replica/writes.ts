/**
 * Writes: checked, given an author, appended, and as a rule visible here before they are acknowledged.
 *
 * The acknowledgement means that the log has the record; waiting for this node to apply it is a courtesy, bounded, and skipped by a node
 * that is far behind. A caller's deadline ends his wait and nothing else.
 */
import { BitacoraError, codeOf } from '../core/errors.ts';
import { checkKey, checkValue, type Limits } from '../core/keys.ts';
import { partitionOf } from '../core/partitioner.ts';
import { type Authorship, deleteRecord, putRecord } from '../core/record.ts';
import type { Chance, Clock, Log, Meter, Millis, NewRecord, Position, WriteOptions, Written } from '../ports.ts';
import type { Waiters } from './waiters.ts';

/** How long a write that is in the log waits to be visible on this node. */
const visibleMs = 500;

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
  /** The log of now; undefined while there is none. */
  readonly log: () => Log | undefined;
  readonly caughtUp: () => boolean;
}

export class Writes {
  readonly #options: WritesOptions;
  /** One incarnation for as long as the process lives: a record that comes late is then known to be an old one. */
  readonly #incarnation: string;
  #sequence = 0;
  #draining = false;
  #inFlight = 0;
  #idle: (() => void)[] = [];

  constructor(options: WritesOptions) {
    this.#options = options;
    this.#incarnation = options.chance.uuid().slice(0, 8);
  }

  /** `node/incarnation`: what the machine calls the writer. */
  get writer(): string {
    return `${this.#options.node}/${this.#incarnation}`;
  }

  author(): Authorship {
    return { id: this.#options.chance.uuid(), by: `${this.writer}/${++this.#sequence}` };
  }

  async put(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<Written> {
    const bytes = checkKey(key, this.#options.limits);
    checkValue(value, this.#options.limits);
    checkDeadline(options.expires);
    return this.#write(bytes, (author) => putRecord(bytes, value, author, options), options.signal);
  }

  async delete(key: string, options: WriteOptions = {}): Promise<Written> {
    const bytes = checkKey(key, this.#options.limits);
    return this.#write(bytes, (author) => deleteRecord(bytes, author), options.signal);
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

  async #write(key: Uint8Array, record: (author: Authorship) => NewRecord, signal?: AbortSignal): Promise<Written> {
    if (this.#draining) throw new BitacoraError('draining', 'the node is going away');
    const log = this.#options.log();
    if (log === undefined) throw new BitacoraError('log-unavailable', 'this node has not reached the log yet');
    this.#inFlight++;
    try {
      // The sequence number is taken and the record handed over in one go: the log keeps the order of the calls.
      const author = this.author();
      const position = await this.#append(log, partitionOf(key, log.identity.partitions), record(author), signal);
      if (this.#options.caughtUp()) await this.#visible(position);
      return { position, id: author.id };
    } finally {
      if (--this.#inFlight === 0) for (const idle of this.#idle.splice(0)) idle();
    }
  }

  async #append(log: Log, partition: Position['partition'], record: NewRecord, signal?: AbortSignal): Promise<Position> {
    const { clock, meter, timeoutMs } = this.#options;
    const deadline = new AbortController();
    const stop = () => deadline.abort();
    const cancel = clock.after(timeoutMs, stop);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const began = clock.monotonic();
    const seconds = () => (clock.monotonic() - began) / 1_000;
    try {
      const position = await log.append(partition, record, deadline.signal);
      meter.appended(seconds(), 'ok');
      return position;
    } catch (error) {
      const code = codeOf(error);
      meter.appended(
        seconds(),
        code === 'unknown-outcome' ? 'unknown' : code === 'log-unavailable' || code === 'closed' ? 'unavailable' : 'refused',
      );
      // A log that was just closed under us is replaced; nothing was sent.
      if (code === 'closed') throw new BitacoraError('log-unavailable', 'the log is being opened anew', { cause: error });
      throw error;
    } finally {
      cancel();
      signal?.removeEventListener('abort', stop);
    }
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

/** Every node would skip a record whose deadline is no time, after it had been acknowledged. Errors: `bad-request`. */
function checkDeadline(expires: Millis | undefined): void {
  if (expires === undefined || (Number.isSafeInteger(expires) && expires >= 0)) return;
  throw new BitacoraError('bad-request', `the deadline ${expires} is not a time in milliseconds since the epoch`);
}
