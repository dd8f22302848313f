/** The rules of identity and checkpoints that every store keeps alike. */
import { BitacoraError } from '../../src/core/errors.ts';
import type { Checkpoint, Millis, Offset, Partition, StoreIdentity } from '../../src/ports.ts';
import { MAX_PARTITIONS } from './row.ts';

export const freshCheckpoint: Checkpoint = {
  next: 0 as Offset,
  entries: 0,
  logTime: 0 as Millis,
  atEnd: 0 as Millis,
  whole: true,
  fatesFrom: 0 as Offset,
};

/**
 * The checkpoints of a store that takes this identity: those it has, or fresh ones while nothing has been applied.
 * Errors: `internal`, as a store that holds data can never get another number of partitions.
 */
export function checkpointsFor(identity: StoreIdentity, current: readonly Checkpoint[]): readonly Checkpoint[] {
  const { partitions } = identity;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw new BitacoraError('internal', `a store has 1 to ${MAX_PARTITIONS} partitions, not ${partitions}`);
  }
  if (current.length === partitions) return current;
  if (current.some(({ next, entries }) => next !== 0 || entries !== 0)) {
    throw new BitacoraError('internal', `a store with data of ${current.length} partitions cannot take an identity of ${partitions}`);
  }
  return new Array<Checkpoint>(partitions).fill(freshCheckpoint);
}

/** A copy with one partition's checkpoint replaced. Errors: `internal` when there is no such partition. */
export function withCheckpoint(current: readonly Checkpoint[], partition: Partition, checkpoint: Checkpoint): readonly Checkpoint[] {
  if (!Number.isInteger(partition) || partition < 0 || partition >= current.length) {
    throw new BitacoraError('internal', `the store has ${current.length} partitions, and no partition ${partition}`);
  }
  const { next, entries, logTime, atEnd, whole, fatesFrom } = checkpoint;
  return current.with(partition, { next, entries, logTime, atEnd, whole, fatesFrom });
}
