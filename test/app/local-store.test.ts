/** The local database on a real disk, while a node answers from the one of before: gone when the log has it all, kept when nobody knows. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localStore } from '../../src/app/local-store.ts';
import type { Logger, Store } from '../../src/ports.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { silentLogger } from '../contract/silent-logger.ts';
import { fill } from '../storage/snapshot-store.ts';

let home: string;
let directory: string;
let told: string[];
const logger: Logger = { ...silentLogger, error: (fields) => told.push((fields as { event: string }).event) };

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-local-'));
  directory = join(home, 'store');
  told = [];
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = () => localStore(directory, logger, async (store) => store);
const names = async (): Promise<string[]> => (await readdir(home)).filter((name) => !/\.(json|txt)$/.test(name)).sort();
const entriesOf = ({ checkpoints }: Store): number => checkpoints.reduce((sum, { entries }) => sum + entries, 0);

async function filled(): Promise<number> {
  const store = await openLevelStore({ directory });
  await fill(store, 0, 3);
  const entries = entriesOf(store);
  await store.close();
  return entries;
}

test('it is read where it was set aside, while another is made in its place, and removed then', async () => {
  const entries = await filled();
  const local = await open();
  const stale = await local.stale.setAside('an operator has asked for it');
  expect(entriesOf(stale)).toBe(entries);
  const fresh = await local.openStore();
  expect(entriesOf(fresh)).toBe(0);
  expect(await names()).toEqual(['store', 'store.stale-1']);
  await local.stale.forget(stale);
  expect(await names()).toEqual(['store']);
  await fresh.close();
  expect(told).toEqual([]);
});

test.each(['the log is another one', 'the process has died'])('%s: it is kept, whole, and the node says so', async (why) => {
  const entries = await filled();
  const local = await open();
  const stale = await local.stale.setAside('an operator has asked for it');
  if (why === 'the log is another one') await local.stale.keep(stale, why);
  else {
    await stale.close();
    await open();
  }
  expect(await names()).toEqual(['store.other-log-1']);
  expect(told).toEqual(['store.kept']);
  const kept = await openLevelStore({ directory: `${directory}.other-log-1` });
  expect(entriesOf(kept)).toBe(entries);
  expect(await kept.verify()).toBeUndefined();
  await kept.close();
});
