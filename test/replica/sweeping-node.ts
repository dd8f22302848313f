/** Nodes that sweep, on a topic in memory whose grace period is of seconds; and what a test asks about their tombstones. */
import { onTestFinished } from 'vitest';
import { textOf } from '../../src/core/bytes.ts';
import { type Decoded, decodeRecord } from '../../src/core/record.ts';
import type { Chance, Clock, Log, LogRecord, Millis, Offset, Partition } from '../../src/ports.ts';
import { openReplica } from '../../src/replica/replica.ts';
import type { SweepPass, SweptKind } from '../../src/replica/sweeping.ts';
import { openMemoryLog } from '../../storage/log/memory-log.ts';
import { withHashmap } from '../../storage/store/hashmap.ts';
import { MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { fakePeers } from './fake-peers.ts';
import { chance, openWorld, type TestNode, untilReady, type World } from './node.ts';

export const graceMs = 10_000;
export const retentionMs = 100_000;
export const sweptWorld = (more: Parameters<typeof openWorld>[0] = {}): World =>
  openWorld({ compactionLagMs: graceMs, deleteRetentionMs: retentionMs, ...more });

export interface SweepingOptions {
  readonly name?: string;
  readonly disk?: MemoryDisk;
  readonly graceMs?: number;
  readonly recordsPerSecond?: number;
  /** How far the node's wall clock is ahead. */
  readonly skewMs?: number;
  /** One after the other; then 0.5 for ever. */
  readonly random?: readonly number[];
  readonly changed?: (log: Log) => Log;
}

export interface SweepingNode extends TestNode {
  readonly swept: SweptKind[];
  readonly passes: SweepPass[];
}

/** Starts a node that sweeps and lets time pass until it is ready; it is closed when the test ends. */
export async function sweepingNode(world: World, options: SweepingOptions = {}): Promise<SweepingNode> {
  const { topic } = world;
  const clock = skewed(world.clock, options.skewMs ?? 0);
  const disk = options.disk ?? new MemoryDisk();
  const swept: SweptKind[] = [];
  const passes: SweepPass[] = [];
  const peers = fakePeers(world.clock);
  const nothing = () => undefined;
  const replica = await openReplica({
    node: options.name ?? 'n1:8082',
    openLog: async () => {
      const log = openMemoryLog(topic);
      return options.changed?.(log) ?? log;
    },
    openStore: async () => withHashmap(await openMemoryStore(disk), 1_000_000),
    setStoreAside: () => Promise.reject(new Error('no test here sets a store aside')),
    ...{ peers, peerReads: 'never' as const, peerTimeoutMs: 60 },
    limits: { maxKeyBytes: 1_024, maxValueBytes: 1_000 },
    ...{ writeTimeoutMs: 5_000, partitions: 2 },
    ...{ clock, chance: drawing(options.random ?? []), logger: silentLogger },
    meter: { applied: nothing, skipped: nothing, appended: nothing, applyDelay: nothing, read: nothing, rebuilt: nothing },
    sweeping: {
      graceMs: options.graceMs ?? graceMs,
      recordsPerSecond: options.recordsPerSecond ?? 1_000,
      meter: { swept: (kind) => swept.push(kind), passed: (pass) => passes.push(pass) },
    },
    onFatal: (error) => {
      throw error;
    },
  });
  onTestFinished(() => world.clock.outcome(replica.close()));
  const node = { replica, disk: () => disk, peers, swept, passes, faults: {}, aside: [], lastCopies: [], logs: [], fatal: [], metered: [] };
  await untilReady(world, node);
  return node;
}

function skewed(clock: Clock, ms: number): Clock {
  return {
    now: () => (clock.now() + ms) as Millis,
    monotonic: () => clock.monotonic(),
    after: (delayMs, action) => clock.after(delayMs, action),
  };
}

function drawing(numbers: readonly number[]): Chance {
  const left = [...numbers];
  return { uuid: chance.uuid, random: () => left.shift() ?? 0.5 };
}

interface Written extends Decoded {
  readonly record: LogRecord;
}

/** What is in the topic now, as understood. */
export function recordsIn({ topic }: World): Written[] {
  return topic.bounds.flatMap((_, partition) => {
    const { records } = topic.read(partition as Partition, 0 as Offset, { maxBatchRecords: 1_000_000, maxBatchBytes: 1e9 });
    return records.map((record) => {
      const decoded = decodeRecord(record);
      if (typeof decoded === 'string') throw new Error(decoded);
      return { ...decoded, key: decoded.key, operation: decoded.operation, record };
    });
  });
}

/** Keys of the tombstones in the topic, as often as they are there. */
export const tombstones = (world: World): string[] =>
  recordsIn(world)
    .filter(({ operation }) => operation === 'tombstone')
    .map(({ key }) => key);

/** Users' keys that a node has an entry of. */
export const entriesOf = (node: TestNode): string[] => [...node.disk().entries.keys()].filter((key) => !key.startsWith('\0')).sort();

/** A log that is asked before each tombstone. */
export function beforeTombstones(log: Log, asked: (key: string) => Promise<void>): Log {
  return new Proxy(log, {
    get(target, name) {
      if (name === 'append') {
        const append: Log['append'] = async (partition, record, signal) => {
          if (record.value === null) await asked(textOf(record.key) ?? '');
          return target.append(partition, record, signal);
        };
        return append;
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
