/** Moments of the past, as they are asked for, and the patience that reading the log takes. */
import { refused } from '../options.ts';
import type { CallOptions, Moment } from './types.ts';

/** The nodes read the log for up to five seconds before they answer: a read that moved on sooner would only have them begin anew. */
const usualTimeoutMs = 20_000;

/** As they were given, with the time that reading the log takes. */
export function patient<O extends CallOptions>(options: O): O {
  return { ...options, timeoutMs: options.timeoutMs ?? usualTimeoutMs };
}

/** Undefined: none was given. What text can mean, the nodes decide. Errors: `bad-request`. */
export function momentText(moment: Moment | undefined, name: string): string | undefined {
  if (moment === undefined) return undefined;
  if (moment instanceof Date) {
    if (!Number.isNaN(moment.getTime())) return moment.toISOString();
  } else if (typeof moment === 'string' && moment !== '') return moment;
  throw refused(`${name} is a Date, or text: a version (0:17), a time, or how long ago (24h)`);
}
