/** A node with an empty store and a long log: it takes its state from another once, and the log has the last word. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { putRecord } from '../../src/core/record.ts';
import type { Seeding, SeedWanted } from '../../src/ports.ts';
import { storeFormat } from '../../src/replica/same-log.ts';
import type { MemoryDisk } from '../../storage/store/memory-store.ts';
import { by } from '../core/records.ts';
import { openWorld, partitionIn, reads, readyNode, startNode, type TestNode, untilApplied, untilReady, type World, write } from './node.ts';

async function longLog(): Promise<{ readonly world: World; readonly giver: TestNode }> {
  const world = openWorld({ partitions: 1 });
  const giver = await readyNode(world);
  for (let i = 1; i <= 50_000; i++)
    world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf(`k${i % 100}`), bytesOf(`${i}`), by(i, 'x/1')));
  await untilApplied(world, giver);
  return { world, giver };
}

/** Gives a disk, or none, and notes what was wanted. */
function giving(disk: MemoryDisk | undefined, wanted: SeedWanted[]) {
  return (lay: (disk: MemoryDisk) => void): Seeding =>
    async (asked) => {
      wanted.push(asked);
      if (disk?.identity === undefined) return 'none';
      const refused = await asked.accept?.({ format: storeFormat, identity: disk.identity, checkpoints: disk.checkpoints });
      if (refused !== undefined) return 'none';
      await asked.vacate();
      lay(disk);
      return 'seeded';
    };
}

const appliedBy = (node: TestNode): number => node.replica.status.recordsApplied;

test('what another gives is gone on from', async () => {
  const { world, giver } = await longLog();
  await world.clock.outcome(giver.replica.close());
  await world.clock.advance(10);
  const wanted: SeedWanted[] = [];
  world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k1'), bytesOf('newer'), by(1, 'y/1')));
  const fresh = await readyNode(world, { name: 'n2:8082', seed: giving(giver.disk(), wanted) });
  expect(appliedBy(fresh)).toBeLessThan(10);
  expect(await reads(world, fresh, 'k1')).toBe('newer');
  expect(await reads(world, fresh, 'k99')).toBe('49999');
  expect(wanted).toHaveLength(1);
  expect(wanted[0]).toMatchObject({ topic: world.topic.identity.topic, partitions: 1 });
});

test('a short log is read, and so is one of which nobody gives a state', async () => {
  const wanted: SeedWanted[] = [];
  const short = openWorld();
  const giver = await readyNode(short);
  await write(short, giver, 'k', 'v');
  const node = await readyNode(short, { name: 'n2:8082', seed: giving(giver.disk(), wanted) });
  expect([await reads(short, node, 'k'), wanted.length]).toEqual(['v', 0]);

  const { world } = await longLog();
  const alone = await readyNode(world, { name: 'n2:8082', seed: giving(undefined, wanted) });
  expect([await reads(world, alone, 'k99'), wanted.length]).toEqual(['49999', 1]);
  expect(appliedBy(alone)).toBeGreaterThan(50_000);
});

test('a state of another log, ahead of this one, is not taken; one that the log disproves later is thrown away, and no other asked for', async () => {
  const { world } = await longLog();
  const other = await longLog();
  for (let i = 0; i < 10; i++) await write(other.world, other.giver, 'k1', 'theirs');
  await other.world.clock.outcome(other.giver.replica.close());
  const wanted: SeedWanted[] = [];
  const ahead = await readyNode(world, { name: 'n2:8082', seed: giving(other.giver.disk(), wanted) });
  expect([await reads(world, ahead, 'k1'), wanted.length, ahead.aside]).toEqual(['49901', 1, []]);

  // As long as this log is: only its landmark tells.
  for (let i = 0; i < 100; i++) world.topic.inject(partitionIn(world, 'k'), putRecord(bytesOf('k1'), bytesOf('ours'), by(i + 1, 'z/1')));
  const disproved = await readyNode(world, { name: 'n3:8082', seed: giving(other.giver.disk(), wanted) });
  expect([await reads(world, disproved, 'k1'), wanted.length, disproved.aside.length]).toEqual(['ours', 2, 1]);
});

test('who asked for the log’s own word is not given another node’s', async () => {
  const { world, giver } = await longLog();
  const wanted: SeedWanted[] = [];
  const node = await startNode(world, { name: 'n2:8082', seed: giving(undefined, wanted) });
  await untilReady(world, node);
  expect(wanted).toHaveLength(1);
  node.replica.resync();
  await world.clock.until('it begins', () => !node.replica.status.ready);
  await untilReady(world, node);
  expect([wanted.length, await reads(world, node, 'k99')]).toEqual([1, '49999']);
  expect(await reads(world, giver, 'k99')).toBe('49999');
});
