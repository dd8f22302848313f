/** Time as it passes, and a log that is kept. */
import type { Logger } from '../../src/ports.ts';

export { systemClock as realClock } from '../../src/app/system.ts';

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
