import { describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import { Journal } from '../../storage/store/journal.ts';

function codeOfOpening(present: number[], oldest: number): string | undefined {
  try {
    new Journal(present, oldest, 1000);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

describe('the journal of batches', () => {
  test('takes rows without a gap, from the one that the last names', () => {
    expect(codeOfOpening([], 0)).toBeUndefined();
    expect(codeOfOpening([5, 6, 7], 5)).toBeUndefined();
  });

  test('misses a row in the middle, at the beginning, and all but the last', () => {
    expect(codeOfOpening([5, 7], 5)).toBe('store-damaged');
    expect(codeOfOpening([6, 7], 5)).toBe('store-damaged');
    expect(codeOfOpening([7], 0)).toBe('store-damaged');
  });

  test('misses a row whose dropping was lost with its batch', () => {
    expect(codeOfOpening([4, 5, 6, 7], 5)).toBe('store-damaged');
  });

  test('keeps rows for three write buffers, and numbers them on', () => {
    const journal = new Journal([], 0, 1000);
    const rows = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const { sequence, dropped, oldest } = journal.advance(10);
      expect(sequence).toBe(i);
      for (let old = dropped; old < oldest; old++) rows.delete(old);
      rows.add(sequence);
      expect(rows.size).toBe(journal.length);
      expect(Math.min(...rows)).toBe(oldest);
    }
    expect(journal.length).toBeGreaterThanOrEqual(300);
    expect(journal.length).toBeLessThan(320);
  });

  test('drops what it found at open little by little', () => {
    const present = Array.from({ length: 100 }, (_, i) => i + 7);
    const journal = new Journal(present, 7, 1000);
    expect(journal.advance(10)).toEqual({ sequence: 107, dropped: 7, oldest: 71 });
    expect(journal.advance(10)).toEqual({ sequence: 108, dropped: 71, oldest: 107 });
    expect(journal.advance(10)).toEqual({ sequence: 109, dropped: 107, oldest: 107 });
  });
});
