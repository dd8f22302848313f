/** Whether a store is of the log that it is about to follow. What does not fit is told by the code that says what to do. */
import { BitacoraError } from '../core/errors.ts';
import type { Checkpoint, Clock, Log, LogIdentity, Store, StoreIdentity } from '../ports.ts';

/** Format of the store's contents; another one means that it is rebuilt. */
export const storeFormat = 1;

/**
 * Compares, and gives a fresh store the log's identity.
 * Errors: `log-changed` (another cluster or topic, or away for too long), `store-damaged` (another format), `topic-unusable` (another
 * number of partitions).
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
    const detail =
      `the topic ${topic} has ${partitions} partitions, the store was made from ${known.partitions}: keys now belong to other ` +
      `partitions than their records. Use a topic with ${known.partitions} partitions, or copy the data into a new topic`;
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
    throw new BitacoraError('log-changed', detail);
  }
}
