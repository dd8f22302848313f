/**
 * A whole store from one of the other nodes, which is read faster than the log and holds what the log told. Members are asked in turn, from
 * one that chance names, so that nodes that start together do not all ask the same; who refuses, breaks off for good, is too slow or says
 * what cannot be true is left, with all that came of him. Nobody is waited for: the log is always there.
 */
import { codeOf } from '../src/core/errors.ts';
import type { Chance, Clock, Logger, Member, Seeding, SeedPlace, SnapshotHead } from '../src/ports.ts';
import { SeedFailure } from './seed-failure.ts';
import { whyForeign } from './seed-head.ts';
import type { SeedMeter } from './seed-meter.ts';
import { seedFromPeer } from './seed-one-peer.ts';
import type { SeedLimits } from './seed-stream.ts';

export interface SeedFromPeersOptions {
  /** The others, this node left out. */
  readonly members: () => readonly Member[];
  readonly place: SeedPlace;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly limits?: Partial<SeedLimits>;
  readonly meter?: SeedMeter;
}

/** For whoever needs to hear nothing. */
export const unheard: SeedMeter = { taking: () => undefined, took: () => undefined, asked: () => undefined };

const usual: SeedLimits = {
  silentMs: 5_000,
  leastBytesPerSecond: 256 * 1024,
  slowAfterMs: 10_000,
  longestMs: 60 * 60_000,
  maxFrameBytes: 64 * 1024 * 1024,
  fruitless: 3,
  pauseMs: 100,
};

/** How to take a store from the other nodes, into `place`. */
export function seedingFromPeers(options: SeedFromPeersOptions): Seeding {
  const { place, clock, chance, logger, meter = unheard } = options;
  const limits: SeedLimits = { ...usual, ...options.limits };
  return async (wanted) => {
    const unfit = async (head: SnapshotHead): Promise<string | undefined> =>
      whyForeign(head.identity, wanted) ?? (await wanted.accept?.(head));
    const members = options.members();
    const first = Math.floor(chance.random() * members.length);
    for (const { address } of [...members.slice(first), ...members.slice(0, first)]) {
      if (wanted.signal.aborted) return 'none';
      const began = clock.monotonic();
      meter.taking(true);
      try {
        const rows = await seedFromPeer({ address, wanted, unfit, place, limits, clock, meter });
        meter.asked('taken');
        const seconds = Math.round(clock.monotonic() - began) / 1_000;
        logger.info({ event: 'seed.taken', peer: address, rows, seconds }, 'the store was taken from another node');
        return 'seeded';
      } catch (error) {
        if (wanted.signal.aborted && error === wanted.signal.reason) return 'none';
        if (!(error instanceof SeedFailure)) {
          meter.asked('failed');
          logger.error({ event: 'seed.failed', code: codeOf(error), reason: String(error) }, 'no store can be taken from another node');
          throw error;
        }
        const { trouble, message: reason } = error;
        meter.asked(trouble);
        const told = { event: 'seed.left', peer: address, trouble, reason };
        // That one does not give now is nothing to worry about.
        if (trouble === 'refused') logger.info(told, 'another node does not give its store');
        else logger.warn(told, 'the store of another node could not be taken');
      } finally {
        meter.taking(false);
      }
    }
    return 'none';
  };
}
