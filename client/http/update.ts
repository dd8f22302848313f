/** Reads a key, has it changed, and writes it if nobody else has meanwhile; otherwise once more. Bounded in number and in time. */
import type { KeyRecord, Value } from '../client.ts';
import { ClientError } from '../errors.ts';
import { refused } from '../options.ts';
import type { Calls } from './calls.ts';
import { VersionConflictError } from './failures.ts';
import { getRecord, put } from './keys.ts';
import type { Seen } from './seen.ts';
import type { UpdateOptions, Written } from './types.ts';

/** The value that the key is to have, or undefined to leave it as it is. May be called several times. */
export type Change = (record: KeyRecord | undefined) => Value | undefined | Promise<Value | undefined>;

const usualTries = 20;

/** Errors: those of reading and writing; `version-conflict` when somebody else was faster each time; what `change` throws. */
export function update(calls: Calls, seen: Seen, key: string, change: Change, options: UpdateOptions): Promise<Written | undefined> {
  const { tries = usualTries, ttlMs } = options;
  return calls.within(options, async (wait) => {
    if (!Number.isSafeInteger(tries) || tries < 1) throw refused('tries must be a whole number from 1 on');
    for (let tried = 1; ; tried++) {
      // What stood in the way of the last try was seen, so this read is not older.
      const record = await calls.run(getRecord(seen, key, {}), wait);
      const value = await wait.bound(Promise.resolve(record).then(change));
      if (value === undefined) return undefined;
      const contentType = options.contentType ?? record?.contentType;
      try {
        return await calls.run(put(seen, key, value, { ...conditionOf(record), contentType, ttlMs }), wait);
      } catch (error) {
        if (!(error instanceof VersionConflictError) || tried >= tries) throw error;
      }
      await wait.pause(calls.jitterMs(tried));
    }
  });
}

function conditionOf(record: KeyRecord | undefined) {
  if (record === undefined) return { ifAbsent: true };
  if (record.version !== undefined) return { ifVersion: record.version };
  throw new ClientError('unsupported', 'a node of an older generation has the value and knows no version of it', { retryable: false });
}
