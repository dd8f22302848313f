/** Time as it passes, and a log that is kept. */
import type { Clock, Logger, Millis } from '../../src/ports.ts';

export const realClock: Clock = {
  now: () => Date.now() as Millis,
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export interface KeptLog extends Logger {
  readonly events: string[];
}

export function createKeptLog(): KeptLog {
  const events: string[] = [];
  const keep = (fields: object): void => {
    events.push(String((fields as { event?: unknown }).event));
  };
  return { events, debug: keep, info: keep, warn: keep, error: keep };
}
