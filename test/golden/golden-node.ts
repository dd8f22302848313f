/** A replica on a golden's log and store, in this process: it writes nothing, as time stands still for it. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { systemChance } from '../../src/app/system.ts';
import type { Log, Logger, PeerAnswer, SkippedRecord, SnapshotSource, Store } from '../../src/ports.ts';
import { openReplica } from '../../src/replica/replica.ts';
import { openEmbeddedLog } from '../../storage/log/embedded/embedded-log.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { until } from '../integration/until.ts';
import type { GoldenClock } from './golden-clock.ts';
import { linesIn, type TopicHead } from './golden-topic.ts';

export const openGoldenLog = (directory: string, head: TopicHead, clock: GoldenClock) =>
  openEmbeddedLog({
    ...{ directory, topic: head.topic, partitions: head.partitions, clock, chance: systemChance, logger: silentLogger },
    ...{ compactionLagMs: head.compaction_lag_ms, deleteRetentionMs: head.delete_retention_ms },
  });

const none: AsyncIterable<PeerAnswer> = {
  async *[Symbol.asyncIterator]() {
    yield* [];
  },
};

export interface Followed {
  /** Records that it has applied. */
  readonly applied: number;
  readonly skipped: readonly SkippedRecord[];
  /** Reasons for which it set its store aside. */
  readonly rebuilt: readonly string[];
}

/** Opens a replica, waits until it has applied the log to its end, and closes it with its log and its store. */
export async function follow(openLog: () => Promise<Log>, openStore: () => Promise<Store>, clock: GoldenClock): Promise<Followed> {
  const rebuilt: string[] = [];
  const trouble: string[] = [];
  const hear = (fields: object, message: string): void => void trouble.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { ...silentLogger, warn: hear, error: hear };
  const nothing = (): void => undefined;
  let log: Log | undefined;
  const replica = await openReplica({
    node: 'golden:8082',
    openLog: async () => {
      log = await openLog();
      return log;
    },
    openStore,
    setStoreAside: async (reason) => void rebuilt.push(reason),
    peers: { ask: () => none, close: async () => undefined },
    peerReads: 'never',
    peerTimeoutMs: 60,
    limits: { maxKeyBytes: 1_024, maxValueBytes: 1_000_000 },
    writeTimeoutMs: 5_000,
    partitions: 1,
    ...{ clock, chance: systemChance, logger },
    meter: {
      ...{ applied: nothing, skipped: nothing, appended: nothing, applyDelay: nothing, read: nothing },
      rebuilt: (reason) => void rebuilt.push(reason),
    },
    onFatal: (error) => hear({}, String(error)),
  });
  try {
    const isAtEnd = async (): Promise<boolean> => {
      if (trouble.length > 0) throw new Error(trouble.join('\n'));
      const ends = (await log?.bounds())?.map(({ next }) => next);
      return ends?.every((end, i) => replica.status.applied[i] === end) === true && replica.status.ready;
    };
    await until('the log is applied to its end', isAtEnd, 50_000);
    return { applied: replica.status.recordsApplied, skipped: replica.skipped, rebuilt };
  } finally {
    await replica.close();
  }
}

/** Opens a store when nobody else has it, for a look. */
export async function withStore<T>(directory: string, work: (store: Store & SnapshotSource) => Promise<T>): Promise<T> {
  const store = await openLevelStore({ directory });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** A file of a data directory, in base64: no tool that handles the repository takes a database's files for something else. */
interface DataLine {
  readonly file: string;
  readonly bytes: string;
}

export function packed(directory: string): string {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  // What LevelDB says of itself is no data.
  const lines = paths
    .filter((path) => !/\/(LOG|LOG\.old|LOCK)$/.test(path))
    .map((path): DataLine => ({ file: relative(directory, path), bytes: readFileSync(path).toString('base64') }));
  return `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
}

/** Lays a golden's data directory down, to be written to. */
export function unpack(golden: string, directory: string): void {
  for (const { file, bytes } of linesIn(golden, 'data.jsonl') as DataLine[]) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), Buffer.from(bytes, 'base64'));
  }
}
