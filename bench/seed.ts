/**
 * Taking a store of 1,000,000 records from another node, against restoring the same records from Kafka. The giver is a process of its own, with
 * the rate that a node gives at by default; the taker is this process, as a node would be. `RECORDS=100000` for a quick look.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seedingFromPeers } from '../cluster/seed-from-peers.ts';
import { systemChance, systemClock } from '../src/app/system.ts';
import type { LogIdentity, SnapshotHead } from '../src/ports.ts';
import { openLevelStore } from '../storage/store/level-store.ts';
import { openSeedPlace } from '../storage/store/snapshot-place.ts';
import { silentLogger } from '../test/contract/silent-logger.ts';
import type { KafkaService } from '../test/services/kafka.ts';
import { startNodeProcess } from './node-process.ts';
import { line, median, ratio } from './report.ts';
import { fill, perSecond, records, rounds, settings } from './restore.ts';

export async function benchSeed(kafka: KafkaService): Promise<void> {
  const topic = `bench-seed-${randomUUID().slice(0, 8)}`;
  const log = await fill(kafka, topic);
  line(`${records} records in the topic`);
  const restored: number[] = [];
  const seeded: number[] = [];
  const data = mkdtempSync(join(tmpdir(), 'bitacora-bench-'));
  try {
    // In turn, so that a slow minute of the machine hits both. Each restore makes the giver of the seed after it.
    for (let round = 0; round < rounds; round++) {
      rmSync(data, { recursive: true, force: true });
      const giver = await startNodeProcess(settings(kafka, topic, join(data, 'giver')));
      const reading = await giver.until('node.state');
      const ready = await giver.until('node.ready');
      restored.push(records / ((ready - reading) / 1_000));
      try {
        seeded.push(await seedRate(`127.0.0.1:${giver.port}`, join(data, 'taker', 'store'), log));
      } finally {
        await giver.end('SIGKILL');
      }
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
  line(`restore from Kafka: ${restored.map(perSecond).join(', ')}`);
  line(`seed from another node, until the store is open: ${seeded.map(perSecond).join(', ')}`);
  ratio('seed / restore', median(seeded) / median(restored), 1.5);
}

/** From the question to the open store; then all of it is read once more, unmeasured. */
async function seedRate(address: string, directory: string, { clusterId, topic, partitions }: LogIdentity): Promise<number> {
  const place = await openSeedPlace(directory);
  const members = () => [{ address, socket: '' }];
  const seed = seedingFromPeers({ members, place, clock: systemClock, chance: systemChance, logger: silentLogger });
  let head: SnapshotHead | undefined;
  const began = performance.now();
  // As from the log, which a node has looked at before it asks for a seed.
  const accept = async (offered: SnapshotHead): Promise<undefined> => {
    head = offered;
  };
  const { signal } = new AbortController();
  const outcome = await seed({ clusterId, topic, partitions, accept, vacate: async () => undefined, signal });
  if (outcome !== 'seeded') throw new Error('nothing was seeded');
  const store = await openLevelStore({ directory });
  const seconds = (performance.now() - began) / 1_000;
  const entries = head?.checkpoints.reduce((sum, checkpoint) => sum + checkpoint.entries, 0) ?? 0;
  const wrong = await store.verify();
  await store.close();
  // The genesis record is an entry too.
  if (wrong !== undefined || entries < records) throw new Error(`seeded ${entries} entries: ${wrong}`);
  return records / seconds;
}
