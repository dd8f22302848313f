/** Appends with a deadline, metered. The deadline ends the caller's wait and nothing else. */
import { BitacoraError, codeOf } from '../core/errors.ts';
import type { Clock, Meter, Position } from '../ports.ts';

export class Appender {
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #timeoutMs: number;

  constructor(clock: Clock, meter: Meter, timeoutMs: number) {
    this.#clock = clock;
    this.#meter = meter;
    this.#timeoutMs = timeoutMs;
  }

  /** Errors: those of `Log.append`; `log-unavailable` also when the log was closed under us. */
  async append(append: (signal: AbortSignal) => Promise<Position>, signal?: AbortSignal): Promise<Position> {
    const deadline = new AbortController();
    const stop = () => deadline.abort();
    const cancel = this.#clock.after(this.#timeoutMs, stop);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const began = this.#clock.monotonic();
    const seconds = () => (this.#clock.monotonic() - began) / 1_000;
    try {
      const position = await append(deadline.signal);
      this.#meter.appended(seconds(), 'ok');
      return position;
    } catch (error) {
      const code = codeOf(error);
      const unavailable = code === 'log-unavailable' || code === 'closed';
      this.#meter.appended(seconds(), code === 'unknown-outcome' ? 'unknown' : unavailable ? 'unavailable' : 'refused');
      // It is replaced; nothing was sent.
      if (code === 'closed') throw new BitacoraError('log-unavailable', 'the log is being opened anew', { cause: error });
      throw error;
    } finally {
      cancel();
      signal?.removeEventListener('abort', stop);
    }
  }
}
