/**
 * Time and chance for a client. Unlike a node's, its timers hold the process: a program that awaits a call must not end because the call
 * is waiting for a server and no socket is open. After `close()` no timer is left.
 */
import type { Chance, Clock, Millis } from '../src/ports.ts';

export const clientClock: Clock = {
  now: () => Date.now() as Millis,
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};

/** For what has sockets of its own to hold the process: its timers do not. */
export const quietClock: Clock = {
  ...clientClock,
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export const clientChance: Pick<Chance, 'random'> = { random: () => Math.random() };
