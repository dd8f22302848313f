/** A store that may be the last copy of something stays where it was set aside, whatever happens to those that come after it. */
import { copyFile, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { surveyOf } from '../../storage/store/kept-values.ts';
import { setAside } from '../../storage/store/level-files.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { openStoppedStore } from '../../storage/store/stopped-store.ts';
import { fill } from './snapshot-store.ts';

let home: string;
let directory: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-aside-'));
  directory = join(home, 'store');
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function newStore(batches: number): Promise<void> {
  const store = await openLevelStore({ directory });
  await fill(store, 0, batches);
  await store.close();
}

async function valuesAt(place: string): Promise<number> {
  const kept = await openStoppedStore(place);
  try {
    return (await surveyOf(kept)).values;
  } finally {
    await kept.close();
  }
}

test('of another log: all are kept, with their markers and reasons, beside any number of damaged ones', async () => {
  await newStore(6);
  const first = await setAside(directory, 'the topic is another one', 'other-log');
  expect(first).toBe(`${directory}.other-log-1`);
  for (let i = 0; i < 4; i++) {
    await newStore(1);
    expect(await setAside(directory, 'again', 'other-log')).toBe(`${directory}.other-log-${i + 2}`);
    await newStore(1);
    await setAside(directory, 'a flipped bit');
  }
  const names = await readdir(home);
  expect(names.filter((name) => /other-log-\d+$/.test(name))).toHaveLength(5);
  expect(names.filter((name) => /damaged-\d+$/.test(name)).sort()).toEqual(['store.damaged-3', 'store.damaged-4']);
  expect(await readFile(`${first}.txt`, 'utf8')).toContain('the topic is another one');
  expect(await valuesAt(first)).toBe(6 * 49);
  // It is a store like any other.
  const store = await openLevelStore({ directory: first });
  expect(await store.verify()).toBeUndefined();
  await store.close();
});

test('a number that was used is not used again, though only the note of it is left', async () => {
  await newStore(1);
  const first = await setAside(directory, 'replaced', 'replaced');
  await rm(first, { recursive: true });
  await rm(`${first}.json`);
  await newStore(1);
  expect(await setAside(directory, 'replaced', 'replaced')).toBe(`${directory}.replaced-2`);
});

test('a process that dies in between leaves the data at one of the two places, never taken for nothing', async () => {
  // The marker is at the new place already.
  await newStore(3);
  await copyFile(`${directory}.json`, `${directory}.other-log-1.json`);
  const store = await openLevelStore({ directory });
  expect(store.checkpoints.some(({ entries }) => entries > 0)).toBe(true);
  await store.close();
  const place = await setAside(directory, 'again', 'other-log');
  expect(await valuesAt(place)).toBe(3 * 49);
  // The data are there, and the old marker still stands: nothing is made anew under it, and the next start makes way.
  await newStore(2);
  await copyFile(`${directory}.json`, `${directory}.other-log-3.json`);
  await rename(directory, `${directory}.other-log-3`);
  await expect(openLevelStore({ directory })).rejects.toMatchObject({ code: 'store-damaged' });
  await setAside(directory, 'it is gone');
  await newStore(1);
  expect(await valuesAt(`${directory}.other-log-3`)).toBe(2 * 49);
});

test('without a marker it is moved as it is, and where there is nothing it is refused', async () => {
  await expect(setAside(directory, 'why', 'replaced')).rejects.toMatchObject({ code: 'directory-unusable' });
  await newStore(2);
  await writeFile(join(directory, 'of-somebody'), 'x');
  await rm(`${directory}.json`);
  const place = await setAside(directory, 'why', 'replaced');
  expect(await readFile(join(place, 'of-somebody'), 'utf8')).toBe('x');
});
