/**
 * The LevelDB handle of an embedded log, and its resurrection.
 *
 * After one failed write (a full disk) LevelDB refuses every other on that handle, however much room there is again, so the handle is
 * closed and opened anew, with growing pauses, until that succeeds or the log is closed. What a batch came to is decided by what is then
 * found: opening writes what it recovers from LevelDB's own log into a table and syncs it, so what is seen afterwards is durable.
 */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Clock, Logger, LogState } from '../../../src/ports.ts';
import type { Level } from '../../level.ts';
import { within } from '../queue-shared.ts';

export interface DiskOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** First and longest pause between two attempts to open again. */
  readonly reopenMinMs: number;
  readonly reopenMaxMs: number;
  reopen(): Promise<Level>;
  /** Reads what memory knows of the disk; called before the log is connected again. */
  reload(level: Level): Promise<void>;
  /** The state has changed. */
  changed(): void;
}

export class Disk {
  readonly #options: DiskOptions;
  #level: Level;
  #state: LogState = 'connected';
  #generation = 0;
  #reopening: Promise<void> | undefined;
  /** Ends the pause between two attempts early. */
  #hurry: (() => void) | undefined;

  constructor(level: Level, options: DiskOptions) {
    this.#level = level;
    this.#options = options;
  }

  get state(): LogState {
    return this.#state;
  }

  /** Another number after every reopening. */
  get generation(): number {
    return this.#generation;
  }

  /** The open database. Errors: `log-unavailable`, `closed`. */
  get level(): Level {
    if (this.#state === 'closed') throw new BitacoraError('closed', 'the log is closed');
    if (this.#state === 'disconnected')
      throw new BitacoraError('log-unavailable', 'the disk took no writes; the log is being opened again');
    return this.#level;
  }

  /** A write has failed: from here on the handle is worth nothing. */
  fail(error: unknown): void {
    if (this.#state !== 'connected') return;
    this.#state = 'disconnected';
    this.#options.logger.error(
      { event: 'log.embedded.write-failed', error: String(error) },
      'the disk did not take a write; opening the log again',
    );
    this.#options.changed();
    this.#reopening = this.#reopen();
  }

  /** Waits until the log is open again; false when that takes longer, or the log was closed. */
  async recovered(timeoutMs: number): Promise<boolean> {
    if (this.#reopening !== undefined) await within(this.#reopening, this.#options.clock, timeoutMs);
    return this.#state === 'connected';
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#hurry?.();
    await this.#reopening;
    await this.#level.close();
  }

  async #reopen(): Promise<void> {
    const { reopenMinMs, reopenMaxMs, logger } = this.#options;
    for (let pauseMs = reopenMinMs; this.#state === 'disconnected'; pauseMs = Math.min(pauseMs * 2, reopenMaxMs)) {
      try {
        await this.#attempt();
        return;
      } catch (error) {
        logger.warn({ event: 'log.embedded.reopen-failed', error: String(error), pauseMs }, 'the log cannot be opened yet');
        await this.#pause(pauseMs);
      }
    }
  }

  async #attempt(): Promise<void> {
    await this.#level.close();
    const level = await this.#options.reopen();
    this.#level = level;
    await this.#options.reload(level);
    if (this.#state !== 'disconnected') return;
    this.#reopening = undefined;
    this.#generation += 1;
    this.#state = 'connected';
    this.#options.logger.info({ event: 'log.embedded.reopened' }, 'the log is open again');
    this.#options.changed();
  }

  #pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(pauseMs, resolve);
      this.#hurry = () => {
        cancel();
        resolve();
      };
    });
  }
}
