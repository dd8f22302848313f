/** What all partitions have to reflect, on a node whose store is made anew while it is waited for. */
import { expect, test } from 'vitest';
import type { Offset, Partition, Position } from '../../src/ports.ts';
import type { Horizon } from '../../src/replica/horizon.ts';
import { Reaching } from '../../src/replica/reaching.ts';
import { Waiters } from '../../src/replica/waiters.ts';
import { TestClock } from './test-clock.ts';

const place = (partition: number, offset: number): Position => ({ partition: partition as Partition, offset: offset as Offset });

/** A node that waits for `0:5` and `1:5` of the log's end, and stands somewhere. */
function waiting(clock = new TestClock()) {
  const applied = [6, 0] as Offset[];
  const waiters = new Waiters((partition) => applied[partition] as Offset);
  const horizon = { ends: async () => [place(0, 5), place(1, 5)] } as unknown as Horizon;
  const reaching = new Reaching({ clock, waiters, horizon, partitions: () => 2, genesis: () => 'g' });
  const stands = (partition: number, next: number): void => {
    applied[partition] = next as Offset;
    waiters.applied(partition as Partition, next as Offset);
  };
  const patience = reaching.patience({});
  const reached = reaching.all({ consistency: 'latest' }, patience).finally(() => patience.end());
  return { waiters, reached, stands };
}

test('what was there, and is not any more when the rest has come, is waited for again', async () => {
  const { waiters, reached, stands } = waiting();
  let is = 'waiting';
  void reached.then(() => {
    is = 'reached';
  });
  await expect.poll(() => waiters.count).toBe(1);
  stands(0, 0);
  stands(1, 6);
  await expect.poll(() => waiters.count).toBe(1);
  expect(is).toBe('waiting');
  stands(0, 6);
  await reached;
  expect(waiters.count).toBe(0);
});

test('and no longer than patience lasts', async () => {
  const clock = new TestClock();
  const { waiters, reached, stands } = waiting(clock);
  await expect.poll(() => waiters.count).toBe(1);
  stands(0, 0);
  stands(1, 6);
  await expect.poll(() => waiters.count).toBe(1);
  const ended = expect(reached).rejects.toMatchObject({ code: 'position-not-reached' });
  await clock.advance(1_000);
  await ended;
  expect(waiters.count).toBe(0);
});
