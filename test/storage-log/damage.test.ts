/** The embedded log never serves past silent damage. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Offset } from '../../src/ports.ts';
import { type Level, openLevel } from '../../storage/level.ts';
import { endKey, newestKey, recordKey } from '../../storage/log/embedded/rows.ts';
import { bytes, collect, failure, fromStart, newRecord, o, p, readAll } from '../contract/log-harness.ts';
import { freshDirectory, openIn } from './setting.ts';

/** A log of ten records in 0, after something was done to its database. */
async function damagedLog(damage: (level: Level) => Promise<void>, compactionLagMs = 3_600_000) {
  const directory = await freshDirectory();
  const log = await openIn(directory, { compactionLagMs });
  for (let i = 0; i < 10; i += 1) await log.append(p(0), newRecord(`k${i % 7}`, `${i}`));
  if (compactionLagMs === 0) await log.compactNow();
  await log.close();
  const level = await openLevel(join(directory, 'level'), { create: false });
  await damage(level);
  await level.close();
  return openIn(directory, { compactionLagMs });
}

async function flip(level: Level, key: Uint8Array): Promise<void> {
  const row = Uint8Array.from((await level.get(key)) ?? []);
  row[row.length - 1] = (row.at(-1) ?? 0) ^ 1;
  await level.put(key, row);
}

test.each([
  ['a flipped byte', (level: Level) => flip(level, recordKey(p(0), 6 as Offset)), /damaged at 0:6/],
  ['a lost record', (level: Level) => level.del(recordKey(p(0), 6 as Offset)), /damaged at 0:6: a record is missing/],
  ['lost last records', (level: Level) => level.batch([8, 9].map((n) => ({ type: 'del', key: recordKey(p(0), o(n)) }))), /damaged at 0:8/],
  [
    'a record in the place of another',
    async (level: Level) => level.put(recordKey(p(0), o(6)), (await level.get(recordKey(p(0), o(5)))) ?? bytes('')),
    /damaged at 0:6/,
  ],
])('%s ends the subscription, naming the place and what to do', async (_, damage, words) => {
  const log = await damagedLog(damage);
  const { collector } = await collect(log, fromStart(log));
  await collector.until(() => collector.error !== undefined, 'the end', 10_000);
  expect(collector.error).toMatchObject({ code: 'log-unavailable' });
  expect(collector.error?.message).toMatch(words);
  expect(collector.error?.message).toMatch(/restore/i);
  expect(collector.records(0).filter((record) => record.offset >= 6)).toEqual([]);
  // What lies behind the damage can still be read by who knows to be past it.
  const behind = await readAll(log, 10_000, [(await log.bounds())[0]?.next ?? o(0), o(0)]);
  expect(behind.violations).toEqual([]);
});

test('a partition whose end cannot be read is refused at opening', async () => {
  await expect(damagedLog((level) => flip(level, endKey(p(0))))).rejects.toMatchObject({ code: 'topic-unusable' });
});

test('compaction deletes nothing by a damaged row', async () => {
  const log = await damagedLog((level) => flip(level, newestKey(p(0), bytes('k5'))), 0);
  await log.append(p(0), newRecord('k5', 'newer'));
  expect(await failure(log.compactNow())).toBe('log-unavailable');
  expect((await readAll(log, 10_000)).values(0)).toEqual(['3', '4', '5', '6', '7', '8', '9', 'newer']);
});
