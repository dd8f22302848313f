/** Who states what is unsettled, and who must not. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { decodeRecord, putRecord } from '../../src/core/record.ts';
import { by, ifMatch, put } from '../core/records.ts';
import { openWorld, partitionIn, readyNode, startNode, untilApplied, untilReady, type World } from './node.ts';

/** Statements in the topic under a key. */
function statements({ topic }: World, key: string): number {
  const { records } = topic.read(partitionIn({ topic } as World, key), 0 as never, { maxBatchRecords: 10_000, maxBatchBytes: 1e9 });
  return records.filter((record) => {
    const decoded = decodeRecord(record);
    return typeof decoded !== 'string' && decoded.key === key && decoded.operation === 'statement';
  }).length;
}

test('a conditional record of somebody who is gone is stated by the others, after a few seconds', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  world.topic.inject(partitionIn(world, 'k'), ifMatch('k', 'x', 'absent', by(1, 'gone/1')));
  await untilApplied(world, node);
  await world.clock.advance(2_500);
  expect(statements(world, 'k')).toBe(0);
  await world.clock.until('it is settled', () => !node.disk().unsettled.has('k'));
  expect(node.disk().entries.get('k')?.entry).toMatchObject({ settled: true, deleted: false, by: 'gone/1/1' });
});

test('in a partition that was quiet for hours the statement comes late at first, and is made again', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  world.topic.inject(partitionIn(world, 'k'), ifMatch('k', 'x', 'absent', by(1, 'gone/1')));
  await untilApplied(world, node);
  await world.clock.outcome(node.replica.close());
  await world.clock.advance(2 * 3_600_000);
  const again = await readyNode(world, { disk: node.disk() });
  await world.clock.until('it is settled', () => !again.disk().unsettled.has('k'));
  const made = statements(world, 'k');
  await world.clock.advance(60_000);
  expect(statements(world, 'k')).toBe(made);
});

test('a record that expects something is not stated by a node from which compaction may have hidden what it met', async () => {
  const world = openWorld({ compactionLagMs: 1_000 });
  const partition = partitionIn(world, 'k');
  // Accepted, then refused; compaction keeps only the refused one, which a new node would take for the first.
  world.topic.inject(partition, ifMatch('k', 'accepted', 'absent', by(1, 'a/1')));
  world.topic.inject(partition, ifMatch('k', 'refused', 'absent', by(1, 'b/1')));
  await world.clock.advance(5_000);
  expect(world.topic.compact()).toBe(1);
  world.topic.inject(partition, put('other', 'x'));
  const node = await startNode(world);
  await untilReady(world, node);
  await world.clock.advance(30_000);
  expect(statements(world, 'k')).toBe(0);
});

test('a log that is away when the statement is due: it is made when the log is back', async () => {
  const world = openWorld();
  const node = await readyNode(world);
  const first = putRecord(bytesOf('k'), bytesOf('v'), by(1, 'x/1'));
  for (let i = 0; i < 2; i++) world.topic.inject(partitionIn(world, 'k'), first);
  await untilApplied(world, node);
  world.topic.disconnect();
  await world.clock.advance(30_000);
  expect(node.disk().unsettled).toContain('k');
  world.topic.reconnect();
  await world.clock.until('it is settled', () => !node.disk().unsettled.has('k'));
  expect(statements(world, 'k')).toBe(1);
});
