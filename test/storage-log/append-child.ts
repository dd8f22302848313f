/** Appends without end, and says on standard output what was acknowledged: `partition offset value`. To be killed. */
import { writeSync } from 'node:fs';
import { openEmbeddedLog } from '../../storage/log/embedded/embedded-log.ts';
import { silent } from '../contract/log-embedded-harness.ts';
import { newRecord, p } from '../contract/log-harness.ts';
import { realChance, realClock } from '../contract/log-memory-harness.ts';

const [directory = '', run = ''] = process.argv.slice(2);
const log = await openEmbeddedLog({
  ...{ directory, topic: 'test', partitions: 2, compactionLagMs: 0, deleteRetentionMs: 86_400_000 },
  ...{ clock: realClock, chance: realChance, logger: silent, limits: { compactionIntervalMs: 5 } },
});

async function appendForEver(worker: number): Promise<never> {
  for (let i = 0; ; i += 1) {
    // Every fourth key is written again and again, so that compaction has something to remove at the moment of death.
    const value = `${run}-${worker}-${i}`;
    const position = await log.append(p(worker % 2), newRecord(i % 4 === 0 ? 'again' : value, value));
    writeSync(1, `${position.partition} ${position.offset} ${value}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, worker) => appendForEver(worker)));
