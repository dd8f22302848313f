/**
 * How test/golden/1 was made: `npx tsx test/golden/make.ts DIRECTORY`, once. Tests only read what it wrote then; no test runs it, as what today's
 * code writes proves nothing about what yesterday's wrote. A version that writes something else adds a golden of its own, made from a copy of this.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { framesOf, told } from '../cluster/seed-givers.ts';
import { GoldenClock } from './golden-clock.ts';
import { follow, openGoldenLog, packed, withStore } from './golden-node.ts';
import { inOrder, type StateLine, stateOf } from './golden-state.ts';
import { stepsOf } from './golden-steps.ts';
import { base64, contentsOf, feed, type TopicHead, type TopicLine } from './golden-topic.ts';
import { afterMs, compactionLagMs, type Planned, partitions, sequence } from './sequence.ts';

const out = process.argv[2];
if (out === undefined) throw new Error('where to?');
mkdirSync(out, { recursive: true });

const head: TopicHead = {
  topic: 'golden',
  partitions,
  compaction_lag_ms: compactionLagMs,
  delete_retention_ms: 7 * 86_400_000,
  now: afterMs,
};
const lineOf = ({ partition, offset, time, record, what, late }: Planned): TopicLine => ({
  ...{ partition, offset, time, key: base64(record.key), value: record.value && base64(record.value) },
  headers: Object.fromEntries(Object.entries(record.headers).map(([name, bytes]) => [name, base64(bytes)])),
  what,
  ...(late ? { late } : {}),
});
const write = (file: string, lines: readonly object[]): void =>
  writeFileSync(join(out, file), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

const home = mkdtempSync(join(tmpdir(), 'bitacora-golden-'));
try {
  const all = sequence().map(lineOf);
  const clock = new GoldenClock(head.now);
  const openLog = () => openGoldenLog(join(home, 'log'), head, clock);
  const openStore = () => openLevelStore({ directory: join(home, 'store') });
  const early = await openLog();
  await feed(early, clock, { head, lines: all }, 'early');
  await early.close();
  const before = await follow(openLog, openStore, clock);
  const late = await openLog();
  await feed(late, clock, { head, lines: all }, 'late');
  await late.compactNow();
  const left = new Set((await contentsOf(late)).map(({ partition, offset }) => `${partition}:${offset}`));
  await late.close();
  const after = await follow(openLog, openStore, clock);
  const lines = all.map((line) => (left.has(`${line.partition}:${line.offset}`) ? line : { ...line, compacted: true as const }));
  write('topic.jsonl', [head, ...lines]);
  const state = await withStore(join(home, 'store'), async (store) => {
    writeFileSync(join(out, 'snapshot.bin'), Buffer.concat(told(await framesOf(store))));
    return stateOf(store, [...before.skipped, ...after.skipped]);
  });
  const steps: StateLine[] = await stepsOf({ head, lines });
  write('state.jsonl', [...inOrder(state), ...steps]);
  writeFileSync(join(out, 'data.jsonl'), packed(home));
} finally {
  rmSync(home, { recursive: true, force: true });
}
process.exit();
