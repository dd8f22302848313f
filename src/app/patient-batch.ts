/** Batches whose operations are asked again until each has come to something, or nothing moves any more. */
import { ClientError, retryOf } from '../../client/errors.ts';
import type { BatchOperation, BatchResult, BitacoraSession, Consistency } from '../../client/http/index.ts';

export interface PatientOptions {
  /** How long no operation may come to anything, in ms. */
  readonly timeoutMs: number;
  readonly consistency?: Consistency;
}

const firstPauseMs = 50;
const longestPauseMs = 2_000;
/** No request waits for longer than this part of the whole: after it another node is asked. */
const requestShare = 1 / 3;

/**
 * One result an operation, in their order. Writes must be such that doing them twice is doing them once: those whose outcome is not known are
 * sent again. Errors: the last one, when nothing has moved for too long.
 */
export async function settle(
  kv: Pick<BitacoraSession, 'batch'>,
  operations: readonly BatchOperation[],
  { timeoutMs, consistency }: PatientOptions,
): Promise<readonly BatchResult[]> {
  const results: BatchResult[] = new Array(operations.length);
  let open = operations.map((_, index) => index);
  let movedAt = performance.now();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    const asked = await ask(
      kv,
      open.map((index) => operations[index] as BatchOperation),
      { timeoutMs: timeoutMs * requestShare, ...(consistency === undefined ? {} : { consistency }) },
    );
    const left = open.filter((_, place) => mayHelp(asked[place]?.error));
    for (const [place, index] of open.entries()) results[index] = asked[place] as BatchResult;
    if (left.length === 0) return results;
    if (left.length < open.length) {
      movedAt = performance.now();
      pauseMs = firstPauseMs;
    }
    open = left;
    const { error } = results[left[0] as number] as BatchResult;
    const waitMs = Math.max(pauseMs, error?.retryAfterMs ?? 0);
    if (performance.now() + waitMs - movedAt > timeoutMs) throw error;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** What a batch came to, where it failed as a whole each of its operations has failed so. */
async function ask(
  kv: Pick<BitacoraSession, 'batch'>,
  operations: readonly BatchOperation[],
  options: PatientOptions,
): Promise<readonly BatchResult[]> {
  try {
    return await kv.batch(operations, options);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    // One that cannot be sent at all keeps no other from being done.
    if (!mayHelp(error) && operations.length > 1) return (await Promise.all(operations.map((each) => ask(kv, [each], options)))).flat();
    return operations.map(({ key }) => ({ key, status: 0, error }));
  }
}

function mayHelp(error: ClientError | undefined): boolean {
  return error !== undefined && retryOf(error.code) !== 'no';
}
