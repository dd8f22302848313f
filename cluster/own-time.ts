/**
 * Time limits of a node that may be busy itself. A restoring node's event loop works in pieces of many milliseconds, and after each of them
 * Node runs the timers before it looks at what has come: a limit of 60 ms would be over with the answer in the socket.
 */
import type { Clock } from '../src/ports.ts';

/** A loop that was at work for more than this part of the time had little left to hear anybody. */
const busy = 0.5;

/** Runs `action` after `ms`, and after what has come until then is heard. Returns its cancellation. */
export function afterHearing(clock: Clock, ms: number, action: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const cancel = clock.after(ms, () => {
    // Behind the first look at the sockets; and once more, for an answer whose head and body came apart.
    turn = setImmediate(() => {
      turn = setImmediate(action);
    });
  });
  return () => {
    cancel();
    clearImmediate(turn);
  };
}

/** Call it when a wait begins; what it returns tells then whether this node itself was too busy since. */
export function watchOwnTime(): () => boolean {
  const before = performance.eventLoopUtilization();
  return () => performance.eventLoopUtilization(before).utilization > busy;
}
