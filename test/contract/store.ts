/** What every store keeps. Each operation is tried in each state of its life: open, closed, and opened again. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Entry, Millis, Offset, Store } from '../../src/ports.ts';
import { commandsOf, runAgainstModel } from './store-model.ts';
import { scanContract } from './store-scan.ts';
import { batchOf, checkpointWith, entryWith, identityWith, mark, partition, plain } from './store-values.ts';

/** Where a store keeps what it writes: it can be opened again and again, one store at a time. */
export interface StorePlace {
  open(): Promise<Store>;
  remove(): Promise<void>;
  /** Flips a bit of a key's row while no store is open; undefined: there are no rows to be damaged. */
  damage?(key: string): Promise<void>;
}

/** Keys that trip stores up: names of object members, astral characters, what sorts or encodes oddly, and the longest. */
const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  ' ',
  '\u0000system',
  'a\u0000b',
  'ÿ',
  'Ā',
  '日本語',
  '𝒳😀',
  '\uffff',
  'e',
  '/',
  'x'.repeat(1024),
  '😀'.repeat(256),
];

/** Runs the suite; `makePlace` makes a new place for each test. */
export function storeContract(name: string, makePlace: () => Promise<StorePlace>): void {
  scanContract(name, makePlace);
  describe(`store contract: ${name}`, () => {
    let place: StorePlace;
    let store: Store;

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
    });

    afterEach(async () => {
      await store.close();
      await place.remove();
    });

    async function reopen(): Promise<void> {
      await store.close();
      store = await place.open();
    }

    async function got(key: string): Promise<object | undefined> {
      return plain(await store.get(key));
    }

    describe('a fresh store', () => {
      test('knows nothing', async () => {
        expect(store.identity).toBeUndefined();
        expect(store.checkpoints).toEqual([]);
        expect(store.peek('a')).toBeUndefined();
        expect(await store.get('a')).toBeUndefined();
        expect(await store.load(['a', 'b'])).toEqual([undefined, undefined]);
        expect(await store.load([])).toEqual([]);
        expect([...(await store.writers(partition(0)))]).toEqual([]);
        expect(await store.unsettled()).toEqual([]);
        expect(await store.verify()).toBeUndefined();
      });

      test('takes an identity, and with it fresh checkpoints', async () => {
        await store.identify(identityWith({ partitions: 3 }));
        expect(store.identity).toEqual(identityWith({ partitions: 3 }));
        expect(store.checkpoints).toEqual([checkpointWith(), checkpointWith(), checkpointWith()]);
        await reopen();
        expect(store.identity).toEqual(identityWith({ partitions: 3 }));
        expect(store.checkpoints).toEqual([checkpointWith(), checkpointWith(), checkpointWith()]);
      });

      test('takes an identity with its first batch', async () => {
        await store.write(batchOf([['a', entryWith()]], { identity: identityWith(), checkpoint: checkpointWith({ next: 8, entries: 1 }) }));
        expect(store.identity).toEqual(identityWith());
        expect(store.checkpoints).toEqual([checkpointWith({ next: 8, entries: 1 }), checkpointWith()]);
      });

      test('may change its mind about the partitions', async () => {
        await store.identify(identityWith({ partitions: 3 }));
        await store.identify(identityWith({ partitions: 2 }));
        expect(store.checkpoints).toHaveLength(2);
        await reopen();
        expect(store.checkpoints).toHaveLength(2);
      });
    });

    describe('a store with an identity', () => {
      beforeEach(() => store.identify(identityWith()));

      test('gives back what was written, now and after it was opened again', async () => {
        const checkpoint = checkpointWith({ next: 8, entries: 2, logTime: 5, atEnd: 6 });
        const deleted = entryWith({ deleted: true, value: new Uint8Array(0), expires: 9 as Millis });
        await store.write(
          batchOf(
            [
              ['a', entryWith()],
              ['b', deleted],
            ],
            { partition: 1, checkpoint, writers: [['inc', mark(3, 4)]] },
          ),
        );
        for (const again of [false, true]) {
          if (again) await reopen();
          expect(await got('a')).toEqual(plain(entryWith()));
          expect(await got('b')).toEqual(plain(deleted));
          expect(store.checkpoints).toEqual([checkpointWith(), checkpoint]);
          expect(await store.writers(partition(1))).toEqual(new Map([['inc', mark(3, 4)]]));
          expect(await store.verify()).toBeUndefined();
        }
      });

      test('keeps the fates of records by partition, in the log’s order, until they are forgotten', async () => {
        const far = 2 ** 45;
        const checkpoint = checkpointWith({ next: far + 1, fatesFrom: 3 });
        await store.write(batchOf([], { partition: 1, checkpoint: checkpointWith({ next: 1 }), fates: [[0, 'ignored']] }));
        await store.write(
          batchOf([], {
            checkpoint,
            fates: [
              [far, 'unknown'],
              [3, 'ignored'],
              [300, 'unknown'],
              [70_000, 'ignored'],
            ],
          }),
        );
        await store.write(batchOf([], { checkpoint, fates: [[300, undefined]] }));
        for (const again of [false, true]) {
          if (again) await reopen();
          expect([...(await store.fates(partition(0)))]).toEqual([
            [3, 'ignored'],
            [70_000, 'ignored'],
            [far, 'unknown'],
          ]);
          expect([...(await store.fates(partition(1)))]).toEqual([[0, 'ignored']]);
          expect(store.checkpoints[0]).toEqual(checkpoint);
        }
      });

      test('comes to the same digest as any other store that holds the same values, of each partition as it was when asked', async () => {
        const value = entryWith({ version: 5 as Offset, contentType: 'text/plain', expires: 9 as Millis });
        const write = (entries: [string, Entry | undefined][], to = 0) =>
          store.write(batchOf(entries, { partition: to, checkpoint: checkpointWith({ next: 9, entries: entries.length }) }));
        await write([['of another', value]], 1);
        const empty = await store.digest(partition(0));
        expect(empty).toEqual({ entries: 0, hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' });
        const written = write([
          ['b', value],
          ['a', entryWith()],
          ['gone', entryWith({ deleted: true, value: new Uint8Array(0) })],
          ['\u0000system', entryWith()],
        ]);
        const asked = store.digest(partition(0));
        const later = write([['a', entryWith({ value: Buffer.from('later') })]]);
        await Promise.all([written, later]);
        const hash = 'b946e0c706688bd93ed422c58f17a5d4b0247e690b4c154bba12b8857efa458f';
        expect(await asked).toEqual({ entries: 2, hash });
        expect((await store.digest(partition(0))).hash).not.toBe(hash);
        // What a node's own past has left makes no difference.
        await write([['a', entryWith({ settled: false, newest: 77 as Offset, time: 1 as Millis, by: 'another/1/1' })]]);
        await write([['gone', undefined]]);
        expect(await store.digest(partition(0))).toEqual({ entries: 2, hash });
      });

      test('keeps every field of an entry', async () => {
        const entries: Entry[] = [
          entryWith({ version: -1 as Offset, newest: 12 as Offset, settled: false }),
          entryWith({ version: (2 ** 52) as Offset, newest: Number.MAX_SAFE_INTEGER as Offset }),
          entryWith({ version: 9 as Offset, newest: 3 as Offset }),
          entryWith({ time: -1 as Millis, expires: Number.MAX_SAFE_INTEGER as Millis }),
          entryWith({ id: '', by: '', contentType: '' }),
          entryWith({ id: '0F8FAD5B-D9CB-469F-A165-70867728950E' }),
          entryWith({ id: '0f8fad5b-d9cb-469f-a165-70867728950é' }),
          entryWith({ id: 'not a uuid, but thirty-six characters', contentType: 'text/plain; charset=utf-8' }),
          entryWith({ id: 'é'.repeat(127), by: 'é'.repeat(128), contentType: 'x'.repeat(70_000) }),
        ];
        await store.write(
          batchOf(
            entries.map((entry, i) => [`k${i}`, entry]),
            { checkpoint: checkpointWith({ entries: entries.length }) },
          ),
        );
        await reopen();
        for (const [i, entry] of entries.entries()) expect(await got(`k${i}`)).toEqual(plain(entry));
      });

      test('keeps all byte values, none, and a large value', async () => {
        const values = [Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.alloc(0), Buffer.alloc(1_000_000, 'abc')];
        await store.write(
          batchOf(
            values.map((value, i) => [`k${i}`, entryWith({ value })]),
            { checkpoint: checkpointWith({ entries: 3 }) },
          ),
        );
        for (const again of [false, true]) {
          if (again) await reopen();
          for (const [i, value] of values.entries()) expect(Buffer.compare((await store.get(`k${i}`))!.value, value)).toBe(0);
        }
      });

      test('keeps odd keys apart', async () => {
        await store.write(
          batchOf(
            oddKeys.map((key, i) => [key, entryWith({ version: i as Offset, settled: i % 2 === 0 })]),
            { checkpoint: checkpointWith({ entries: oddKeys.length }) },
          ),
        );
        for (const again of [false, true]) {
          if (again) await reopen();
          for (const [i, key] of oddKeys.entries()) expect((await store.get(key))?.version).toBe(i);
          expect(new Set(await store.unsettled())).toEqual(new Set(oddKeys.filter((_, i) => i % 2 === 1)));
          expect(await store.verify()).toBeUndefined();
        }
        expect(await store.get('hasOwnProperty')).toBeUndefined();
      });

      test('removes entries', async () => {
        const one = checkpointWith({ entries: 1 });
        await store.write(batchOf([['a', entryWith({ settled: false })]], { checkpoint: one }));
        await store.write(batchOf([['a', undefined]]));
        expect(await store.get('a')).toBeUndefined();
        expect(store.peek('a')).toBeUndefined();
        expect(await store.unsettled()).toEqual([]);
        await store.write(batchOf([['never there', undefined]]));
        await reopen();
        expect(await store.get('a')).toBeUndefined();
        expect(await store.unsettled()).toEqual([]);
        expect(await store.verify()).toBeUndefined();
        await store.write(batchOf([['a', entryWith()]], { checkpoint: one }));
        expect(await got('a')).toEqual(plain(entryWith()));
      });

      test('loads in the order asked, repetitions and gaps included', async () => {
        await store.write(
          batchOf(
            ['a', 'b', 'c'].map((key, i) => [key, entryWith({ version: i as Offset })]),
            { checkpoint: checkpointWith({ entries: 3 }) },
          ),
        );
        for (const again of [false, true]) {
          if (again) await reopen();
          const loaded = await store.load(['c', 'x', 'a', 'c', 'y', 'b']);
          expect(loaded.map((entry) => entry?.version)).toEqual([2, undefined, 0, 2, undefined, 1]);
        }
      });

      test('lists unsettled keys until they are settled', async () => {
        const unsettled = entryWith({ settled: false });
        await store.write(
          batchOf(
            [
              ['a', unsettled],
              ['b', unsettled],
              ['c', entryWith()],
            ],
            { checkpoint: checkpointWith({ entries: 3 }) },
          ),
        );
        expect(new Set(await store.unsettled())).toEqual(new Set(['a', 'b']));
        await reopen();
        expect(new Set(await store.unsettled())).toEqual(new Set(['a', 'b']));
        await store.write(
          batchOf(
            [
              ['a', entryWith()],
              ['b', unsettled],
            ],
            { checkpoint: checkpointWith({ entries: 3 }) },
          ),
        );
        expect(await store.unsettled()).toEqual(['b']);
        await reopen();
        expect(await store.unsettled()).toEqual(['b']);
        expect(await store.verify()).toBeUndefined();
      });

      test('keeps writer marks by partition, and forgets them when told', async () => {
        const marks: [string, ReturnType<typeof mark>][] = [
          ['inc/1', mark(1, 10)],
          ['', mark(2, 20)],
          ['ÿ', mark(3, 30)],
        ];
        await store.write(batchOf([], { writers: marks }));
        await store.write(batchOf([], { partition: 1, writers: [['inc/1', mark(9, 90)]] }));
        await store.write(batchOf([], { writers: [['', undefined]] }));
        for (const again of [false, true]) {
          if (again) await reopen();
          expect(await store.writers(partition(0))).toEqual(new Map([marks[0]!, marks[2]!]));
          expect(await store.writers(partition(1))).toEqual(new Map([['inc/1', mark(9, 90)]]));
        }
      });

      test('keeps a later identity, genesis included', async () => {
        const genesis = { id: 'g', partition: partition(1), offset: 5 as Offset };
        await store.write(batchOf([['a', entryWith()]], { checkpoint: checkpointWith({ next: 3, entries: 1 }) }));
        await store.identify(identityWith({ genesis }));
        expect(store.checkpoints[0]).toEqual(checkpointWith({ next: 3, entries: 1 }));
        await reopen();
        expect(store.identity).toEqual(identityWith({ genesis }));
        expect(store.checkpoints[0]).toEqual(checkpointWith({ next: 3, entries: 1 }));
      });

      test('refuses what it cannot hold, and changes nothing', async () => {
        await store.write(batchOf([['a', entryWith()]], { checkpoint: checkpointWith({ next: 3, entries: 1 }) }));
        const wrong = batchOf([['b', entryWith()]], { partition: 2 });
        expect(codeOf(await store.write(wrong).catch((error: unknown) => error))).toBe('internal');
        expect(codeOf(await store.identify(identityWith({ partitions: 5 })).catch((error: unknown) => error))).toBe('internal');
        expect(await store.get('b')).toBeUndefined();
        expect(store.checkpoints).toEqual([checkpointWith({ next: 3, entries: 1 }), checkpointWith()]);
        expect(await store.verify()).toBeUndefined();
      });

      test('does not keep the bytes it was given, nor gives its own away', async () => {
        const value = Buffer.from('before');
        await store.write(batchOf([['a', entryWith({ value })]], { checkpoint: checkpointWith({ entries: 1 }) }));
        value.fill('x');
        const first = await store.get('a');
        expect(Buffer.from(first!.value).toString()).toBe('before');
        first!.value.fill(0);
        expect(Buffer.from((await store.get('a'))!.value).toString()).toBe('before');
        const held = store.peek('a');
        held?.value.fill(0);
        expect(Buffer.from((await store.get('a'))!.value).toString()).toBe('before');
      });

      test('hands out checkpoints that do not change under the reader', async () => {
        const before = store.checkpoints;
        await store.write(batchOf([], { checkpoint: checkpointWith({ next: 9 }) }));
        expect(before[0]).toEqual(checkpointWith());
        expect(store.checkpoints[0]).toEqual(checkpointWith({ next: 9 }));
      });

      test('writes in the order of the calls, without waiting between them', async () => {
        const writes = Array.from({ length: 50 }, (_, i) =>
          store.write(
            batchOf([['a', entryWith({ version: i as Offset, settled: i % 2 === 0 })]], {
              checkpoint: checkpointWith({ next: i + 1, entries: 1 }),
            }),
          ),
        );
        await Promise.all(writes);
        expect((await store.get('a'))?.version).toBe(49);
        expect(store.checkpoints[0]?.next).toBe(50);
        expect(await store.unsettled()).toEqual(['a']);
        await reopen();
        expect((await store.get('a'))?.version).toBe(49);
        expect(await store.verify()).toBeUndefined();
      });

      test('verify tells of a count that does not agree', async () => {
        await store.write(batchOf([['a', entryWith()]], { partition: 1, checkpoint: checkpointWith({ entries: 2 }) }));
        expect(await store.verify()).toContain('partition 1');
      });

      test('verify ends early without a verdict', async () => {
        await store.write(batchOf([['a', entryWith()]], { checkpoint: checkpointWith({ entries: 2 }) }));
        expect(await store.verify(AbortSignal.abort())).toBeUndefined();
      });

      test('says that it is closed, to every question', async () => {
        await store.write(batchOf([['a', entryWith()]], { checkpoint: checkpointWith({ entries: 1 }) }));
        await store.get('a');
        await store.close();
        await store.close();
        const questions: (() => Promise<unknown>)[] = [
          () => store.get('a'),
          () => store.load(['a']),
          () => store.load([]),
          () => store.write(batchOf([['b', entryWith()]])),
          () => store.identify(identityWith()),
          () => store.writers(partition(0)),
          () => store.unsettled(),
          () => store.verify(),
        ];
        for (const question of questions) expect(codeOf(await question().catch((error: unknown) => error))).toBe('closed');
        expect(store.peek('a')).toBeUndefined();
        expect(store.checkpoints[0]).toEqual(checkpointWith({ entries: 1 }));
        expect(store.identity).toEqual(identityWith());
        await reopen();
        expect(await got('a')).toEqual(plain(entryWith()));
        expect(await store.get('b')).toBeUndefined();
      });

      test('writes under way are finished by close', async () => {
        const writes = ['a', 'b'].map((key, i) =>
          store.write(batchOf([[key, entryWith()]], { checkpoint: checkpointWith({ entries: i + 1 }) })),
        );
        const closed = store.close();
        await Promise.all([...writes, closed]);
        await reopen();
        expect(await got('b')).toEqual(plain(entryWith()));
        expect(await store.verify()).toBeUndefined();
      });
    });

    test('behaves as a model does, whatever is done to it', async () => {
      await fc.assert(
        fc.asyncProperty(commandsOf(), async (commands) => {
          const own = await makePlace();
          try {
            await runAgainstModel(own, commands);
          } finally {
            await own.remove();
          }
        }),
        { numRuns: 25 },
      );
    });
  });
}
