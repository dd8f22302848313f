/** Whether a store is of the log that it is about to follow. What does not fit is told by the code that says what to do. */
import { BitacoraError, codeOf } from '../core/errors.ts';
import type { Checkpoint, Clock, Log, LogIdentity, Store, StoreIdentity } from '../ports.ts';
import { genesisLandmark } from './genesis.ts';

/** Format of the store's contents; another one means that it is rebuilt. */
export const storeFormat = 1;

/** The log is the store's own, but was not followed for so long that it may have forgotten deletes: what is lost with the store is in the log. */
export class AwayTooLong extends BitacoraError {
  constructor(detail: string) {
    super('log-changed', detail);
  }
}

/** Users' keys begin here; those of the system stand before. */
const firstUserKey = Uint8Array.of(1);

/** The genesis record is found where it was, or not at all; longer than this it is not looked for. */
const longestLookMs = 5_000;

/** The genesis record of the store is in the log. Undefined: that could not be found out. */
async function isOwnLog(identity: StoreIdentity | undefined, log: Log, clock: Clock): Promise<boolean | undefined> {
  const landmark = identity && genesisLandmark(identity);
  if (landmark === undefined) return undefined;
  const { partition, offset } = landmark;
  const stop = new AbortController();
  const cancel = clock.after(longestLookMs, () => stop.abort());
  try {
    const to = (await log.bounds(stop.signal))[partition]?.next ?? offset;
    if (to <= offset) return false;
    for await (const { records } of log.read({ partition, from: offset, to }, stop.signal)) {
      const recognised = records.map((record) => landmark.recognise(record)).find((each) => each !== undefined);
      if (recognised !== undefined) return recognised;
    }
    return false;
  } catch {
    // Who asks takes the side that loses nothing.
    return undefined;
  } finally {
    cancel();
  }
}

/** What it means that a store was not followed for too long, said by `detail`: its log may be another one by now, which it does not tell by its name. */
export async function awayTooLong(identity: StoreIdentity | undefined, log: Log, clock: Clock, detail: string): Promise<BitacoraError> {
  return (await isOwnLog(identity, log, clock)) ? new AwayTooLong(detail) : new BitacoraError('log-changed', detail);
}

/**
 * Whether a store that is to be made anew may be the last that is left of its log: that is gone, or nobody can say that it is not, and there
 * are keys of users in the store, deleted ones included.
 */
export async function isLastCopy(store: Store | undefined, log: Log | undefined, clock: Clock, error: Error): Promise<boolean> {
  const asked = codeOf(error) === 'resync-asked';
  if (store === undefined || !(asked || codeOf(error) === 'log-changed') || error instanceof AwayTooLong) return false;
  if (asked && log !== undefined && (await isOwnLog(store.identity, log, clock))) return false;
  try {
    const { entries } = await store.scan({ from: firstUserKey, to: undefined, limit: 1, maxBytes: 1, keysOnly: true });
    return entries.length > 0;
  } catch {
    // What cannot be read may hold anything.
    return true;
  }
}

/**
 * Compares, and gives a fresh store the log's identity.
 * Errors: `log-changed` (another cluster or topic, or away for too long), `store-damaged` (another format), `topic-unusable` (another
 * number of partitions of what is, as far as can be found out, the same topic: made anew from it the store would lack keys).
 */
export async function compareWithLog(store: Store, log: Log, clock: Clock): Promise<void> {
  const known = store.identity;
  if (known === undefined) return store.identify(identityOf(log.identity));
  const { clusterId, topic, partitions } = log.identity;
  if (known.format !== storeFormat) {
    throw new BitacoraError('store-damaged', `the store has format ${known.format}, this version writes ${storeFormat}`);
  }
  if (known.clusterId !== clusterId || known.topic !== topic) {
    const detail = `the store was made from ${known.topic} on cluster ${known.clusterId}, this is ${topic} on ${clusterId}`;
    throw new BitacoraError('log-changed', detail);
  }
  if (known.partitions !== partitions) {
    const counts = `the topic ${topic} has ${partitions} partitions, the store was made from ${known.partitions}`;
    if ((await isOwnLog(known, log, clock)) === false) throw new BitacoraError('log-changed', `${counts}, and is another one`);
    const detail =
      `${counts}: keys now belong to other partitions than their records. Use a new topic with any number of partitions and a new data ` +
      'directory; `bitacora republish --store` writes what is in this store into it';
    throw new BitacoraError('topic-unusable', detail);
  }
  await refuseOld(store, log, clock);
}

function identityOf({ clusterId, topic, partitions }: LogIdentity): StoreIdentity {
  return { format: storeFormat, clusterId, topic, partitions, genesis: undefined };
}

/**
 * A node that was away for most of the time for which the log keeps tombstones may have missed one that is gone since, and would hold a
 * deleted key for ever. Its store is made anew, unless nothing has been written meanwhile.
 */
async function refuseOld(store: Store, log: Log, clock: Clock): Promise<void> {
  const oldMs = log.identity.deleteRetentionMs * 0.8;
  const now = clock.now();
  const old = ({ atEnd, logTime, next }: Checkpoint) => next > 0 && now - (atEnd || logTime) > oldMs;
  if (!store.checkpoints.some(old)) return;
  const bounds = await log.bounds();
  for (const [partition, checkpoint] of store.checkpoints.entries()) {
    if (!old(checkpoint) || checkpoint.next === bounds[partition]?.next) continue;
    const detail = `partition ${partition} was last followed longer ago than the log keeps tombstones for certain (${oldMs} ms)`;
    throw await awayTooLong(store.identity, log, clock, detail);
  }
}
