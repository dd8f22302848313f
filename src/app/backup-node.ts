/** The store of a running node, taken as another node would take it: within one snapshot over as many connections as it takes, or begun anew. */
import { setTimeout as pause } from 'node:timers/promises';
import { SeedFailure } from '../../cluster/seed-failure.ts';
import { unheard } from '../../cluster/seed-from-peers.ts';
import { seedFromPeer } from '../../cluster/seed-one-peer.ts';
import type { SeedLimits } from '../../cluster/seed-stream.ts';
import type { SeedPlace } from '../ports.ts';
import { UsageError } from './shell.ts';
import { systemClock as clock } from './system.ts';

/** Times that all nodes are asked, and the pause before the second time, doubling. */
const rounds = 3;
const pauseMs = 500;

export interface NodeBackup {
  readonly endpoints: readonly string[];
  readonly place: SeedPlace;
  /** How long nothing may come. */
  readonly timeoutMs: number;
  readonly progress: (part: number) => void;
  /** Why a node was left for another, or is asked again. */
  readonly said: (text: string) => void;
}

/** Resolves with the rows taken, when they are in their place. Errors: `UsageError`, `SeedFailure` of the last attempt, those of the place. */
export async function backUpFrom({ endpoints, place, timeoutMs, progress, said }: NodeBackup): Promise<number> {
  const addresses = endpoints.map(addressOf);
  const wanted = { vacate: async () => undefined, progress, signal: new AbortController().signal };
  const from = { wanted, place, limits: { ...limits, silentMs: timeoutMs }, clock, meter: unheard, unfit: async () => undefined };
  for (let round = 1; ; round++) {
    let failure: SeedFailure | undefined;
    for (const address of addresses) {
      try {
        return await seedFromPeer({ ...from, address });
      } catch (error) {
        if (!(error instanceof SeedFailure)) throw error;
        if (failure !== undefined) said(failure.message);
        failure = new SeedFailure(error.trouble, `${address}: ${error.message}`, { cause: error });
      }
    }
    // What is wrong with a node's store will be wrong with it the next time.
    if (failure === undefined || round >= rounds || failure.trouble === 'lied') throw failure ?? new UsageError('no node is named');
    said(`${failure.message}; it is tried again`);
    await pause(pauseMs * 2 ** (round - 1));
  }
}

/** A person who waits decides himself how slow is too slow; longer than an hour no node keeps a snapshot. */
const limits: Omit<SeedLimits, 'silentMs'> = {
  leastBytesPerSecond: 1,
  slowAfterMs: 60_000,
  longestMs: 60 * 60_000,
  maxFrameBytes: 64 * 1024 * 1024,
  fruitless: 5,
  pauseMs: 200,
};

/** Errors: `UsageError`. */
function addressOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol !== 'http:' || url.pathname !== '/') throw new UsageError(`-e is a node's address, http://host:port, not ${endpoint}`);
  return `${url.hostname}:${url.port || '80'}`;
}
