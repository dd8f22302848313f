/** The state of an import or a move outlives a power cut: it is on disk before it takes the place of the one before, and its name then, too. */
import { open, readFile } from 'node:fs/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { saveState } from '../../src/app/import-state.ts';
import { directory } from './backup-setting.ts';

test('it is synced before it gets its name, and the name after', async () => {
  const path = (await directory())('state');
  await saveState(path, { n: 1 });
  const probe = await open(path, 'r');
  const handles = Object.getPrototypeOf(probe) as { sync(): Promise<void> };
  await probe.close();
  const { sync } = handles;
  const seen: string[] = [];
  const spy = vi.spyOn(handles, 'sync').mockImplementation(async function (this: typeof handles) {
    seen.push(await readFile(path, 'utf8'));
    await sync.call(this);
  });
  onTestFinished(() => spy.mockRestore());
  await saveState(path, { n: 2 });
  expect(seen.map((text) => JSON.parse(text))).toEqual([{ n: 1 }, { n: 2 }]);
});
