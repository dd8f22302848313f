/** What earlier versions wrote is read by this one: as what it was, without being made anew. */

import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seedingFromPeers } from '../../cluster/seed-from-peers.ts';
import { systemChance } from '../../src/app/system.ts';
import { bytesOf } from '../../src/core/bytes.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { decodeRecord } from '../../src/core/record.ts';
import type { Log, LogRecord, Millis, Offset, SkippedRecord } from '../../src/ports.ts';
import { openMemoryLog, openMemoryTopic } from '../../storage/log/memory-log.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { openSeedPlace } from '../../storage/store/snapshot-place.ts';
import { realClock } from '../cluster/real-clock.ts';
import { fakeGiver, sends, stopGivers } from '../cluster/seed-givers.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { rowsOf } from '../storage/snapshot-store.ts';
import { GoldenClock } from './golden-clock.ts';
import { type Followed, follow, openGoldenLog, unpack, withStore } from './golden-node.ts';
import { type StateLine, stateOf } from './golden-state.ts';
import { stepsOf } from './golden-steps.ts';
import { base64, contentsOf, feed, folderOf, goldens, leftOf, linesIn, recordOf, type TopicLine, topicOf } from './golden-topic.ts';

const recordAt = (line: TopicLine): LogRecord => ({ ...recordOf(line), offset: line.offset as Offset, time: line.time as Millis });

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-golden-'));
});
afterEach(async () => {
  stopGivers();
  await rm(home, { recursive: true, force: true });
});

describe.each(goldens)('golden %s', (golden) => {
  const topic = topicOf(golden);
  const { head } = topic;
  const known = linesIn(golden, 'state.jsonl') as StateLine[];
  const state = known.filter((line) => line.state !== 'step');
  const stored = state.filter((line) => line.state !== 'skipped');
  const clock = new GoldenClock(head.now);
  const storeAt = (name: string) => () => openLevelStore({ directory: join(home, name, 'store') });

  /** What a store at rest holds, and the rows that it holds it in. */
  const heldBy = (name: string, skipped: readonly SkippedRecord[] = []) =>
    withStore(join(home, name, 'store'), async (store) => {
      expect(await store.verify()).toBeUndefined();
      return { lines: await stateOf(store, skipped), rows: (await rowsOf(store)).rows };
    });

  async function goldenRows(): Promise<unknown> {
    unpack(golden, join(home, 'golden'));
    return (await heldBy('golden')).rows;
  }

  async function expectSame(name: string, skipped: readonly SkippedRecord[]): Promise<void> {
    const { lines, rows } = await heldBy(name, skipped);
    expect(lines).toEqual(state);
    expect(rows).toEqual(await goldenRows());
  }

  test('its store is gone on with: nothing is read again, nothing is made anew, and it holds what it held', async () => {
    unpack(golden, join(home, 'node'));
    const { applied, rebuilt } = await follow(() => openGoldenLog(join(home, 'node/log'), head, clock), storeAt('node'), clock);
    expect([applied, rebuilt]).toEqual([0, []]);
    expect((await heldBy('node')).lines).toEqual(stored);
    expect((await readdir(join(home, 'node'))).sort()).toEqual(['log', 'store', 'store.json']);
  });

  test('its embedded log holds its topic, bytes, times and holes', async () => {
    unpack(golden, join(home, 'golden'));
    const log = await openGoldenLog(join(home, 'golden/log'), head, clock);
    const left = await contentsOf(log);
    await log.close();
    expect(left).toEqual(leftOf(topic));
  });

  /** Two parts, as the node that made it met them: the second behind a hole. */
  async function applied(openLog: () => Promise<Log>, compact: () => Promise<void>): Promise<SkippedRecord[]> {
    const runs: Followed[] = [];
    for (const part of ['early', 'late'] as const) {
      const log = await openLog();
      await feed(log, clock, topic, part);
      await log.close();
      if (part === 'late') await compact();
      runs.push(await follow(openLog, storeAt('node'), clock));
    }
    expect(runs.flatMap(({ rebuilt }) => rebuilt)).toEqual([]);
    return runs.flatMap(({ skipped }) => skipped);
  }

  test('its topic in memory comes to its state, in the same rows', async () => {
    const memory = openMemoryTopic({
      ...{ clock, chance: systemChance, topic: head.topic, partitions: head.partitions },
      ...{ compactionLagMs: head.compaction_lag_ms, deleteRetentionMs: head.delete_retention_ms },
    });
    const openLog = async (): Promise<Log> => openMemoryLog(memory);
    const skipped = await applied(openLog, async () => void memory.compact());
    expect(await contentsOf(await openLog())).toEqual(leftOf(topic));
    await expectSame('node', skipped);
  });

  test('its topic in an embedded log comes to its state, in the same rows', async () => {
    const openLog = () => openGoldenLog(join(home, 'fresh/log'), head, clock);
    const skipped = await applied(openLog, async () => {
      const log = await openLog();
      await log.compactNow();
      await log.close();
    });
    await expectSame('node', skipped);
  });

  test('its keys are the bytes that they were, in the partitions that they were in', () => {
    const decoded = topic.lines.map((line) => {
      const key = decodeRecord(recordAt(line));
      return typeof key === 'string' ? [] : [{ line, key: bytesOf(key.key) }];
    });
    const known = decoded.flat();
    expect(known.map(({ key }) => base64(key))).toEqual(known.map(({ line }) => line.key));
    const misplaced = known.filter(({ line, key }) => partitionOf(key, head.partitions) !== line.partition);
    expect(misplaced.map(({ line }) => line.what)).toEqual(['unreadable: a key of another partition']);
  });

  test('each of its records leaves what it left', async () => {
    expect(await stepsOf(topic)).toEqual(known.filter((line) => line.state === 'step'));
  });

  test('its snapshot is taken as a store', async () => {
    const giver = await fakeGiver(sends(readFileSync(join(folderOf(golden), 'snapshot.bin'))));
    unpack(golden, join(home, 'golden'));
    const identity = await withStore(join(home, 'golden/store'), async (store) => store.identity);
    const place = await openSeedPlace(join(home, 'node/store'));
    const members = () => [{ address: giver.address, socket: '' }];
    const seed = seedingFromPeers({ members, place, clock: realClock, chance: systemChance, logger: silentLogger });
    const { clusterId = '', topic: name = '', partitions = 0, genesis } = identity ?? {};
    const { signal } = new AbortController();
    const wanted = { clusterId, topic: name, partitions, genesis: genesis?.id, vacate: async () => undefined, signal };
    expect(await seed(wanted)).toBe('seeded');
    const { lines, rows } = await heldBy('node');
    expect(lines).toEqual(stored);
    expect(rows).toEqual(await goldenRows());
  });
});

test('golden 1 has every kind of record, every header, and all that is unreadable', () => {
  const { lines } = topicOf('1');
  const decoded = lines.map((line) => decodeRecord(recordAt(line)));
  const operations = decoded.map((each) => (typeof each === 'string' ? each : each.operation));
  expect([...new Set(operations)].sort()).toEqual([
    ...['bad-header', 'conditional-delete', 'conditional-put', 'delete', 'key-missing', 'key-not-text', 'put', 'statement', 'tombstone'],
    ...['unknown-operation', 'value-missing'],
  ]);
  const ours = ['op', 'id', 'by', 'exp', 'ct', 'ik', 'if', 'tx', 'ver', 'asof', 'at', 'vid', 'vby', 'vts'];
  const headers = new Set(lines.flatMap((line) => Object.keys(line.headers)));
  expect(ours.filter((name) => !headers.has(name))).toEqual([]);
  expect(lines.filter(({ headers: none }) => Object.keys(none).length === 0).length).toBeGreaterThan(3);
  const system = lines.map(({ key }) => Buffer.from(key, 'base64')).filter((key) => key[0] === 0);
  const names = system.map((key) => key.toString().split('/')[0]);
  expect([...new Set(names)].sort()).toEqual(['\0barrier', '\0genesis', '\0verify']);
  const reasons = (linesIn('1', 'state.jsonl') as StateLine[]).filter((line) => line.state === 'skipped').map(({ reason }) => reason);
  expect([...new Set(reasons)].sort()).toEqual(
    ['bad-header', 'key-missing', 'key-not-text', 'unknown-operation', 'value-missing', 'wrong-partition'].sort(),
  );
});
