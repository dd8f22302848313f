/** Signals that end the wait of a caller who went away, or whose time is over. They never undo what was sent. */
import { setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';

/** Aborted when the client closes its connection before it was answered. One for a request: each call listens. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new BitacoraError('closed', 'the caller is gone'));
  });
  return manyMayListen(controller.signal);
}

/** A signal that a request shares with all that is under way for it: their number is bounded where they are begun, and Node need not warn. */
export function manyMayListen(signal: AbortSignal): AbortSignal {
  setMaxListeners(0, signal);
  return signal;
}

/**
 * Runs a write with the caller's patience. Errors: those of the write; `unknown-outcome` when the wait was ended and the write did not
 * say more: what was sent may be in the log.
 */
export function withDeadline<T>(response: ServerResponse, limitMs: number, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return bounded(goneSignal(response), limitMs, write);
}

/** As `withDeadline`, for a request of many writes: they share the signal of its caller. */
export async function bounded<T>(gone: AbortSignal, limitMs: number, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const late = new BitacoraError('unknown-outcome', `the log has not confirmed the write within ${limitMs} ms; it may yet`);
  const timer = setTimeout(() => controller.abort(late), limitMs);
  const leave = (): void => controller.abort(gone.reason);
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();
  try {
    return await write(controller.signal);
  } catch (error) {
    if (error instanceof BitacoraError) throw error;
    // An AbortError, or the signal's own reason, from below: it says nothing about the log.
    throw controller.signal.aborted ? late : error;
  } finally {
    clearTimeout(timer);
    gone.removeEventListener('abort', leave);
  }
}
