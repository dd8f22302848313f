/** The embedded log under the contract. It has no wire to cut, so the disk under it fails instead: see `FaultyDisk`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BitacoraError } from '../../src/core/errors.ts';
import type { Logger } from '../../src/ports.ts';
import { type Level, type LevelOptions, openLevel } from '../../storage/level.ts';
import { EmbeddedLog, openEmbeddedLog } from '../../storage/log/embedded/embedded-log.ts';
import type { LogHarness } from './log-harness.ts';
import { realChance, realClock } from './log-memory-harness.ts';

export const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const maxRecordBytes = 20_000;

/** A disk that fails: writes before or after they are done, and opening as long as it is down. */
export class FaultyDisk {
  failing: 'no' | 'before' | 'after' = 'no';

  readonly open = async (directory: string, options: LevelOptions): Promise<Level> => {
    if (this.failing !== 'no') throw new BitacoraError('directory-unusable', 'no space left on device');
    const level = await openLevel(directory, options);
    const batch = level.batch.bind(level) as () => ReturnType<Level['batch']>;
    const faulty = (): ReturnType<Level['batch']> => {
      const chained = batch();
      const write = chained.write.bind(chained);
      chained.write = (async (writeOptions: { sync?: boolean } = {}) => {
        if (this.failing === 'before') throw new Error('no space left on device');
        await write(writeOptions);
        if (this.failing === 'after') throw new Error('input/output error');
      }) as typeof chained.write;
      return chained;
    };
    return Object.assign(level, { batch: faulty });
  };
}

export async function embeddedHarness(): Promise<LogHarness> {
  return {
    timeoutMs: 20_000,
    pauses: { times: 8, forMs: 150, gapMs: 80 },
    async fresh({ partitions, compacts }) {
      const parent = await mkdtemp(join(tmpdir(), 'bitacora-log-'));
      const disk = new FaultyDisk();
      let directory = join(parent, 'log-0');
      let recreated = 0;
      let interruptions = 0;
      let current: EmbeddedLog | undefined;
      return {
        maxRecordBytes,
        async open(bounds) {
          current = await openEmbeddedLog({
            ...{ directory, topic: 'contract', partitions, compactionLagMs: compacts ? 0 : 3_600_000, deleteRetentionMs: 86_400_000 },
            ...{ clock: realClock, chance: realChance, logger: silent, openLevel: disk.open },
            limits: { maxRecordBytes, reopenMinMs: 5, reopenMaxMs: 20, outcomeWaitMs: 100, ...bounds },
          });
          return current;
        },
        compact: async () => current?.compactNow(),
        async recreate() {
          recreated += 1;
          directory = join(parent, `log-${recreated}`);
        },
        async interrupt(forMs) {
          // In turn: nothing is written, and all is written without a word. Some last longer than callers wait.
          disk.failing = interruptions++ % 2 === 0 ? 'before' : 'after';
          await pause(interruptions % 4 < 2 ? forMs : forMs / 10);
          disk.failing = 'no';
        },
        commits: (log) => (log instanceof EmbeddedLog ? log.commits : 0),
        remove: () => rm(parent, { recursive: true, force: true }),
      };
    },
  };
}
