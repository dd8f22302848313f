/** Signals that end the wait of a caller who went away, or whose time is over. They never undo what was sent. */
import type { ServerResponse } from 'node:http';
import { BitacoraError } from '../../src/core/errors.ts';

/** Aborted when the client closes its connection before it was answered. */
export function goneSignal(response: ServerResponse): AbortSignal {
  return abortOnGone(response).signal;
}

function abortOnGone(response: ServerResponse): AbortController {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new BitacoraError('closed', 'the caller is gone'));
  });
  return controller;
}

/**
 * Runs a write with the caller's patience. Errors: those of the write; `unknown-outcome` when the wait was ended and the write did not
 * say more: what was sent may be in the log.
 */
export async function withDeadline<T>(response: ServerResponse, limitMs: number, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = abortOnGone(response);
  const late = new BitacoraError('unknown-outcome', `the log has not confirmed the write within ${limitMs} ms; it may yet`);
  const timer = setTimeout(() => controller.abort(late), limitMs);
  try {
    return await write(controller.signal);
  } catch (error) {
    if (error instanceof BitacoraError) throw error;
    // An AbortError, or the signal's own reason, from below: it says nothing about the log.
    throw controller.signal.aborted ? late : error;
  } finally {
    clearTimeout(timer);
  }
}
