/** What the tests of the embedded log share: a directory for each, a clock that is turned by hand, and an open log. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock, Millis } from '../../src/ports.ts';
import { type EmbeddedLog, type EmbeddedLogOptions, openEmbeddedLog } from '../../storage/log/embedded/embedded-log.ts';
import { silent } from '../contract/log-embedded-harness.ts';
import { realChance, realClock } from '../contract/log-memory-harness.ts';

/** A directory that is gone after the test. */
export async function freshDirectory(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'bitacora-log-'));
  onTestFinished(() => rm(parent, { recursive: true, force: true }));
  return join(parent, 'log');
}

/** A clock whose wall time is set by the test; delays are real. */
export function turnedClock(start = 1_800_000_000_000): Clock & { turn(byMs: number): void } {
  let now = start;
  return {
    ...realClock,
    now: () => now as Millis,
    turn(byMs) {
      now += byMs;
    },
  };
}

/** Opens an embedded log that is closed when the test ends. */
export async function openIn(directory: string, options: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({
    ...{ directory, topic: 'test', partitions: 2, compactionLagMs: 3_600_000, deleteRetentionMs: 7 * 86_400_000 },
    ...{ clock: realClock, chance: realChance, logger: silent },
    ...options,
  });
  onTestFinished(() => log.close());
  return log;
}
