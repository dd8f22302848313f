/** A sealed log from a node's side: every write is refused and told where to go, reads go on, and it can be taken back. */
import { expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { codeOf } from '../../src/core/errors.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import { MemoryDisk } from '../../storage/store/memory-store.ts';
import { holds, openWorld, readyNode, type TestNode, type World, write } from './node.ts';

const to = 'http://new:8082';

async function refusal({ clock }: World, work: Promise<unknown>): Promise<string> {
  return clock.outcome(
    work.then(
      () => 'done',
      (error) => `${codeOf(error)} ${(error as Error).message}`,
    ),
  );
}

const sealing = (world: World, node: TestNode, where?: string) => world.clock.outcome(node.replica.seal(where));

test('every kind of write is refused on every node, and told where the log went; reads go on', async () => {
  const world = openWorld();
  const [one, other] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  const { position } = await write(world, one, 'k', 'v');
  const sealed = await sealing(world, one, to);
  expect(sealed.to).toBe(to);
  expect(sealed.positions).toEqual(
    world.topic.bounds.flatMap(({ next }, partition) => (next === 0 ? [] : [{ partition, offset: next - 1 }])),
  );
  for (const { replica } of [one, other]) {
    const refused = await Promise.all([
      refusal(world, replica.put('k', bytesOf('w'))),
      refusal(world, replica.delete('k')),
      refusal(world, replica.put('k', bytesOf('w'), { condition: position })),
      // Its condition fails here, which a barrier would have to prove.
      refusal(world, replica.put('k', bytesOf('w'), { condition: 'absent' })),
      refusal(world, replica.put('k', bytesOf('w'), { idempotencyKey: 'once' })),
      refusal(world, replica.writeAtomic([{ key: 'k', value: bytesOf('w') }])),
    ]);
    expect(new Set(refused)).toEqual(new Set([`log-sealed the log is sealed and takes no writes; it has moved to ${to}`]));
    expect(await refusal(world, replica.read('k', { consistency: 'linearizable' }))).toMatch(/^log-sealed/);
    expect(replica.status).toMatchObject({ ready: true, writable: false, sealed: true, reason: expect.stringContaining('sealed') });
    const { found } = await world.clock.outcome(replica.read('k', { consistency: 'latest' }));
    expect(Buffer.from(found?.value ?? []).toString()).toBe('v');
  }
  expect(world.topic.bounds.map(({ next }) => next)).toEqual(
    [0, 1].map((i) => 1 + (sealed.positions.find((each) => each.partition === i)?.offset ?? -1)),
  );
});

test('who comes to a sealed log serves it and says the same; a second sealing tells what was said first', async () => {
  const world = openWorld();
  const first = await readyNode(world);
  await write(world, first, 'k', 'v');
  const { positions } = await sealing(world, first, to);
  await world.clock.outcome(first.replica.close());
  const second = await readyNode(world, { name: 'n2:8082', disk: new MemoryDisk() });
  expect(await holds(second, 'k')).toBe('v');
  expect(await refusal(world, second.replica.put('k', bytesOf('w')))).toContain(to);
  expect(await sealing(world, second, 'http://elsewhere')).toEqual({ to, positions });
});

test('taken back, all nodes write again, and nothing of the sealing is left for users to see', async () => {
  const world = openWorld();
  const [one, other] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  await sealing(world, one);
  expect(await refusal(world, one.replica.put('k', bytesOf('w')))).toBe('log-sealed the log is sealed and takes no writes');
  await world.clock.outcome(other.replica.unseal());
  for (const node of [one, other]) {
    await write(world, node, 'k', 'again');
    expect(node.replica.status).toMatchObject({ writable: true, sealed: false, reason: undefined });
  }
  const { items } = await world.clock.outcome(one.replica.list({ prefix: '', limit: 10, delimiter: undefined }));
  expect(items.map(({ key }) => key)).toEqual(['k']);
  // What was said of the sealing that is over counts no more.
  expect((await sealing(world, one)).to).toBeUndefined();
  expect(partitionOf(bytesOf('k'), 2)).toBeLessThan(2);
});

test('a write that was on its way is refused by the log itself, however late it comes', async () => {
  const world = openWorld();
  const [one, frozen] = [await readyNode(world), await readyNode(world, { name: 'n2:8082' })];
  await write(world, one, 'k', 'v');
  world.topic.hold('before');
  const late = refusal(world, frozen.replica.put('k', bytesOf('late')));
  // What is held is held for all: sealing writes nothing then but what it must.
  world.topic.seal(true);
  world.topic.release();
  expect(await late).toMatch(/^log-sealed/);
  expect(await holds(one, 'k')).toBe('v');
});
