/** What a node tells of its progress is a part between nothing and all, whatever the log says of its ends and wherever it begins. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogBatch, Offset, Partition, PartitionBounds } from '../../src/ports.ts';
import { Progress } from '../../src/replica/progress.ts';
import { TestClock } from './test-clock.ts';

const partitions = 3;

type Step =
  | { readonly what: 'ends'; readonly ends: readonly number[] }
  | { readonly what: 'batch'; readonly partition: number; readonly by: number; readonly jumped: boolean; readonly records: number }
  | { readonly what: 'wait'; readonly ms: number };

/** Ends go back too, and lie before what is applied: a new leader may tell an old one, and a topic may be made anew. */
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ what: fc.constant('ends' as const), ends: fc.array(fc.nat(2_000), { minLength: partitions, maxLength: partitions }) }),
  fc.record({
    ...{ what: fc.constant('batch' as const), partition: fc.nat(partitions - 1), by: fc.integer({ min: 1, max: 700 }) },
    ...{ jumped: fc.boolean(), records: fc.nat(700) },
  }),
  fc.record({ what: fc.constant('wait' as const), ms: fc.nat(5_000) }),
);

test('never below 0, never above 1, never no number; nor do rate and time left say the impossible', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(1_000), { minLength: partitions, maxLength: partitions }),
      fc.array(step, { maxLength: 40 }),
      async (from, steps) => {
        const clock = new TestClock();
        const applied = from as Offset[];
        const progress = new Progress(clock, [...applied], 0);
        for (const each of steps) {
          if (each.what === 'wait') await clock.advance(each.ms);
          if (each.what === 'ends') {
            const bounds = each.ends.map((next): PartitionBounds => ({ first: Math.min(500, next) as Offset, next: next as Offset }));
            progress.answered(bounds, progress.asking(), clock.monotonic());
          }
          if (each.what === 'batch') {
            const { partition, by, jumped, records } = each;
            const first = applied[partition] as Offset;
            const next = (first + by) as Offset;
            const batch: LogBatch = { partition: partition as Partition, first, next, end: next, jumped, records: [] };
            applied[partition] = next;
            progress.began(batch);
            progress.finished(batch.partition, next, records);
          }
          const { ratio, recordsPerSecond, secondsLeft, behind, lagMs } = progress;
          expect(ratio).toBeGreaterThanOrEqual(0);
          expect(ratio).toBeLessThanOrEqual(1);
          expect(Number.isFinite(recordsPerSecond) && recordsPerSecond >= 0).toBe(true);
          expect(secondsLeft === undefined || (Number.isFinite(secondsLeft) && secondsLeft >= 0)).toBe(true);
          expect(behind).toBeGreaterThanOrEqual(0);
          expect(lagMs).toBeGreaterThanOrEqual(0);
          expect(progress.ends.every((end, partition) => end >= (progress.applied[partition] as number))).toBe(true);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('from a checkpoint in the middle of a log whose beginning is gone it begins at 0 and ends at 1', () => {
  const progress = new Progress(new TestClock(), [1_000 as Offset], 0);
  progress.answered([{ first: 5_000 as Offset, next: 9_000 as Offset }], progress.asking(), 0);
  expect(progress.ratio).toBe(0);
  const take = (first: number, next: number, jumped: boolean): void => {
    const batch: LogBatch = {
      partition: 0 as Partition,
      first: first as Offset,
      next: next as Offset,
      end: next as Offset,
      jumped,
      records: [],
    };
    progress.began(batch);
    progress.finished(batch.partition, batch.next, 1);
  };
  take(1_000, 5_000, true);
  expect(progress.ratio).toBe(0.5);
  take(5_000, 9_000, false);
  progress.answered([{ first: 5_000 as Offset, next: 9_000 as Offset }], progress.asking(), 0);
  expect([progress.ratio, progress.caughtUp]).toEqual([1, true]);
});
