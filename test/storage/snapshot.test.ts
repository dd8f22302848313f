/** A store made from another one's snapshot is that store, whatever was written meanwhile; what is not a sound store's leaves nothing. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { SeedPlace, SnapshotHead, SnapshotSource, Store, StoreSnapshot } from '../../src/ports.ts';
import { type Level, openLevel } from '../../storage/level.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { openSeedPlace } from '../../storage/store/snapshot-place.ts';
import { checkpointWith } from '../contract/store-values.ts';
import { batch, contentsOf, fill, joinRows, type Row, rowsOf } from './snapshot-store.ts';

const batches = 60;

let home: string;
let giver: Store & SnapshotSource;
let directory: string;
let place: SeedPlace;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-snapshot-'));
  giver = await openLevelStore({ directory: join(home, 'giver') });
  await fill(giver, 0, batches);
  directory = join(home, 'taker', 'store');
  place = await openSeedPlace(directory);
});
afterEach(async () => {
  await giver.close();
  await rm(home, { recursive: true, force: true });
});

const nothing = async (): Promise<void> => undefined;
const namesAtTaker = async (): Promise<string[]> => (await readdir(join(home, 'taker')).catch(() => [])).sort();

/** What a failed attempt must come to: its code, and nothing left. */
async function refused(head: SnapshotHead, runs: Uint8Array[]): Promise<string> {
  let message = '';
  try {
    const seed = await place.begin(head);
    try {
      for (const run of runs) await seed.take(run);
      await seed.finish(nothing);
    } finally {
      await seed.abandon();
    }
  } catch (error) {
    expect(codeOf(error)).toBe('store-damaged');
    message = (error as Error).message;
  }
  expect(await namesAtTaker()).toEqual([]);
  return message;
}

async function takeAll(snapshot: StoreSnapshot): Promise<void> {
  const seed = await place.begin(snapshot);
  for await (const run of snapshot.read(undefined)) await seed.take(run.bytes);
  await seed.finish(nothing);
}

describe('a store from a snapshot', () => {
  test('is the giver’s at that moment, though it was written to meanwhile, and goes on as one', async () => {
    const before = await contentsOf(giver);
    const snapshot = await giver.snapshot();
    const seed = await place.begin(snapshot);
    let more = batches;
    for await (const run of snapshot.read(undefined)) {
      await giver.write(batch(more++));
      await seed.take(run.bytes);
    }
    await fill(giver, more, batches + 10);
    await snapshot.close();
    await seed.finish(nothing);
    expect(await namesAtTaker()).toEqual(['store', 'store.json']);
    const store = await openLevelStore({ directory });
    expect(await contentsOf(store)).toEqual(before);
    expect(await store.verify()).toBeUndefined();
    // The log brings it to where the giver is.
    await fill(store, batches, batches + 10);
    expect(await contentsOf(store)).toEqual(await contentsOf(giver));
    await store.close();
    const again = await openLevelStore({ directory });
    expect(await contentsOf(again)).toEqual(await contentsOf(giver));
    expect(await again.verify()).toBeUndefined();
    await again.close();
  });

  test('can be given on', async () => {
    const first = await giver.snapshot();
    await takeAll(first);
    await first.close();
    const store = await openLevelStore({ directory });
    expect(await rowsOf(store)).toEqual(await rowsOf(giver));
    await store.close();
  });

  test('is read on behind any row, with the same rows', async () => {
    const { rows } = await rowsOf(giver);
    const snapshot = await giver.snapshot();
    for (const at of [0, 1, 777, rows.length - 2, rows.length - 1]) {
      const runs: Uint8Array[] = [];
      for await (const run of snapshot.read(rows[at]![0])) runs.push(run.bytes);
      expect(Buffer.concat(runs).equals(joinRows(rows.slice(at + 1)))).toBe(true);
    }
    await snapshot.close();
  });

  test('takes the place of one with data, which is closed when all has come and not before', async () => {
    const old = await openLevelStore({ directory });
    await fill(old, 0, 4);
    const seed = await place.begin(await giver.snapshot());
    for await (const run of (await giver.snapshot()).read(undefined)) await seed.take(run.bytes);
    expect(await old.verify()).toBeUndefined();
    await seed.finish(() => old.close());
    const store = await openLevelStore({ directory });
    expect(await contentsOf(store)).toEqual(await contentsOf(giver));
    await store.close();
  });

  test('is not put where the old one cannot go: that stays', async () => {
    const old = await openLevelStore({ directory });
    await fill(old, 0, 4);
    const before = await contentsOf(old);
    const snapshot = await giver.snapshot();
    const seed = await place.begin(snapshot);
    for await (const run of snapshot.read(undefined)) await seed.take(run.bytes);
    await expect(seed.finish(() => Promise.reject(new Error('it does not close')))).rejects.toThrow('it does not close');
    await seed.abandon();
    expect(await contentsOf(old)).toEqual(before);
    await old.close();
    expect(await namesAtTaker()).toEqual(['store', 'store.json']);
  });

  test('never clears away what is no store', async () => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'thesis.doc'), 'years of work');
    const seed = await place.begin(await giver.snapshot());
    for await (const run of (await giver.snapshot()).read(undefined)) await seed.take(run.bytes);
    expect(codeOf(await seed.finish(nothing).catch((error: unknown) => error))).toBe('directory-unusable');
    await seed.abandon();
    expect(await readdir(directory)).toEqual(['thesis.doc']);
    expect(await namesAtTaker()).toEqual(['store']);
  });
});

describe('a seed', () => {
  let head: SnapshotHead;
  let rows: Row[];
  beforeEach(async () => {
    ({ head, rows } = await rowsOf(giver));
  });

  const changed = (at: number, change: (row: Row) => Row): Uint8Array[] => [joinRows(rows.with(at, change(rows[at]!)))];
  const firstOf = (letter: string): number => rows.findIndex(([key]) => key[0] === letter.charCodeAt(0));
  const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, bytes[at]! ^ 0x10);

  test('of sound rows has every family', () => {
    expect([...new Set(rows.map(([key]) => String.fromCharCode(key[0]!)))]).toEqual(['a', 'e', 'f', 'u', 'w']);
  });

  for (const letter of ['a', 'e', 'f', 'u', 'w']) {
    test(`with a flipped bit in a row of ${letter} leaves nothing`, async () => {
      const at = firstOf(letter);
      expect(
        await refused(
          head,
          changed(at, ([key, row]) => [key, flipped(row, row.length - 1)]),
        ),
      ).toContain('checksum');
      expect(
        await refused(
          head,
          changed(at, ([key, row]) => [flipped(key, key.length - 1), row]),
        ),
      ).toMatch(/checksum|order/);
    });
  }

  const lies: [string, () => [SnapshotHead, Uint8Array[]], string][] = [
    ['rows out of order', () => [head, [joinRows([...rows.slice(0, 100), rows[101]!, rows[100]!, ...rows.slice(102)])]], 'order'],
    ['a repeated row', () => [head, [joinRows(rows.slice(0, 101)), joinRows(rows.slice(100))]], 'order'],
    ['a missing entry', () => [head, [joinRows(rows.toSpliced(firstOf('e') + 9, 1))]], 'its checkpoint says'],
    ['an entry too many', () => [fewer(), [joinRows(rows)]], 'more entries than its checkpoint'],
    ['an unsettled key that is not listed', () => [head, [joinRows(rows.toSpliced(firstOf('u'), 1))]], 'are listed as such'],
    ['a row of a family that does not travel', () => [head, changed(firstOf('f'), ([, row]) => [Buffer.from('i'), row])], 'family'],
    ['half a row at the end', () => [head, [joinRows(rows).subarray(0, -1)]], 'cut short'],
    ['fewer partitions', () => [{ ...head, identity: { ...head.identity, partitions: 1 } }, [joinRows(rows)]], ''],
    ['no partition at all', () => [{ ...head, identity: { ...head.identity, partitions: 0 }, checkpoints: [] }, []], 'partitions'],
    ['another format', () => [{ ...head, format: 2 }, []], 'format 2'],
    [
      'more rows than the log can have given',
      () => [{ ...head, checkpoints: [checkpointWith(), checkpointWith()] }, [joinRows(rows)]],
      'more',
    ],
  ];
  const fewer = (): SnapshotHead => ({
    ...head,
    checkpoints: head.checkpoints.map((checkpoint) => ({ ...checkpoint, entries: checkpoint.entries - 1 })),
  });
  for (const [name, lie, reason] of lies) {
    test(`with ${name} leaves nothing`, async () => {
      const message = await refused(...lie());
      expect(message).not.toBe('');
      expect(message).toContain(reason);
    });
  }

  test('that is given up half way leaves nothing, and another may begin', async () => {
    const seed = await place.begin(head);
    await seed.take(joinRows(rows.slice(0, 500)));
    expect(codeOf(await place.begin(head).catch((error: unknown) => error))).toBe('internal');
    await seed.abandon();
    await seed.abandon();
    expect(codeOf(await seed.take(joinRows(rows)).catch((error: unknown) => error))).toBe('closed');
    expect(await namesAtTaker()).toEqual([]);
    await (await place.begin(head)).abandon();
  });

  test('that a process which died has left is removed by the next', async () => {
    await mkdir(`${directory}.seed`, { recursive: true });
    await writeFile(join(`${directory}.seed`, '000003.log'), 'half');
    await writeFile(`${directory}.seed.json`, '{"format":1}');
    await openSeedPlace(directory);
    expect(await namesAtTaker()).toEqual([]);
  });

  test('whose last step was cut short is no store: it is made anew', async () => {
    // The markers are gone and the directory is moved, and then the process dies.
    const snapshot = await giver.snapshot();
    await takeAll(snapshot);
    await rm(`${directory}.json`);
    const store = await openLevelStore({ directory });
    expect(store.identity).toBeUndefined();
    await store.close();
  });

  test('ends with its signal before anything is moved', async () => {
    const seed = await place.begin(head);
    await seed.take(joinRows(rows));
    const reason = new Error('enough');
    await expect(seed.finish(() => Promise.reject(new Error('not asked')), AbortSignal.abort(reason))).rejects.toBe(reason);
    await seed.abandon();
    expect(await namesAtTaker()).toEqual([]);
  });
});

describe('a disk that fails', () => {
  test('is this node’s trouble, and leaves nothing', async () => {
    let writes = 0;
    const failing = async (...given: Parameters<typeof openLevel>): Promise<Level> => {
      const level = await openLevel(...given);
      const batch = level.batch.bind(level) as () => ReturnType<Level['batch']>;
      level.batch = ((): ReturnType<Level['batch']> => {
        const made = batch();
        if (writes++ >= 1) made.write = () => made.close().then(() => Promise.reject(new Error('IO error: no space left on device')));
        return made;
      }) as Level['batch'];
      return level;
    };
    place = await openSeedPlace(directory, failing);
    const { head, rows } = await rowsOf(giver);
    const seed = await place.begin(head);
    await seed.take(joinRows(rows.slice(0, 500)));
    await seed.take(joinRows(rows.slice(500, 1_000)));
    const late = await seed.take(joinRows(rows.slice(1_000))).catch((error: unknown) => error);
    expect([codeOf(late), (late as Error).message]).toEqual(['store-failed', expect.stringContaining('no space')]);
    await seed.abandon();
    expect(await namesAtTaker()).toEqual([]);
    const again = await place.begin(head);
    await again.take(joinRows(rows));
    expect(codeOf(await again.finish(nothing).catch((error: unknown) => error))).toBe('store-failed');
    await again.abandon();
    expect(await namesAtTaker()).toEqual([]);
  });
});

describe('a snapshot', () => {
  test('of a store that knows no log yet is refused', async () => {
    const fresh = await openLevelStore({ directory: join(home, 'fresh') });
    expect(codeOf(await fresh.snapshot().catch((error: unknown) => error))).toBe('position-not-reached');
    await fresh.close();
  });

  test('ends with its store', async () => {
    const snapshot = await giver.snapshot();
    const runs = snapshot.read(undefined)[Symbol.asyncIterator]();
    await giver.close();
    expect(codeOf(await runs.next().catch((error: unknown) => error))).toBe('closed');
    await snapshot.close();
    expect(codeOf(await giver.snapshot().catch((error: unknown) => error))).toBe('closed');
  });
});
