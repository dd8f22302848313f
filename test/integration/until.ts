/** Waiting for a condition, in place of sleeping for luck. */
import { setTimeout as pause } from 'node:timers/promises';

const everyMs = 25;

/** Asks until the answer is neither undefined nor false; a question that throws is asked again, and its reason stands in the failure. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  let cause: unknown;
  do {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await pause(everyMs);
  } while (performance.now() < deadline);
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  throw new Error(`${what}: not so within ${limitMs} ms${reason}`, { cause });
}
