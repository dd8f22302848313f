/**
 * Where a node with an empty store takes its first state from: another node's snapshot, when the log is long enough for that to be worth it,
 * or else the log alone. Whatever is taken, the log has the last word: the node follows it from there, and looks for its landmark first.
 */
import type { Clock, Log, Logger, Seeding, SnapshotHead, Store } from '../ports.ts';

/** A shorter log is read as quickly. */
const leastRecords = 50_000;

export interface FirstStateOptions {
  readonly seed: Seeding;
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly vacate: () => Promise<void>;
  readonly progress: (part: number) => void;
  readonly signal: AbortSignal;
}

/** The store has applied nothing, and the log holds much. Errors: those of `Log.bounds`. */
export async function wantsSeed(store: Store, log: Log): Promise<boolean> {
  if (store.checkpoints.some(({ next }) => next > 0)) return false;
  const bounds = await log.bounds();
  return bounds.reduce((sum, { first, next }) => sum + next - first, 0) >= leastRecords;
}

/** False: no other node gave a state that fits; the store is as it was. Errors: those of `Seeding` and `Log.bounds`. */
export async function takeSeed({ seed, log, clock, logger, vacate, progress, signal }: FirstStateOptions): Promise<boolean> {
  const { clusterId, topic, partitions } = log.identity;
  logger.info({ event: 'seed.wanted' }, 'the local state is empty: another node is asked for its own');
  const accept = (head: SnapshotHead): Promise<string | undefined> => unfit(head, log, clock);
  return (await seed({ clusterId, topic, partitions, accept, vacate, progress, signal })) === 'seeded';
}

/** Why a snapshot must not be gone on from with this log; undefined: it may. */
async function unfit({ checkpoints }: SnapshotHead, log: Log, clock: Clock): Promise<string | undefined> {
  const bounds = await log.bounds();
  const ahead = checkpoints.findIndex(({ next }, partition) => next > (bounds[partition]?.next ?? 0));
  if (ahead >= 0) return `it has applied more of partition ${ahead} than the log holds`;
  // It would be made anew at once: tombstones may be gone that it has not seen.
  const oldest = clock.now() - 0.8 * log.identity.deleteRetentionMs;
  const old = checkpoints.findIndex(
    ({ next, atEnd, logTime }, i) => next > 0 && next < (bounds[i]?.next ?? 0) && (atEnd || logTime) < oldest,
  );
  return old >= 0 ? `it has not followed partition ${old} for too long` : undefined;
}
