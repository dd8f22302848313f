/** A disk that fails: a small file system that fills up where this process may mount one, and in any case a database that fails. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { BitacoraError, codeOf } from '../../src/core/errors.ts';
import type { Offset, Store } from '../../src/ports.ts';
import { type Level, openLevel } from '../../storage/level.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { batchOf, checkpointWith, entryWith, identityWith, partition } from '../contract/store-values.ts';

async function expectDead(store: Store): Promise<void> {
  const questions: (() => Promise<unknown>)[] = [
    () => store.get('k0'),
    () => store.load([]),
    () => store.write(batchOf([])),
    () => store.identify(identityWith({ partitions: 1 })),
    () => store.writers(partition(0)),
    () => store.unsettled(),
    () => store.verify(),
  ];
  for (const question of questions) expect(codeOf(await question().catch((error: unknown) => error))).toBe('store-failed');
}

/** Writes batches of one entry until one fails; returns how many were written. */
async function writeUntilFailure(store: Store, valueBytes: number, most: number): Promise<{ written: number; error: unknown }> {
  for (let i = 0; i < most; i++) {
    const entry = entryWith({ version: i as Offset, settled: false, value: randomBytes(valueBytes) });
    try {
      await store.write(batchOf([[`k${i}`, entry]], { checkpoint: checkpointWith({ next: i + 1, entries: i + 1 }) }));
    } catch (error) {
      return { written: i, error };
    }
  }
  return { written: most, error: undefined };
}

async function expectWhole(store: Store, written: number): Promise<void> {
  expect(store.checkpoints[0]).toEqual(checkpointWith({ next: written, entries: written }));
  for (let i = 0; i < written; i++) expect((await store.get(`k${i}`))?.version).toBe(i);
  expect(await store.get(`k${written}`)).toBeUndefined();
  expect(await store.unsettled()).toHaveLength(written);
  expect(await store.verify()).toBeUndefined();
}

describe('a database that fails', () => {
  test('answers store-failed to everything until it is opened again, and then has all that it acknowledged', async () => {
    const home = await mkdtemp(join(tmpdir(), 'bitacora-failing-'));
    const directory = join(home, 'store');
    let writes = 0;
    const open = async (...given: Parameters<typeof openLevel>): Promise<Level> => {
      const level = await openLevel(...given);
      const batch = level.batch.bind(level) as () => ReturnType<Level['batch']>;
      const failing = (): ReturnType<Level['batch']> => {
        const made = batch();
        const write = made.write.bind(made);
        made.write = (options?: object) =>
          ++writes > 5 ? Promise.reject(new Error('IO error: no space left on device')) : write(options ?? {});
        return made;
      };
      return Object.assign(level, { batch: failing });
    };
    const store = await openLevelStore({ directory, open });
    await store.identify(identityWith({ partitions: 1 }));
    const { written, error } = await writeUntilFailure(store, 100, 10);
    expect(written).toBe(4);
    expect(codeOf(error)).toBe('store-failed');
    await expectDead(store);
    await store.close();
    const again = await openLevelStore({ directory });
    await expectWhole(again, 4);
    await again.close();
    await rm(home, { recursive: true, force: true });
  });

  test('fails the batches that wait behind the one that failed', async () => {
    const home = await mkdtemp(join(tmpdir(), 'bitacora-failing-'));
    const open = async (...given: Parameters<typeof openLevel>): Promise<Level> => {
      const level = await openLevel(...given);
      const batch = level.batch.bind(level) as () => ReturnType<Level['batch']>;
      let made = 0;
      const failing = (): ReturnType<Level['batch']> => {
        const next = batch();
        if (++made === 3) next.write = () => Promise.reject(new BitacoraError('store-failed', 'no'));
        return next;
      };
      return Object.assign(level, { batch: failing });
    };
    const store = await openLevelStore({ directory: join(home, 'store'), open });
    await store.identify(identityWith({ partitions: 1 }));
    const writes = ['a', 'b', 'c', 'd'].map((key, i) =>
      store.write(batchOf([[key, entryWith()]], { checkpoint: checkpointWith({ next: i + 1, entries: i + 1 }) })),
    );
    const outcomes = await Promise.allSettled(writes);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected']);
    expect(store.checkpoints[0]?.next).toBe(1);
    await store.close();
    const again = await openLevelStore({ directory: join(home, 'store') });
    expect(await again.load(['a', 'b', 'c', 'd'])).toEqual([expect.anything(), undefined, undefined, undefined]);
    expect(await again.verify()).toBeUndefined();
    await again.close();
    await rm(home, { recursive: true, force: true });
  });
});

/** A file system of 8 MB; undefined where this process may not mount one. */
function smallDisk(): string | undefined {
  const path = mkdtempSync(join(tmpdir(), 'bitacora-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', path], { stdio: 'ignore' });
    return path;
  } catch {
    rmdirSync(path);
    return undefined;
  }
}

const disk = smallDisk();
afterAll(() => {
  if (disk === undefined) return;
  execFileSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

describe('a disk that is full', () => {
  if (disk === undefined) {
    test('cannot be made here, without the right to mount one: only the failing database above was tried', () => {
      console.warn('store-failure: the full disk was not tried, as this process may not mount a file system');
    });
    return;
  }

  test('fails the write, and once there is room again all is there and goes on', async () => {
    const directory = join(disk, 'store');
    const ballast = join(disk, 'ballast');
    await writeFile(ballast, Buffer.alloc(4 * 1024 * 1024));
    const store = await openLevelStore({ directory, writeBufferBytes: 256 * 1024 });
    await store.identify(identityWith({ partitions: 1 }));
    const { written, error } = await writeUntilFailure(store, 20_000, 1000);
    expect(codeOf(error)).toBe('store-failed');
    expect(written).toBeGreaterThan(20);
    await unlink(ballast);
    await expectDead(store);
    await store.close();
    const again = await openLevelStore({ directory, writeBufferBytes: 256 * 1024 });
    await expectWhole(again, written);
    const next = checkpointWith({ next: written + 1, entries: written + 1 });
    await again.write(batchOf([['more', entryWith()]], { checkpoint: next }));
    expect(await again.verify()).toBeUndefined();
    await again.close();
    await rm(directory, { recursive: true });
    await rm(`${directory}.json`);
  });

  test('a new store says that the directory cannot be used', async () => {
    const ballast = join(disk, 'ballast');
    await writeFile(ballast, Buffer.alloc(16 * 1024 * 1024)).catch((error: NodeJS.ErrnoException) => expect(error.code).toBe('ENOSPC'));
    const refused = await openLevelStore({ directory: join(disk, 'other') }).catch((error: unknown) => error);
    expect(['directory-unusable', 'store-failed']).toContain(codeOf(refused));
    await unlink(ballast);
  });
});
