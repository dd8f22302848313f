/** What every store keeps of `scan`: the order of the bytes, the bounds, and nothing of what was not written. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Entry, Offset, Scan, ScanRange, Store } from '../../src/ports.ts';
import type { StorePlace } from './store.ts';
import { batchOf, checkpointWith, entryWith, identityWith, plain } from './store-values.ts';

/** In the order of their bytes: U+FFFF before all astral characters, which JavaScript would put before it. */
export const keysInByteOrder = [
  ...['\u0000system', ' ', '/', 'a', 'a\u0000', 'a\u0000b', 'a/', 'a/b', 'aa', 'b', 'ba', '\u007f', '\u0080', 'é', 'ÿ', '\u07ff', '\u0800'],
  ...['日本語', '\ud7ff', '\ue000', '\uffff', '\uffff\uffff', '\u{10000}', '𝒳', '𝒳😀', '😀', '\u{10ffff}'],
];

const all: ScanRange = { from: new Uint8Array(0), to: undefined, limit: 100, maxBytes: 1_000_000 };
const keysOf = ({ entries }: Scan): string[] => entries.map(({ key }) => key);
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** A whole store by scans of at most `limit`. */
export async function scanned(store: Store, limit: number): Promise<readonly { readonly key: string; readonly entry: Entry }[]> {
  const entries: { readonly key: string; readonly entry: Entry }[] = [];
  let { from } = all;
  for (;;) {
    const scan = await store.scan({ ...all, from, limit });
    expect(scan.entries.length).toBeLessThanOrEqual(limit);
    entries.push(...scan.entries);
    if (!scan.more) return entries;
    from = bytes(`${entries.at(-1)?.key}\0`);
  }
}

export function scanContract(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(`store contract: ${name}: scan`, () => {
    let place: StorePlace;
    let store: Store;

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
      await store.identify(identityWith());
    });

    afterEach(async () => {
      await store.close();
      await place.remove();
    });

    async function reopen(): Promise<void> {
      await store.close();
      store = await place.open();
    }

    /** Written out of order, in two partitions. */
    async function fill(keys: readonly string[], change: Partial<Entry> = {}): Promise<void> {
      const mixed = [...keys].sort((one, other) => one.length - other.length || (one < other ? 1 : -1));
      for (const partition of [0, 1]) {
        const own = mixed.filter((_, i) => i % 2 === partition);
        await store.write(
          batchOf(
            own.map((key) => [key, entryWith(change)]),
            { partition, checkpoint: checkpointWith({ entries: own.length }) },
          ),
        );
      }
    }

    test('an empty store has nothing', async () => {
      expect(await store.scan(all)).toEqual({ entries: [], more: false });
    });

    test('gives all keys in the order of their bytes, now and after it was opened again', async () => {
      await fill(keysInByteOrder);
      for (const again of [false, true]) {
        if (again) await reopen();
        expect(keysOf(await store.scan(all))).toEqual(keysInByteOrder);
        for (const limit of [1, 4, 27]) expect((await scanned(store, limit)).map(({ key }) => key)).toEqual(keysInByteOrder);
      }
    });

    test('gives entries as they were written, markers included', async () => {
      const entries: [string, Entry][] = [
        ['a', entryWith({ deleted: true, value: new Uint8Array(0), settled: false })],
        ['b', entryWith({ version: 9 as Offset, contentType: 'text/plain' })],
      ];
      await store.write(batchOf(entries, { checkpoint: checkpointWith({ entries: 2 }) }));
      for (const again of [false, true]) {
        if (again) await reopen();
        const scan = await store.scan(all);
        expect(scan.entries.map(({ key, entry }) => [key, plain(entry)])).toEqual(entries.map(([key, entry]) => [key, plain(entry)]));
        expect(scan.more).toBe(false);
      }
    });

    test('keeps to its range, whose ends need not be text', async () => {
      await fill(keysInByteOrder);
      const ranges: [Uint8Array, Uint8Array | undefined][] = [
        ...([
          [bytes('a'), bytes('b')],
          [bytes('a/'), Buffer.of(0x61, 0x30)],
          [bytes('zz'), undefined],
        ] as [Uint8Array, Uint8Array | undefined][]),
        [Buffer.of(0xc3), Buffer.of(0xc4)],
        [Buffer.of(0xf0), Buffer.of(0xff)],
        [bytes('b'), bytes('a')],
        [bytes('a'), bytes('a')],
        [Buffer.of(0xff), undefined],
      ];
      for (const [from, to] of ranges) {
        const inside = keysInByteOrder.filter(
          (key) => Buffer.compare(bytes(key), from) >= 0 && (to === undefined || Buffer.compare(bytes(key), to) < 0),
        );
        expect(await store.scan({ ...all, from, to }).then(keysOf)).toEqual(inside);
      }
    });

    test('says whether more follows in the range', async () => {
      await fill(['a', 'b', 'c']);
      const moreWith = async (range: Partial<ScanRange>): Promise<[string[], boolean]> => {
        const scan = await store.scan({ ...all, ...range });
        return [keysOf(scan), scan.more];
      };
      expect(await moreWith({ limit: 2 })).toEqual([['a', 'b'], true]);
      expect(await moreWith({ limit: 3 })).toEqual([['a', 'b', 'c'], false]);
      expect(await moreWith({ limit: 2, to: bytes('c') })).toEqual([['a', 'b'], false]);
      expect(await moreWith({ limit: 1, from: bytes('c') })).toEqual([['c'], false]);
    });

    test('ends when the values are enough, and never before the first', async () => {
      await fill(['a', 'b', 'c', 'd'], { value: Buffer.alloc(100) });
      const countWith = async (maxBytes: number): Promise<[number, boolean]> => {
        const { entries, more } = await store.scan({ ...all, maxBytes });
        return [entries.length, more];
      };
      expect(await countWith(1)).toEqual([1, true]);
      expect(await countWith(100)).toEqual([1, true]);
      expect(await countWith(101)).toEqual([2, true]);
      expect(await countWith(400)).toEqual([4, false]);
    });

    test('leaves values out when only keys are asked for', async () => {
      await fill(['a', 'b'], { value: Buffer.alloc(100) });
      const { entries, more } = await store.scan({ ...all, maxBytes: 10, keysOnly: true });
      expect(entries.map(({ key, entry }) => [key, entry.value.length, entry.version])).toEqual([
        ['a', 0, 7],
        ['b', 0, 7],
      ]);
      expect(more).toBe(false);
    });

    test('follows writes and removals', async () => {
      await fill(['a', 'c']);
      expect(keysOf(await store.scan(all))).toEqual(['a', 'c']);
      await store.write(
        batchOf([
          ['b', entryWith()],
          ['a', undefined],
          ['c', entryWith({ version: 8 as Offset })],
          ['x', entryWith()],
        ]),
      );
      const scan = await store.scan(all);
      expect(scan.entries.map(({ key, entry }) => [key, entry.version])).toEqual([
        ['b', 7],
        ['c', 8],
        ['x', 7],
      ]);
      await store.write(
        batchOf([
          ['a', entryWith()],
          ['x', undefined],
        ]),
      );
      await store.write(batchOf([['x', entryWith()]]));
      await store.write(batchOf([['never there', undefined]]));
      for (const again of [false, true]) {
        if (again) await reopen();
        expect(keysOf(await store.scan(all))).toEqual(['a', 'b', 'c', 'x']);
      }
    });

    test('does not give its own bytes away', async () => {
      await fill(['a']);
      (await store.scan(all)).entries[0]?.entry.value.fill(0);
      expect(Buffer.from((await store.scan(all)).entries[0]!.entry.value).toString()).toBe('value');
      expect(Buffer.from((await store.get('a'))!.value).toString()).toBe('value');
    });

    test('reads many', async () => {
      const keys = Array.from({ length: 2_500 }, (_, i) => `k${String(i).padStart(5, '0')}`);
      await fill(keys);
      const scan = await store.scan({ ...all, limit: 2_400 });
      expect(keysOf(scan)).toEqual(keys.slice(0, 2_400));
      expect(scan.more).toBe(true);
    });

    test('does not give out a row that is damaged, and finds it wherever it stands', async () => {
      if (place.damage === undefined) return;
      await fill(['a', 'b', 'c']);
      await store.close();
      await place.damage('b');
      store = await place.open();
      expect(codeOf(await store.scan(all).catch((error: unknown) => error))).toBe('store-damaged');
      expect(codeOf(await store.scan({ ...all, keysOnly: true }).catch((error: unknown) => error))).toBe('store-damaged');
      expect(keysOf(await store.scan({ ...all, limit: 1 }))).toEqual(['a']);
      expect(keysOf(await store.scan({ ...all, from: bytes('c') }))).toEqual(['c']);
    });

    test('says that it is closed, also under a scan', async () => {
      await fill(Array.from({ length: 3_000 }, (_, i) => `k${i}`));
      const underWay = store.scan({ ...all, limit: 5_000 }).then(
        () => 'done',
        (error: unknown) => codeOf(error),
      );
      await store.close();
      expect(['done', 'closed']).toContain(await underWay);
      expect(codeOf(await store.scan(all).catch((error: unknown) => error))).toBe('closed');
    });
  });
}
