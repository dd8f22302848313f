/** What a reader may ask its topic to see whether it is still the same. */
import { expect, test } from 'vitest';
import type { LogRecord, Millis, Offset, Partition } from '../../src/ports.ts';
import { TopicClue } from '../../storage/log/kafka/topic-clue.ts';

const record = (offset: number, time: number): LogRecord => ({
  ...{ offset: offset as Offset, time: time as Millis, key: null, value: null, headers: undefined },
});
const offsets = (...numbers: number[]) => numbers as Offset[];
const [p0, p1] = [0, 1] as [Partition, Partition];

test('records of one time tell nothing', () => {
  const clue = new TopicClue();
  clue.heard(p0, [record(4, 100), record(5, 100)]);
  clue.heard(p1, [record(1, 90)]);
  clue.heard(p0, []);
  expect(clue.since).toBeUndefined();
  expect(clue.fits(offsets(0, 0))).toBe(true);
});

test('the same topic answers behind the earlier record, compacted or not; one made later with its beginning', () => {
  const clue = new TopicClue();
  clue.heard(p0, [record(4, 100), record(5, 100)]);
  clue.heard(p0, [record(6, 100), record(9, 101)]);
  expect(clue.since).toBe(101);
  expect(clue.fits(offsets(6, 0))).toBe(true);
  expect(clue.fits(offsets(9, 0))).toBe(true);
  expect(clue.fits(offsets(70, 0))).toBe(true);
  expect(clue.fits(offsets(0, 70))).toBe(false);
  expect(clue.fits(offsets(5, 70))).toBe(false);
});

test('the first clue is kept, as the next may be of another topic, until it is forgotten', () => {
  const clue = new TopicClue();
  clue.heard(p1, [record(3, 50), record(4, 60)]);
  clue.heard(p0, [record(0, 500), record(1, 600)]);
  expect(clue.since).toBe(60);
  clue.forget();
  expect(clue.since).toBeUndefined();
  clue.heard(p0, [record(2, 700)]);
  expect(clue.since).toBeUndefined();
  clue.heard(p0, [record(3, 701)]);
  expect(clue.since).toBe(701);
});
