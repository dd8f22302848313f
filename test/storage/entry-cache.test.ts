import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry, Offset } from '../../src/ports.ts';
import { EntryCache } from '../../storage/store/entry-cache.ts';
import { KeyTable } from '../../storage/store/key-table.ts';
import { anyEntry } from '../contract/store-model.ts';
import { entryWith, plain } from '../contract/store-values.ts';

function put(cache: EntryCache, key: string, entry: Entry): void {
  cache.publish(key, cache.stage(key, entry));
}

const MIB = 1024 * 1024;

describe('the cache of entries', () => {
  test('gives back what was put, or nothing: never another value', () => {
    const anyKey = fc.oneof(fc.nat(60).map(String), fc.string({ unit: 'grapheme', maxLength: 12 }));
    const anyStep = fc.tuple(anyKey, fc.option(anyEntry, { freq: 8 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 400 }), fc.constantFrom(4096, 20_000, MIB), (steps, maxBytes) => {
        const cache = new EntryCache(maxBytes);
        const model = new Map<string, Entry | null>();
        for (const [key, entry, discarded] of steps) {
          if (entry === null) {
            cache.publish(key, -1);
          } else if (discarded) {
            cache.discard(cache.stage(key, entry));
            continue;
          } else {
            put(cache, key, entry);
          }
          model.set(key, entry);
          expect(cache.bytes <= maxBytes || cache.size <= 1).toBe(true);
        }
        let held = 0;
        for (const [key, entry] of model) {
          const found = cache.get(key);
          if (found === undefined) continue;
          held++;
          expect(plain(found)).toEqual(plain(entry ?? undefined));
        }
        expect(cache.size).toBe(held);
        if (maxBytes === MIB) expect(held).toBe([...model.values()].filter((entry) => entry !== null).length);
      }),
    );
  });

  test('stays within its bytes while ten times as much is put, and keeps the newest', () => {
    const cache = new EntryCache(4 * MIB);
    for (let i = 0; i < 200_000; i++) {
      put(cache, `key-${i}`, entryWith({ version: i as Offset }));
      if (i % 1000 === 0) expect(cache.bytes).toBeLessThanOrEqual(4 * MIB);
    }
    expect(cache.size).toBeGreaterThan(10_000);
    for (let i = 195_000; i < 200_000; i++) expect(cache.get(`key-${i}`)?.version).toBe(i);
  });

  test('keeps what is read over what is not', () => {
    const cache = new EntryCache(MIB);
    for (let i = 0; i < 100; i++) put(cache, `read-${i}`, entryWith());
    for (let i = 0; i < 50_000; i++) {
      put(cache, `new-${i}`, entryWith());
      if (i % 200 === 0) for (let n = 0; n < 100; n++) cache.get(`read-${n}`);
    }
    for (let n = 0; n < 100; n++) expect(cache.get(`read-${n}`)).toBeDefined();
  });

  test('loses nothing when one entry changes all the time', () => {
    const cache = new EntryCache(MIB);
    for (let i = 0; i < 1000; i++) put(cache, `still-${i}`, entryWith());
    for (let i = 0; i < 100_000; i++) put(cache, 'busy', entryWith({ version: i as Offset }));
    for (let i = 0; i < 1000; i++) expect(cache.get(`still-${i}`)).toBeDefined();
    expect(cache.get('busy')?.version).toBe(99_999);
    expect(cache.bytes).toBeLessThanOrEqual(MIB);
  });

  test('does not hold an entry of more than an eighth of its bytes, nor what was there before it', () => {
    const cache = new EntryCache(MIB);
    put(cache, 'a', entryWith());
    put(cache, 'a', entryWith({ value: Buffer.alloc(MIB / 4) }));
    expect(cache.get('a')).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  test('holds large values, and those read go last', () => {
    const cache = new EntryCache(4 * MIB);
    const value = Buffer.alloc(200_000, 'v');
    put(cache, 'first', entryWith({ value }));
    for (let i = 0; i < 100; i++) {
      put(cache, `large-${i}`, entryWith({ value }));
      expect(Buffer.compare(cache.get('first')!.value, value)).toBe(0);
    }
    expect(cache.bytes).toBeLessThanOrEqual(4 * MIB);
    expect(cache.get('large-99')).toBeDefined();
    expect(cache.get('large-0')).toBeUndefined();
  });
});

test('the key table agrees with a Map, also when all hashes collide', () => {
  const anyStep = fc.tuple(fc.nat(40), fc.constantFrom('insert', 'remove', 'find'), fc.nat(3));
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 500 }), fc.constantFrom(1, 7, 1_000_003), (steps, spread) => {
      const keys = new Map<number, string>();
      const table = new KeyTable((place, key) => keys.get(place) === key);
      const model = new Map<string, number>();
      let places = 0;
      for (const [n, action] of steps) {
        const key = `k${n}`;
        const hash = (n * 64) % spread;
        const part = table.part(hash);
        const found = part.find(hash, key);
        expect(found).toBe(model.get(key) ?? -1);
        if (action === 'insert') {
          keys.set(places, key);
          if (found >= 0) part.move(hash, found, places);
          else part.insert(hash, places);
          model.set(key, places++);
        } else if (action === 'remove' && found >= 0) {
          part.remove(hash, found);
          model.delete(key);
        }
      }
      expect(table.size).toBe(model.size);
    }),
  );
});
