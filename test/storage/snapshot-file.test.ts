/** A snapshot in a file is the store it was taken of; a file that is cut off, changed, foreign or of a later format is refused, saying which. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { SnapshotSource, Store, StoreSeed } from '../../src/ports.ts';
import type { KeptSnapshot } from '../../storage/store/kept-snapshot.ts';
import { surveyOf, valuesIn } from '../../storage/store/kept-values.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { snapshotFilePlace } from '../../storage/store/snapshot-file.ts';
import { openSeedPlace } from '../../storage/store/snapshot-place.ts';
import { openSnapshotFile } from '../../storage/store/snapshot-reading.ts';
import { openStoppedStore } from '../../storage/store/stopped-store.ts';
import { jsonFrame, type SnapshotTold } from '../../wire/snapshot-frames.ts';
import { framesOf, told } from '../cluster/seed-givers.ts';
import { batch, contentsOf, fill, identity } from './snapshot-store.ts';

let home: string;
let giver: Store & SnapshotSource;
let path: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-snapshot-file-'));
  giver = await openLevelStore({ directory: join(home, 'giver') });
  path = join(home, 'file');
});
afterEach(async () => {
  await giver.close();
  await rm(home, { recursive: true, force: true });
});

const nothing = async (): Promise<void> => undefined;
const names = async (): Promise<string[]> => (await readdir(home)).filter((name) => !name.startsWith('giver')).sort();

/** Takes all rows there are when it begins; `meanwhile` happens before each of their runs. */
async function save(meanwhile: () => Promise<void> = nothing): Promise<void> {
  const snapshot = await giver.snapshot();
  const seed = await snapshotFilePlace(path).begin(snapshot);
  for await (const run of snapshot.read(undefined)) {
    await meanwhile();
    await seed.take(run.bytes);
  }
  await seed.finish(nothing);
  await snapshot.close();
}

/** Reads all of a file and checks all of it. */
async function readAll(file = path): Promise<KeptSnapshot> {
  const kept = await openSnapshotFile(file);
  try {
    await surveyOf(kept);
    return kept;
  } finally {
    await kept.close();
  }
}

async function restored(into: string, from: KeptSnapshot): Promise<object> {
  const seed = await (await openSeedPlace(into)).begin(from);
  for await (const run of from.runs()) await seed.take(run);
  await seed.finish(nothing);
  const store = await openLevelStore({ directory: into });
  try {
    expect(await store.verify()).toBeUndefined();
    return await contentsOf(store);
  } finally {
    await store.close();
  }
}

/** Why `file` is refused; every refusal is `store-damaged` and names it. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const file = join(home, 'bad');
  await writeFile(file, bytes);
  const error = await readAll(file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error === undefined ? 'nothing' : `${codeOf(error)}: ${(error as Error).message.replace(`${file}: `, '')}`;
}

test('two at once into one file do not write into one another: the last is there, whole', async () => {
  await fill(giver, 0, 6);
  let second: Promise<void> | undefined;
  await save(async () => {
    second ??= save();
    await second;
  });
  expect((await readAll()).checkpoints).toEqual(giver.checkpoints);
  expect(await names()).toEqual(['file']);
});

describe('a snapshot in a file', () => {
  test('is the store at that moment, whatever was written meanwhile', async () => {
    await fill(giver, 0, 60);
    const before = await contentsOf(giver);
    let more = 60;
    await save(async () => giver.write(batch(more++)));
    expect(await names()).toEqual(['file']);
    const kept = await openSnapshotFile(path);
    expect(await restored(join(home, 'taker'), kept)).toEqual(before);
    // It may be read as often as one likes.
    expect(await restored(join(home, 'taker-2'), kept)).toEqual(before);
    await kept.close();
  });

  test('is what a node sends, too', async () => {
    await fill(giver, 0, 20);
    await writeFile(path, Buffer.concat(told(await framesOf(giver))));
    const kept = await openSnapshotFile(path);
    expect(await restored(join(home, 'taker'), kept)).toEqual(await contentsOf(giver));
    await kept.close();
  });

  test('may be of an empty store', async () => {
    await giver.identify(identity);
    await save();
    const kept = await openSnapshotFile(path);
    expect(await surveyOf(kept)).toMatchObject({ rows: 0, values: 0 });
    expect(await restored(join(home, 'taker'), kept)).toEqual(await contentsOf(giver));
    await kept.close();
  });

  test('tells what is in it, value by value', async () => {
    await fill(giver, 0, 4);
    await save();
    const kept = await openSnapshotFile(path);
    expect(await surveyOf(kept)).toMatchObject({ values: 4 * 49, deleted: 4, unsettled: 4, doubtful: { count: 2 } });
    const keys: string[] = [];
    for await (const { key, entry } of valuesIn(kept, undefined)) {
      expect(entry.deleted).toBe(false);
      keys.push(key);
    }
    expect(keys).toHaveLength(4 * 49);
    const behind: string[] = [];
    for await (const { key } of valuesIn(kept, keys[99])) behind.push(key);
    expect(behind).toEqual(keys.slice(100));
    await kept.close();
  });

  test('that fails leaves the one that was there, and nothing else', async () => {
    await fill(giver, 0, 4);
    await save();
    const before = await readFile(path);
    const snapshot = await giver.snapshot();
    const attempt = async (damage: (seed: StoreSeed, run: Uint8Array) => Promise<void>): Promise<string> => {
      const seed = await snapshotFilePlace(path).begin(snapshot);
      try {
        for await (const run of snapshot.read(undefined)) await damage(seed, run.bytes);
        await seed.finish(nothing);
        return 'nothing';
      } catch (error) {
        return (error as Error).message;
      } finally {
        await seed.abandon();
      }
    };
    const flipped = (run: Uint8Array): Uint8Array => run.map((byte, at) => (at === run.length - 40 ? byte ^ 1 : byte));
    // A node's disk may have changed what it gives: it is noticed now, and not in a year.
    expect(await attempt((seed, run) => seed.take(flipped(run)))).toMatch(/checksum/);
    expect(await attempt(async () => undefined)).toMatch(/partition 0 has 0 entries/);
    expect(await attempt((seed, run) => seed.take(run).then(() => seed.take(run)))).toMatch(/not in order/);
    await snapshot.close();
    expect(await names()).toEqual(['file']);
    expect((await readFile(path)).equals(before)).toBe(true);
  });
});

describe('a file is refused', () => {
  let whole: Buffer;
  beforeEach(async () => {
    await fill(giver, 0, 12);
    await save();
    whole = await readFile(path);
    expect(await refusal(whole)).toBe('nothing');
  });

  test('wherever it is cut off', async () => {
    const cuts = [0, 1, 8, 9, 10, 200, whole.length - 60, whole.length - 9, whole.length - 1];
    for (let i = 1; i < 40; i++) cuts.push(Math.floor((whole.length * i) / 40));
    for (const cut of cuts) expect(await refusal(whole.subarray(0, cut)), `${cut}`).toMatch(/^store-damaged: .*cut off/);
  });

  test('whichever bit is another', async () => {
    // Every byte of the frames' heads and of head and end, and bytes here and there among the rows.
    const places = [...Array(500).keys(), ...Array.from({ length: 90 }, (_, i) => whole.length - 1 - i)];
    for (let i = 1; i < 60; i++) places.push(Math.floor((whole.length * i) / 60));
    for (const place of places) {
      const changed = Buffer.from(whole);
      changed[place]! ^= 1 << (place % 8);
      expect(await refusal(changed), `byte ${place}`).toMatch(/^store-damaged: /);
    }
  });

  test('with something behind its end', async () => {
    expect(await refusal(Buffer.concat([whole, Buffer.from('x')]))).toMatch(/^store-damaged: /);
    expect(await refusal(Buffer.concat([whole, whole]))).toMatch(/something stands behind its end/);
  });

  test('when it is something else', async () => {
    expect(await refusal(Buffer.from('{"bitacora":"export","format":1}\n'))).toMatch(/no backup.*`bitacora import` takes it/);
    expect(await refusal(Buffer.from('PK\x03\x04 an archive'))).toMatch(/no backup/);
    expect(await refusal(Buffer.alloc(5_000))).toMatch(/no backup/);
    // Rows without what says of which store they are.
    const [head, ...rest] = told(await framesOf(giver));
    expect(head).toBeDefined();
    expect(await refusal(Buffer.concat(rest))).toMatch(/does not begin as a backup/);
  });

  test('when it is of a later format, of the file or of the store', async () => {
    const { head, runs } = await framesOf(giver);
    const [, ...rest] = told({ head, runs });
    const later = jsonFrame('head', { ...head, snapshot: 2 } as unknown as SnapshotTold);
    expect(await refusal(Buffer.concat([later, ...rest]))).toMatch(/of format 2, made by a newer version.*reads format 1/);
    expect(await refusal(Buffer.concat(told({ head: { ...head, format: 7 }, runs })))).toMatch(/of format 7; this version reads format 1/);
  });

  test('when rows are missing though all checksums fit', async () => {
    const { head, runs } = await framesOf(giver);
    const [first] = head.checkpoints;
    const more = { ...head, checkpoints: [{ ...first!, entries: first!.entries + 1 }, ...head.checkpoints.slice(1)] };
    expect(await refusal(Buffer.concat(told({ head: more, runs })))).toMatch(/its checkpoint says/);
  });

  test('when it is not there', async () => {
    await expect(openSnapshotFile(join(home, 'none'))).rejects.toMatchObject({
      code: 'store-failed',
      message: expect.stringContaining('ENOENT'),
    });
  });
});

describe('a store that no node runs on', () => {
  test('is read as it is, as often as one likes', async () => {
    await fill(giver, 0, 8);
    const before = await contentsOf(giver);
    await giver.close();
    for (const into of ['one', 'two']) {
      const kept = await openStoppedStore(join(home, 'giver'));
      expect(await restored(join(home, into), kept)).toEqual(before);
      await kept.close();
    }
    giver = await openLevelStore({ directory: join(home, 'giver') });
    expect(await contentsOf(giver)).toEqual(before);
  });

  test('is not made where there is none, nor swept away where nothing vouches for it', async () => {
    await expect(openStoppedStore(join(home, 'none'))).rejects.toMatchObject({ code: 'directory-unusable' });
    expect(await names()).toEqual([]);
    await fill(giver, 0, 2);
    await giver.close();
    await rm(join(home, 'giver.json'));
    const kept = await openStoppedStore(join(home, 'giver'));
    expect((await surveyOf(kept)).values).toBe(2 * 49);
    await kept.close();
  });

  test('is refused while its node runs, and when it is damaged or was never used', async () => {
    const directory = join(home, 'giver');
    await giver.close();
    await expect(openStoppedStore(directory)).rejects.toMatchObject({ code: 'directory-unusable' });
    giver = await openLevelStore({ directory });
    await fill(giver, 0, 60);
    await giver.close();
    // What was in LevelDB's journal is in a table now.
    await (await openLevelStore({ directory })).close();
    const table = (await readdir(directory)).find((name) => name.endsWith('.ldb'))!;
    const bytes = await readFile(join(directory, table));
    bytes[bytes.length >> 1]! ^= 4;
    await writeFile(join(directory, table), bytes);
    await expect(openStoppedStore(directory)).rejects.toMatchObject({ code: 'store-damaged' });
  });
});
