/** `bitacora backup` and `restore`: what is saved comes back, and whatever stands in the way is said and leaves everything as it was. */
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { SnapshotSource, Store } from '../../src/ports.ts';
import { openDataDirectory } from '../../storage/data-directory.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { cuttingProxy, fakeGiver, framesOf, sends, stopGivers, told } from '../cluster/seed-givers.ts';
import { startServer } from '../rpc/http/start-server.ts';
import { batch, contentsOf, fill } from '../storage/snapshot-store.ts';
import { directory, run } from './backup-setting.ts';
import { contentsAt, makeStore, numbered } from './kept-stores.ts';

afterEach(stopGivers);

type Giver = Store & SnapshotSource;

/** A store as a node has it open, with a few thousand rows. */
async function giver(path: string): Promise<Giver> {
  const store = await openLevelStore({ directory: path });
  onTestFinished(() => store.close());
  await fill(store, 0, 60);
  return store;
}

/** A node that gives it. */
async function giving(source: () => SnapshotSource | undefined): Promise<string> {
  const others = { members: () => [], askMember: async () => undefined, giving: { source, bytesPerSecond: 1e9 } };
  const server = await startServer({}, 1_000, undefined, others);
  onTestFinished(() => server.stop());
  return `127.0.0.1:${server.port}`;
}

const from = (...addresses: string[]): string[] => addresses.flatMap((address) => ['-e', `http://${address}`]);

async function restored(file: string, data: string): Promise<object> {
  const { code, err } = await run('restore', [file, '--data', data]);
  expect(err).toMatch(/^restored /);
  expect(code).toBe(0);
  return contentsAt(join(data, 'store'));
}

describe('a backup of a running node', () => {
  test('is its store at one position, though it is written to meanwhile', async () => {
    const path = await directory();
    const store = await giver(path('giver'));
    const address = await giving(() => store);
    const before = await contentsOf(store);
    const writing = (async () => {
      for (let n = 60; n < 80; n++) await store.write(batch(n));
    })();
    const { code, err, out } = await run('backup', ['-o', path('all'), ...from(address)]);
    await writing;
    expect([code, out]).toEqual([0, '']);
    expect(err).toMatch(/^backed up to .*: [\d,]+ rows, \d\.\d MB, in .*\n {2}position {2}0:\d+,1:\d+\n {2}genesis {3}the-genesis\n/);
    expect((await readdir(path(''))).filter((name) => name.endsWith('.part'))).toEqual([]);
    const checked = await run('backup', ['--check', path('all')]);
    expect([checked.code, checked.err]).toEqual([0, '']);
    expect(checked.out).toMatch(/ is whole: [\d,]+ rows/);
    expect(checked.out).toMatch(/unsettled .*\n.*doubtful .*: "key 0 /);
    // Whichever moment it was, all of it is of that one: the log brings it to where the giver is.
    const there = (await restored(path('all'), path('data'))) as { checkpoints: { next: number }[] };
    const same = await openLevelStore({ directory: join(path('data'), 'store') });
    const applied = there.checkpoints.reduce((sum, { next }) => sum + next / 50, 0);
    await fill(same, applied, 80);
    expect(await contentsOf(same)).toEqual(await contentsOf(store));
    await same.close();
    expect(before).not.toEqual(await contentsOf(store));
  });

  test('goes on within the same snapshot when the connection breaks, and begins anew when that is not kept', async () => {
    const path = await directory();
    const store = await giver(path('giver'));
    const address = await giving(() => store);
    const proxy = await cuttingProxy(address, (n) => (n < 2 ? 90_000 : undefined));
    expect(await run('backup', ['-o', path('all'), ...from(proxy.address)])).toMatchObject({ code: 0 });
    expect(proxy.count()).toBe(3);
    expect(await restored(path('all'), path('data'))).toEqual(await contentsOf(store));

    const frames = told(await framesOf(store));
    let anew = 0;
    const forgetful = await fakeGiver((response, url) => {
      if (url.includes('?')) response.writeHead(410).end();
      else if (anew++ === 0) sends(...frames.slice(0, 2))(response);
      else sends(...frames)(response);
    });
    const second = await run('backup', ['-o', path('again'), ...from(forgetful.address)]);
    expect([second.code, second.err]).toEqual([0, expect.stringMatching(/answered 410.*tried again\nbacked up to /)]);
    expect(await restored(path('again'), path('data-2'))).toEqual(await contentsOf(store));
  });

  test('is of the next node when one is not there, does not give, or gives what cannot be', async () => {
    const path = await directory();
    const store = await giver(path('giver'));
    const [head, ...rest] = told(await framesOf(store));
    const lying = await fakeGiver(sends(head!, ...rest.slice(1)));
    const [nothing, good] = [await giving(() => undefined), await giving(() => store)];
    const { code } = await run('backup', ['-o', path('all'), ...from('127.0.0.1:1', nothing, lying.address, good)]);
    expect(code).toBe(0);
    expect(await restored(path('all'), path('data'))).toEqual(await contentsOf(store));
    // With none that can, the file that is there stays.
    const before = await readFile(path('all'));
    for (const [address, exit, said] of [
      ['127.0.0.1:1', 5, /ECONNREFUSED/],
      [nothing, 1, /answered 404: it gives no store \(SEED_RATE/],
      [lying.address, 1, /checksum/],
    ] as const) {
      const failed = await run('backup', ['-o', path('all'), ...from(address)]);
      expect([failed.code, failed.err]).toEqual([exit, expect.stringMatching(said)]);
    }
    expect((await readFile(path('all'))).equals(before)).toBe(true);
    expect((await readdir(path(''))).sort()).toEqual(['all', 'data', 'giver', 'giver.json']);
  });
});

describe('a backup of a stopped node', () => {
  test('is made of its data directory, or of a store that was set aside in it', async () => {
    const path = await directory();
    await makeStore(join(path('data'), 'store'), numbered(2_000));
    const before = await contentsAt(join(path('data'), 'store'));
    for (const [name, source] of [
      ['one', path('data')],
      ['two', join(path('data'), 'store')],
    ] as const) {
      expect(await run('backup', ['-o', path(name), '--data', source])).toMatchObject({ code: 0 });
      expect(await restored(path(name), path(`data of ${name}`))).toEqual(before);
    }
  });

  test('is refused while the node runs, and where there is none; nothing is made', async () => {
    const path = await directory();
    const none = await run('backup', ['-o', path('f'), '--data', path('data')]);
    expect([none.code, none.err]).toEqual([1, expect.stringMatching(/directory-unusable: there is no store at .*data, nor in it/)]);
    await makeStore(join(path('data'), 'store'), numbered(3));
    const lock = await openDataDirectory(path('data'));
    const running = await run('backup', ['-o', path('f'), '--data', path('data')]);
    await lock.close();
    expect([running.code, running.err]).toEqual([1, expect.stringMatching(/directory-locked: .* is used by process/)]);
    expect(await readdir(path(''))).toEqual(['data']);
  });
});

describe('a restore', () => {
  async function saved(count = 2_000) {
    const path = await directory();
    await makeStore(join(path('data'), 'store'), numbered(count));
    expect(await run('backup', ['-o', path('all'), '--data', path('data')])).toMatchObject({ code: 0 });
    return { path, before: await contentsAt(join(path('data'), 'store')) };
  }

  test('leaves a store that is there, unless it is told to set it aside', async () => {
    const { path, before } = await saved();
    await makeStore(join(path('other'), 'store'), { mine: 'mine' });
    const other = await contentsAt(join(path('other'), 'store'));
    const argv = [path('all'), '--data', path('other')];
    const refused = await run('restore', argv);
    expect([refused.code, refused.err]).toEqual([4, expect.stringMatching(/there is a store in .*--force/)]);
    expect(await contentsAt(join(path('other'), 'store'))).toEqual(other);
    const forced = await run('restore', [...argv, '--force']);
    expect([forced.code, forced.err]).toEqual([0, expect.stringMatching(/is kept as .*store\.replaced-1\nrestored /)]);
    expect(await contentsAt(join(path('other'), 'store'))).toEqual(before);
    expect(await contentsAt(join(path('other'), 'store.replaced-1'))).toEqual(other);
    expect((await run('restore', [...argv, '--force'])).code).toBe(0);
    expect(await contentsAt(join(path('other'), 'store.replaced-1'))).toEqual(other);
    expect(await contentsAt(join(path('other'), 'store.replaced-2'))).toEqual(before);
  });

  test('is refused while a node runs there', async () => {
    const { path } = await saved(3);
    const lock = await openDataDirectory(path('other'));
    const { code, err } = await run('restore', [path('all'), '--data', path('other')]);
    await lock.close();
    expect([code, err]).toEqual([1, expect.stringContaining('directory-locked')]);
  });

  test('of a file that is not whole puts nothing in place, nor sets aside what is there', async () => {
    const { path, before } = await saved();
    const whole = await readFile(path('all'));
    await makeStore(join(path('other'), 'store'), { mine: 'mine' });
    const other = await contentsAt(join(path('other'), 'store'));
    const flipped = Buffer.from(whole);
    flipped[whole.length >> 1]! ^= 1;
    for (const [bytes, said] of [
      [whole.subarray(0, whole.length - 30), /cut off/],
      [flipped, /checksum/],
      [Buffer.from('{"bitacora":"export"}\n'), /`bitacora import` takes it/],
      [Buffer.alloc(0), /it is empty/],
    ] as const) {
      await writeFile(path('bad'), bytes);
      const checked = await run('backup', ['--check', path('bad')]);
      expect([checked.code, checked.out, checked.err]).toEqual([1, '', expect.stringMatching(said)]);
      for (const [data, force] of [
        ['empty', []],
        ['other', ['--force']],
      ] as const) {
        const { code, err } = await run('restore', [path('bad'), '--data', path(data), ...force]);
        expect([code, err]).toEqual([1, expect.stringMatching(said)]);
      }
    }
    expect((await readdir(path('other'))).filter((name) => name.startsWith('store')).sort()).toEqual(['store', 'store.json']);
    expect(await contentsAt(join(path('other'), 'store'))).toEqual(other);
    expect((await readdir(path('empty')).catch(() => [])).filter((name) => name.startsWith('store'))).toEqual([]);
    expect(await restored(path('all'), path('empty'))).toEqual(before);
  });

  test('that was killed before is done again: what it left goes', async () => {
    const { path, before } = await saved();
    // The seed was half there; its marker, too, perhaps.
    await makeStore(join(path('other'), 'store.seed'), numbered(5));
    await truncate(join(path('other'), 'store.seed', 'CURRENT'));
    expect(await restored(path('all'), path('other'))).toEqual(before);
    expect((await readdir(path('other'))).filter((name) => name.startsWith('store')).sort()).toEqual(['store', 'store.json']);
    // Or what it had set aside was there, and nothing in its place.
    await rm(join(path('other'), 'store'), { recursive: true });
    expect(await restored(path('all'), path('other'))).toEqual(before);
  });
});

test('what is asked wrongly is said, with exit code 2, and help with 0', async () => {
  for (const [command, ...argv] of [
    ['backup'],
    ['backup', '-o', '-'],
    ['backup', '-o', 'f', '--data', 'd', '-e', 'http://127.0.0.1:1'],
    ['backup', '--check', 'f', '-o', 'f'],
    ['backup', '-o', 'f', '-e', 'nonsense'],
    ['backup', '-o', 'f', '--timeout', 'soon'],
    ['backup', '--nonsense'],
    ['restore'],
    ['restore', 'f'],
    ['restore', 'f', 'g', '--data', 'd'],
  ] as const) {
    const { code, err } = await run(command, argv);
    expect([code, err], argv.join(' ')).toEqual([2, expect.stringMatching(new RegExp(`^bitacora ${command}: .*--help. says how\n$`))]);
  }
  for (const command of ['backup', 'restore'] as const) {
    expect(await run(command, ['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('exit code'), err: '' });
  }
  const missing = await run('restore', ['/nowhere/file', '--data', '/nowhere/data']);
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('/nowhere/file: ENOENT')]);
});
