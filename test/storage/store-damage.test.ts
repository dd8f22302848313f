import { cp, mkdtemp, open, readdir, readFile, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Store } from '../../src/ports.ts';
import { setAside } from '../../storage/store/level-files.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { batchOf, checkpointWith, entryWith, identityWith } from '../contract/store-values.ts';
import { compareWithHistory, makeHistory } from './store-history.ts';

/** 20 batches of new keys and 10 of changes in the tables, 5 of changes in the write-ahead file. */
const TABLES = 30;
const LATE = 5;

let sound: string;
let home: string;
let directory: string;

beforeAll(async () => {
  sound = await mkdtemp(join(tmpdir(), 'bitacora-sound-'));
  await makeHistory(sound, TABLES, LATE);
});
afterAll(() => rm(sound, { recursive: true, force: true }));

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bitacora-damage-'));
  directory = join(home, 'store');
  await cp(sound, home, { recursive: true });
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** The largest file of a kind. */
async function fileOf(kind: RegExp): Promise<string> {
  const names = (await readdir(directory)).filter((name) => kind.test(name));
  const files = await Promise.all(
    names.map(async (name) => ({ path: join(directory, name), size: (await stat(join(directory, name))).size })),
  );
  return files.sort((a, b) => b.size - a.size)[0]!.path;
}

const table = /\.ldb$/;
const writeAhead = /\.log$/;
const manifest = /^MANIFEST/;
const current = /^CURRENT$/;

type Finding = 'at open' | 'by get' | 'by verify' | 'nothing wrong' | 'older but whole';

/** Opens what is there, asks for everything, and says where the damage was found. Wrong data is never served. */
async function examine(): Promise<Finding> {
  let store: Store;
  try {
    store = await openLevelStore({ directory });
  } catch (error) {
    expect(codeOf(error)).toBe('store-damaged');
    return 'at open';
  }
  return examineOpen(store);
}

async function examineOpen(store: Store): Promise<Finding> {
  try {
    const { wrong, missing, refused, batches } = await compareWithHistory(store);
    expect({ wrong, missing }).toEqual({ wrong: 0, missing: 0 });
    if (refused > 0) return 'by get';
    if ((await store.verify()) !== undefined) return 'by verify';
    return batches === TABLES + LATE ? 'nothing wrong' : 'older but whole';
  } finally {
    await store.close();
  }
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at]! ^= 0x55;
  await writeFile(path, bytes);
}

/** Flips one byte at a time, in many places over the whole file; the file is whole again afterwards. */
async function flipThrough(path: string, places: number): Promise<Finding[]> {
  const { size } = await stat(path);
  const findings: Finding[] = [];
  for (let i = 0; i < places; i++) {
    await rm(home, { recursive: true, force: true });
    await cp(sound, home, { recursive: true });
    await flip(path, Math.floor(((i + 0.5) * size) / places));
    findings.push(await examine());
  }
  return findings;
}

describe('a damaged store', () => {
  test('a sound one is found sound', async () => {
    expect(await examine()).toBe('nothing wrong');
  });

  test('a flipped byte in a table is found at open, wherever it is', async () => {
    const findings = await flipThrough(await fileOf(table), 100);
    // The footer has padding that means nothing.
    expect(new Set(findings.slice(0, -1))).toEqual(new Set(['at open']));
  });

  test('a byte flipped in a table while the store is open is found by verify, whatever get says of it', async () => {
    const path = await fileOf(table);
    const { size } = await stat(path);
    const store = await openLevelStore({ directory });
    const file = await open(path, 'r+');
    try {
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size / 3);
      await file.write(Buffer.of(buffer[0]! ^ 0x55), 0, 1, size / 3);
      expect(await store.verify()).toContain('is damaged');
    } finally {
      await file.close();
      await store.close();
    }
  });

  test('a flipped byte in the write-ahead file is found, or costs the last batches and no other', async () => {
    const findings = await flipThrough(await fileOf(writeAhead), 40);
    expect(findings).not.toContain('nothing wrong');
    expect(findings).toContain('at open');
  });

  test('a flipped byte in the manifest is found at open', async () => {
    const findings = await flipThrough(await fileOf(manifest), 10);
    for (const finding of findings) expect(['at open', 'by verify', 'by get', 'nothing wrong', 'older but whole']).toContain(finding);
    expect(findings).toContain('at open');
  });

  const damages: [string, () => Promise<void>, Finding[]][] = [
    ['a deleted table', async () => unlink(await fileOf(table)), ['at open']],
    ['a deleted CURRENT', async () => unlink(await fileOf(current)), ['at open']],
    ['an empty CURRENT', async () => truncate(await fileOf(current), 0), ['at open']],
    ['a deleted MANIFEST', async () => unlink(await fileOf(manifest)), ['at open']],
    ['an empty MANIFEST', async () => truncate(await fileOf(manifest), 0), ['at open']],
    ['a table cut in half', async () => halve(await fileOf(table)), ['at open', 'by get']],
    ['an empty table', async () => truncate(await fileOf(table), 0), ['at open', 'by get']],
    ['a write-ahead file cut in half', async () => halve(await fileOf(writeAhead)), ['older but whole']],
    ['a deleted write-ahead file', async () => unlink(await fileOf(writeAhead)), ['older but whole']],
    ['a directory that is gone', () => rm(directory, { recursive: true }), ['at open']],
    ['an empty marker', () => truncate(`${directory}.json`, 0), ['at open']],
    ['a marker of a newer format', () => writeFile(`${directory}.json`, '{"format":2}'), ['at open']],
  ];
  for (const [name, damage, findings] of damages) {
    test(`${name} is found: ${findings.join(' or ')}`, async () => {
      await damage();
      expect(findings).toContain(await examine());
    });
  }

  async function halve(path: string): Promise<void> {
    await truncate(path, Math.floor((await stat(path)).size / 2));
  }

  test('a newer format is refused in words', async () => {
    await writeFile(`${directory}.json`, '{"format":2}');
    await expect(openLevelStore({ directory })).rejects.toThrow('format 2, made by a newer version; this version reads format 1');
  });

  test('is set aside with its reason, and a fresh one takes its place', async () => {
    await unlink(await fileOf(current));
    const place = await setAside(directory, 'CURRENT is missing');
    expect(place).toBe(`${directory}.damaged-1`);
    expect(await readFile(`${place}.txt`, 'utf8')).toContain('CURRENT is missing');
    const store = await openLevelStore({ directory });
    expect(store.identity).toBeUndefined();
    await store.close();
  });

  test('only the last two set aside are kept, also when nothing was left to set aside', async () => {
    for (let i = 0; i < 4; i++) await setAside(directory, `time ${i}`);
    const names = (await readdir(home)).sort();
    expect(names).toEqual(['store.damaged-3', 'store.damaged-3.txt', 'store.damaged-4', 'store.damaged-4.txt']);
  });
});

test('a table that a killed compaction left unfinished is no damage', async () => {
  const whole = await readFile(await fileOf(table));
  await writeFile(join(directory, '000990.ldb'), whole.subarray(0, whole.length / 2));
  await writeFile(join(directory, '000991.ldb'), '');
  expect(await examine()).toBe('nothing wrong');
});

test('nor is one whose number LevelDB takes again as it opens', async () => {
  const tables = async (of: string): Promise<string[]> => (await readdir(of)).filter((name) => table.test(name));
  // What is in the write-ahead file goes into a table at the next open: in a copy it shows which.
  const copy = join(home, 'copy');
  await cp(directory, copy, { recursive: true });
  await cp(`${directory}.json`, `${copy}.json`);
  await (await openLevelStore({ directory: copy })).close();
  const before = await tables(directory);
  const made = (await tables(copy)).filter((name) => !before.includes(name));
  expect(made.length).toBeGreaterThan(0);
  for (const name of made) await writeFile(join(directory, name), (await readFile(join(copy, name))).subarray(0, 100));
  expect(await examine()).toBe('nothing wrong');
});

describe('a directory without a marker', () => {
  test('is made anew when only a database that was never finished lies there', async () => {
    await rm(`${directory}.json`);
    const store = await openLevelStore({ directory });
    expect(store.identity).toBeUndefined();
    expect(await store.verify()).toBeUndefined();
    await store.close();
  });

  test('is left alone when it holds something else', async () => {
    await rm(`${directory}.json`);
    await writeFile(join(directory, 'thesis.doc'), 'years of work');
    const refused = await openLevelStore({ directory }).catch((error: unknown) => error);
    expect(codeOf(refused)).toBe('directory-unusable');
    expect(await readFile(join(directory, 'thesis.doc'), 'utf8')).toBe('years of work');
  });
});

test('an empty store can be opened again and again', async () => {
  const empty = join(home, 'empty');
  for (let i = 0; i < 3; i++) await (await openLevelStore({ directory: empty })).close();
  const store = await openLevelStore({ directory: empty });
  await store.identify(identityWith());
  await store.write(batchOf([['a', entryWith()]], { checkpoint: checkpointWith({ entries: 1 }) }));
  await store.close();
});
