import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { startChild } from './child-process.ts';
import { compareWithHistory, entriesAfter } from './store-history.ts';

test('kill -9 in the middle of a load loses nothing that was written, and entries, count and checkpoint agree', async () => {
  const home = await mkdtemp(join(tmpdir(), 'bitacora-crash-'));
  let before = 0;
  for (const more of [3, 40, 150]) {
    const child = startChild('./child-filling-store.ts', home);
    let printed = before;
    try {
      while (printed < before + more) printed = Number((await child.line()) ?? Number.NaN);
    } finally {
      await child.kill();
    }
    const store = await openLevelStore({ directory: join(home, 'store') });
    const found = await compareWithHistory(store);
    expect(found).toEqual({ batches: found.batches, wrong: 0, missing: 0, refused: 0 });
    expect(found.batches).toBeGreaterThanOrEqual(printed);
    expect(store.checkpoints[0]?.entries).toBe(entriesAfter(found.batches));
    expect(await store.verify()).toBeUndefined();
    before = found.batches;
    await store.close();
  }
  await rm(home, { recursive: true, force: true });
});
