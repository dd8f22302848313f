/** How long a value is to live: `ttl` from now by this node's clock, or `expires`, a point in time. */
import { BitacoraError } from '../../../src/core/errors.ts';
import type { Millis } from '../../../src/ports.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;
/** The last moment that a date can be. */
const latest = 8_640_000_000_000_000;

/** Undefined: for ever. Errors: `bad-request`. */
export function deadlineOf({ ttl, expires }: { ttl?: string | number; expires?: string }, now: number): Millis | undefined {
  if (ttl !== undefined && expires !== undefined) throw new BitacoraError('bad-request', 'ttl and expires cannot both be given');
  if (ttl !== undefined) return inTime(now + durationMs(String(ttl), 'ttl'), now, 'ttl');
  if (expires === undefined) return undefined;
  const moment = timeOf(expires);
  if (moment === undefined) {
    throw new BitacoraError('bad-request', 'expires is milliseconds since 1970, or ISO 8601 with its zone (a + in a URL is %2B)');
  }
  return inTime(moment, now, 'expires');
}

/** `30s`, in milliseconds. Errors: `bad-request`, naming the parameter. */
export function durationMs(text: string, name: string): number {
  const match = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(text);
  if (match === null) throw new BitacoraError('bad-request', `${name} is a whole number with ms, s, m, h or d, or of seconds: 30s`);
  return Number(match[1]) * (units[match[2] ?? 's'] as number);
}

/** Milliseconds since 1970, as such or in ISO 8601 with a zone; undefined for anything else. */
export function timeOf(text: string): number | undefined {
  if (/^\d{1,16}$/.test(text)) return Number(text);
  const time = isoTime.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** A moment that has passed is a mistake as a rule: seconds for milliseconds. */
function inTime(moment: number, now: number, name: string): Millis {
  if (moment <= now) throw new BitacoraError('bad-request', `${name} is not in the future`);
  if (moment > latest) throw new BitacoraError('bad-request', `${name} is too far in the future`);
  return moment as Millis;
}

/** ISO 8601; undefined where a time is not known. */
export function isoOf(time: number): string | undefined {
  return time > 0 && Number.isFinite(time) ? new Date(Math.min(time, latest)).toISOString() : undefined;
}
