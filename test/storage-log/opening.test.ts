/** Opening the embedded log: what it refuses, and in which words. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newRecord, p, readAll } from '../contract/log-harness.ts';
import { freshDirectory, openIn, turnedClock } from './setting.ts';

test('a directory made with another partition count is refused, naming both and the way out', async () => {
  const directory = await freshDirectory();
  await (await openIn(directory, { partitions: 2 })).close();
  const refused = openIn(directory, { partitions: 8 });
  await expect(refused).rejects.toMatchObject({ code: 'topic-unusable' });
  await expect(refused).rejects.toThrow(/has 2 partitions, the settings say 8.*set the partitions to 2, or begin an empty log/);
});

test("another topic's directory is refused", async () => {
  const directory = await freshDirectory();
  await (await openIn(directory)).close();
  await expect(openIn(directory, { topic: 'other' })).rejects.toMatchObject({ code: 'topic-unusable' });
});

test('the cluster id is made once and is different for every log', async () => {
  const directory = await freshDirectory();
  const first = await openIn(directory);
  await first.close();
  const again = await openIn(directory);
  const other = await openIn(await freshDirectory());
  expect(again.identity.clusterId).toBe(first.identity.clusterId);
  expect(other.identity.clusterId).not.toBe(first.identity.clusterId);
});

test('a log whose database has lost its CURRENT file is refused, not begun anew', async () => {
  const directory = await freshDirectory();
  const log = await openIn(directory);
  await log.append(p(0), newRecord('k', 'v'));
  await log.close();
  await rm(join(directory, 'level', 'CURRENT'));
  await expect(openIn(directory)).rejects.toMatchObject({ code: 'topic-unusable' });
});

test("a log.json that is not this database's is refused", async () => {
  const directory = await freshDirectory();
  const log = await openIn(directory);
  await log.close();
  const { clusterId: _, ...rest } = { clusterId: '', format: 1, topic: 'test', partitions: 2 };
  await writeFile(join(directory, 'log.json'), JSON.stringify({ ...rest, clusterId: 'other' }));
  await expect(openIn(directory)).rejects.toMatchObject({ code: 'topic-unusable' });
  await writeFile(join(directory, 'log.json'), '{"form');
  await expect(openIn(directory)).rejects.toMatchObject({ code: 'topic-unusable' });
});

test('a making that was interrupted before its last step is finished', async () => {
  const directory = await freshDirectory();
  const log = await openIn(directory);
  await log.close();
  await rm(join(directory, 'log.json'));
  expect((await openIn(directory)).identity).toEqual(log.identity);
});

test('a second opening in the same process is refused and leaves the first one well', async () => {
  const directory = await freshDirectory();
  const log = await openIn(directory);
  await expect(openIn(directory)).rejects.toMatchObject({ code: 'directory-locked' });
  await log.append(p(0), newRecord('k', 'v'));
  expect((await readAll(log, 10_000)).values(0)).toEqual(['v']);
});

test('a directory that cannot be made is named', async () => {
  const directory = await freshDirectory();
  await writeFile(join(directory, '..', 'file'), '');
  await expect(openIn(join(directory, '..', 'file', 'log'))).rejects.toMatchObject({ code: 'directory-unusable' });
});

test('log times never go back, though the wall clock steps back, and over a restart', async () => {
  const directory = await freshDirectory();
  const clock = turnedClock();
  const log = await openIn(directory, { clock });
  await log.append(p(0), newRecord('a', '1'));
  clock.turn(-60_000);
  await log.append(p(0), newRecord('b', '2'));
  await log.close();
  const reopened = await openIn(directory, { clock });
  await reopened.append(p(0), newRecord('c', '3'));
  clock.turn(120_000);
  await reopened.append(p(0), newRecord('d', '4'));
  const start = 1_800_000_000_000;
  expect((await readAll(reopened, 10_000)).records(0).map(({ time }) => time - start)).toEqual([0, 0, 0, 60_000]);
});
