/** The memory log under the contract. */
import { setTimeout as pause } from 'node:timers/promises';
import { systemChance, systemClock } from '../../src/app/system.ts';
import { openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import type { LogHarness } from './log-harness.ts';

/** Time and chance as the composition gives them. */
export { systemChance as realChance, systemClock as realClock };

const maxRecordBytes = 20_000;

export async function memoryHarness(): Promise<LogHarness> {
  return {
    timeoutMs: 10_000,
    pauses: { times: 8, forMs: 60, gapMs: 40 },
    async fresh({ partitions, compacts }) {
      const lag = compacts ? { compactionLagMs: 0 } : {};
      const topic = openMemoryTopic({ clock: systemClock, chance: systemChance, partitions, ...lag });
      let interruptions = 0;
      return {
        maxRecordBytes,
        open: async (bounds) => openMemoryLog(topic, { limits: { maxRecordBytes, ...bounds } }),
        compact: async () => void topic.compact(),
        recreate: async () => topic.recreate(),
        async interrupt(forMs) {
          // In turn: late, lost, written without an answer, and cut off.
          const way = interruptions++ % 4;
          if (way === 3) topic.disconnect();
          else topic.hold(way === 2 ? 'after' : 'before');
          await pause(forMs);
          if (way === 3) topic.reconnect();
          else topic.release(way === 0 ? 'acknowledged' : 'unknown');
        },
        disconnect: async () => topic.disconnect(),
        reconnect: async () => topic.reconnect(),
        inject: async (partition, record) => topic.inject(partition, record),
        remove: async () => undefined,
      };
    },
  };
}
