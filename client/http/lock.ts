/**
 * A mutex by name: a key with a time to live, written only if it is absent.
 *
 * What it promises: at most one holder at a time, as the log sees it, and each holder's fence is larger than that of all before. What no
 * lock with a time to live can promise: that a holder who was paused, or whose clock runs wrong, knows at once that he has lost it. What must
 * not be touched twice has to look at the fence.
 */
import { parsePosition } from '../../src/core/position.ts';
import { ClientError } from '../errors.ts';
import { type Calls, closed } from './calls.ts';
import { acquire } from './lock-acquire.ts';
import { Lease } from './lock-lease.ts';
import { type Claim, LockRequests } from './lock-requests.ts';
import { type Held, LockError, type LockOptions, termsOf } from './lock-terms.ts';
import type { Seen } from './seen.ts';

/** The work under a lock. It should end soon when its signal is aborted: the lock is waited for no longer than the work lets it. */
export type Work<T> = (held: Held) => T | Promise<T>;

/** Errors: `lock-taken`, `lock-lost`, `aborted`, `closed`, those of conditional writes; what the work throws. */
export function lock<T>(calls: Calls, seen: Seen, name: string, work: Work<T>, options: LockOptions): Promise<T> {
  return calls.lasting(async (whole) => {
    const requests = new LockRequests(calls, seen, termsOf(name, options));
    const claim = await acquire(requests, seen, whole);
    const lease = new Lease(requests, claim, whole);
    const letGo = endings(calls, lease, options.signal);
    let result: T;
    try {
      // What holders before have written is not older than this, and so the work reads nothing from before it.
      await requests.catchUp(whole);
      if (lease.signal.aborted) throw stopped(lease.signal.reason);
      result = await work({ signal: lease.signal, fence: fenceOf(claim), key: requests.terms.key });
    } catch (error) {
      const lost = await lease.end();
      throw lost === undefined || lost === error ? error : new LockError(lost.code, lost.key, lost.message, { cause: error });
    } finally {
      letGo();
    }
    const lost = await lease.end();
    if (lost !== undefined) throw lost;
    return result;
  });
}

function endings(calls: Calls, lease: Lease, signal: AbortSignal | undefined): () => void {
  const unfollow = [calls.whenClosing(() => lease.stop(closed()))];
  if (signal !== undefined) unfollow.push(calls.whenAborted(signal, () => lease.stop(signal.reason)));
  return () => {
    for (const each of unfollow) each();
  };
}

function stopped(reason: unknown): Error {
  return reason instanceof ClientError ? reason : new ClientError('aborted', 'the caller has stopped waiting', { cause: reason });
}

function fenceOf({ version }: Claim): number {
  const position = parsePosition(version);
  if (position === undefined) throw new ClientError('internal', 'a version that is no place in the log', { retryable: false });
  return position.offset;
}
