import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PresenceFilter } from '../../storage/store/presence-filter.ts';

test('never denies a key that was added', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 300 }), fc.constantFrom(64, 256, 4096), (keys, bytes) => {
      const filter = new PresenceFilter(bytes);
      for (const key of keys) filter.add(key);
      expect(keys.every((key) => filter.has(key))).toBe(true);
    }),
  );
});

test('denies nearly all others until it says that it is full', () => {
  const filter = new PresenceFilter(64 * 1024);
  let added = 0;
  while (!filter.full) filter.add(`added-${added++}`);
  expect(added).toBeGreaterThan(60_000);
  let wrong = 0;
  for (let i = 0; i < 10_000; i++) if (filter.has(`other-${i}`)) wrong++;
  expect(wrong).toBeLessThan(1000);
});
