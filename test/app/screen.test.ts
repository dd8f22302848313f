/** The line of the restore. */
import { describe, expect, test } from 'vitest';
import { restoreLine } from '../../src/app/screen.ts';
import type { NodeStatus, Offset } from '../../src/ports.ts';

/** A restoring node's status with this laid over it. */
function status(change: Partial<NodeStatus>): NodeStatus {
  return {
    ...{
      state: 'restoring',
      reason: undefined,
      ready: false,
      writable: false,
      sealed: false,
      stale: false,
      progress: 0,
      recordsPerSecond: 0,
      secondsLeft: undefined,
    },
    ...{ applied: [], ends: [0 as Offset], lagMs: 1, entries: 0, recordsApplied: 0, genesis: undefined, log: 'connected' },
    ...change,
  };
}
const offsets = (...numbers: number[]) => numbers as Offset[];

describe('the line of a restore', () => {
  test('bar, percent, offsets, speed and an upper bound of the time left', () => {
    const line = restoreLine(
      status({
        progress: 0.584,
        applied: offsets(700_000, 2_000),
        ends: offsets(1_000_000, 210_000),
        recordsPerSecond: 182_300,
        secondsLeft: 3,
      }),
    );
    expect(line).toBe('restore ███████████░░░░░░░░░ 58 %  702 k/1.21 M offsets  182 k/s  at most 3 s');
  });

  test('without a known speed nothing is said of the time left', () => {
    expect(restoreLine(status({ applied: offsets(0), ends: offsets(9) }))).toBe('restore ░░░░░░░░░░░░░░░░░░░░ 0 %  0/9 offsets  0/s');
  });

  test('the bar is full at the end and not before', () => {
    expect(restoreLine(status({ progress: 0.999 }))).toContain('███████████████████░ 99 %');
    expect(restoreLine(status({ progress: 1 }))).toContain('████████████████████ 100 %');
  });

  test.each([
    [9_999, '9999'],
    [10_000, '10 k'],
    [999_499, '999 k'],
    [999_500, '1.00 M'],
    [12_345_678, '12.35 M'],
  ])('%i is written as %s', (count, text) => expect(restoreLine(status({ ends: offsets(count) }))).toContain(`/${text} offsets`));

  test('before the log has told its ends: the state, and why', () => {
    expect(restoreLine(status({ state: 'starting', ends: [] }))).toBe('starting: looking for the log');
    expect(restoreLine(status({ state: 'starting', ends: [], reason: 'nobody is there' }))).toBe('starting: nobody is there');
  });
});
