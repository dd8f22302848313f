/** Who waits for the answers of a connection. When he is gone his waits end; what was sent to the log is not undone. */
import { setMaxListeners } from 'node:events';
import { BitacoraError } from '../../src/core/errors.ts';

export class Caller {
  #gone: AbortController | undefined;
  #left: BitacoraError | undefined;
  readonly #writes = new Set<AbortController>();
  #reads = 0;

  /** Reads and writes that he waits for. */
  get waits(): number {
    return this.#writes.size + this.#reads;
  }

  /** Runs a read. Its signal is aborted when the connection is gone, and shared by all reads of the connection. */
  async read<T>(read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#reads++;
    try {
      return await read(this.#signal());
    } finally {
      this.#reads--;
    }
  }

  #signal(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      // One for each read under way, which are bounded.
      setMaxListeners(0, this.#gone.signal);
      if (this.#left !== undefined) this.#gone.abort(this.#left);
    }
    return this.#gone.signal;
  }

  /**
   * Runs a write with the caller's patience. Errors: those of the write; `unknown-outcome` when the wait was ended and the write did not
   * say more: what was sent may be in the log.
   */
  async write<T>(limitMs: number, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const late = () => new BitacoraError('unknown-outcome', `the log has not confirmed the write within ${limitMs} ms; it may yet`);
    const timer = setTimeout(() => controller.abort(late()), limitMs);
    this.#writes.add(controller);
    if (this.#left !== undefined) controller.abort(this.#left);
    try {
      return await write(controller.signal);
    } catch (error) {
      if (error instanceof BitacoraError) throw error;
      // An AbortError, or the signal's own reason, from below: it says nothing about the log.
      throw controller.signal.aborted ? late() : error;
    } finally {
      clearTimeout(timer);
      this.#writes.delete(controller);
    }
  }

  /** The connection is gone. Idempotent. */
  leave(): void {
    if (this.#left !== undefined) return;
    this.#left = new BitacoraError('closed', 'the caller is gone');
    this.#gone?.abort(this.#left);
    for (const write of this.#writes) write.abort(this.#left);
  }
}
