/** A moment of the past as callers name it: a place in the log, a time, or how long ago. */
import { BitacoraError } from '../../../src/core/errors.ts';
import { parsePosition } from '../../../src/core/position.ts';
import type { Millis, Moment, Position } from '../../../src/ports.ts';
import { durationMs, timeOf } from './deadline.ts';

/** `0:17`, `2026-11-21T15:00:00Z`, milliseconds since 1970, or `24h` before `now`. Errors: `bad-request`, naming the parameter. */
export function momentOf(text: string, name: string, now: number): Moment {
  const position = parsePosition(text);
  if (position !== undefined) return position;
  // With its unit: without one it is a time.
  if (/^\d+[a-z]+$/.test(text)) return Math.max(0, now - durationMs(text, name)) as Millis;
  const time = timeOf(text);
  if (time === undefined) {
    throw new BitacoraError(
      'bad-request',
      `${name} is a place in the log (0:17), a time (milliseconds since 1970, or ISO 8601 with its zone; a + in a URL is %2B), or how long ago (24h)`,
    );
  }
  return time as Millis;
}

/** A place alone. Errors: `bad-request`, naming the parameter. */
export function placeOf(text: string, name: string): Position {
  const position = parsePosition(text);
  if (position === undefined) throw new BitacoraError('bad-request', `${name} is no place in the log: it looks like 0:17`);
  return position;
}
