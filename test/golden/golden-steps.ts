/** A golden topic applied record by record: what each one leaves under its keys, by position. */
import { systemChance } from '../../src/app/system.ts';
import type { Log, Partition, Store, StoreBatch } from '../../src/ports.ts';
import { openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { GoldenClock } from './golden-clock.ts';
import { follow } from './golden-node.ts';
import { type StateLine, stepOf } from './golden-state.ts';
import { feed, type GoldenTopic } from './golden-topic.ts';

/** In the order of their places; the members of an atomic batch are one step. */
export async function stepsOf(golden: GoldenTopic): Promise<StateLine[]> {
  const { head } = golden;
  const clock = new GoldenClock(head.now);
  const topic = openMemoryTopic({
    ...{ clock, chance: systemChance, topic: head.topic, partitions: head.partitions },
    ...{ compactionLagMs: head.compaction_lag_ms, deleteRetentionMs: head.delete_retention_ms },
  });
  const steps: StateLine[] = [];
  const disk = new MemoryDisk();
  const openLog = async (): Promise<Log> => openMemoryLog(topic, { limits: { maxBatchRecords: 1 } });
  const openStore = async (): Promise<Store> => noting(await openMemoryStore(disk), (batch) => void steps.push(stepOf(batch)));
  for (const part of ['early', 'late'] as const) {
    await feed(openMemoryLog(topic), clock, golden, part);
    if (part === 'late') topic.compact();
    await follow(openLog, openStore, clock);
  }
  const placed = steps as unknown as { partition: Partition; next: number; keys: unknown[] }[];
  return placed
    .filter(({ keys }) => keys.length > 0)
    .sort((a, b) => a.partition - b.partition || a.next - b.next) as unknown as StateLine[];
}

/** The same store, each of whose writes is shown before it is done. */
function noting(store: Store, note: (batch: StoreBatch) => void): Store {
  const write = store.write.bind(store);
  return Object.assign(store, {
    write: (batch: StoreBatch) => {
      note(batch);
      return write(batch);
    },
  });
}
