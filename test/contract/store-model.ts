/** A store as plain Maps, and random things to do to both it and a real one. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Checkpoint, Entry, Millis, Offset, Store, WriterMark } from '../../src/ports.ts';
import type { StorePlace } from './store.ts';
import { scanned } from './store-scan.ts';
import { batchOf, checkpointWith, identityWith, partition, plain } from './store-values.ts';

const PARTITIONS = 3;

export type Command =
  | {
      readonly do: 'write';
      readonly partition: number;
      readonly entries: readonly [string, Entry | undefined][];
      readonly writers: readonly [string, WriterMark | undefined][];
    }
  | { readonly do: 'read'; readonly keys: readonly string[] }
  | { readonly do: 'reopen' };

/** Few keys, so that they meet again; some of any kind. */
const anyKey = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', '__proto__', '😀', 'ÿ') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }) },
);
const anyOffset = fc.maxSafeInteger() as fc.Arbitrary<number> as fc.Arbitrary<Offset>;
const anyTime = fc.oneof(fc.constant(0), fc.maxSafeInteger()) as fc.Arbitrary<number> as fc.Arbitrary<Millis>;

/** All entries that can be stored. */
export const anyEntry: fc.Arbitrary<Entry> = fc.record({
  version: anyOffset,
  newest: anyOffset,
  settled: fc.boolean(),
  deleted: fc.boolean(),
  value: fc.uint8Array({ maxLength: 300 }),
  time: anyTime,
  expires: anyTime,
  id: fc.oneof(fc.uuid(), fc.constant(''), fc.string({ unit: 'grapheme' })),
  by: fc.string({ unit: 'grapheme', maxLength: 120 }),
  contentType: fc.string({ unit: 'grapheme', maxLength: 120 }),
});

/** Keys belong to one partition, as in a log. */
const partitionOf = (key: string): number => key.charCodeAt(0) % PARTITIONS;

const anyWrite: fc.Arbitrary<Command> = fc.record({
  do: fc.constant('write' as const),
  partition: fc.nat(PARTITIONS - 1),
  entries: fc.array(fc.tuple(anyKey, fc.option(anyEntry, { nil: undefined, freq: 4 })), { maxLength: 8 }),
  writers: fc.array(
    fc.tuple(fc.constantFrom('x', 'y', 'z'), fc.option(fc.record({ sequence: fc.nat(), time: anyTime }), { nil: undefined, freq: 3 })),
    { maxLength: 2 },
  ),
});

export function commandsOf(): fc.Arbitrary<Command[]> {
  const anyRead: fc.Arbitrary<Command> = fc.record({ do: fc.constant('read' as const), keys: fc.array(anyKey, { maxLength: 8 }) });
  const reopen: fc.Arbitrary<Command> = fc.constant({ do: 'reopen' });
  return fc.array(fc.oneof({ weight: 6, arbitrary: anyWrite }, { weight: 3, arbitrary: anyRead }, { weight: 1, arbitrary: reopen }), {
    maxLength: 25,
  });
}

/** Does the commands to a store and to the model and compares them after each. */
export async function runAgainstModel(place: StorePlace, commands: readonly Command[]): Promise<void> {
  const entries = new Map<string, Entry>();
  const writers = Array.from({ length: PARTITIONS }, () => new Map<string, WriterMark>());
  const checkpoints: Checkpoint[] = Array.from({ length: PARTITIONS }, () => checkpointWith());
  let store = await place.open();
  let next = 0;
  try {
    await store.identify(identityWith({ partitions: PARTITIONS }));
    for (const command of commands) {
      if (command.do === 'reopen') {
        await store.close();
        store = await place.open();
      } else if (command.do === 'read') {
        const loaded = await store.load(command.keys);
        expect(loaded.map(plain)).toEqual(command.keys.map((key) => plain(entries.get(key))));
        for (const key of command.keys) expect(plain(await store.get(key))).toEqual(plain(entries.get(key)));
      } else {
        const own = command.entries.filter(([key]) => partitionOf(key) === command.partition);
        for (const [key, entry] of own) set(entries, key, entry);
        for (const [incarnation, to] of command.writers) set(writers[command.partition]!, incarnation, to);
        const count = [...entries.keys()].filter((key) => partitionOf(key) === command.partition).length;
        const checkpoint = checkpointWith({ next: ++next, entries: count });
        checkpoints[command.partition] = checkpoint;
        const written = store.write(batchOf(own, { partition: command.partition, checkpoint, writers: command.writers }));
        // From the call on, though nobody may see them yet.
        for (const [key] of own) if (entries.has(key)) expect(store.lacks(key)).toBe(false);
        await written;
      }
      await compare(store, entries, writers, checkpoints);
    }
  } finally {
    await store.close();
  }
}

async function compare(
  store: Store,
  entries: ReadonlyMap<string, Entry>,
  writers: readonly ReadonlyMap<string, WriterMark>[],
  checkpoints: readonly Checkpoint[],
): Promise<void> {
  const keys = [...entries.keys()];
  for (const key of keys) {
    expect(store.lacks(key)).toBe(false);
    const held = store.peek(key);
    if (held !== undefined) expect(plain(held)).toEqual(plain(entries.get(key)));
  }
  expect((await store.load(keys)).map(plain)).toEqual(keys.map((key) => plain(entries.get(key))));
  const inOrder = keys.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  expect((await scanned(store, 3)).map(({ key, entry }) => [key, plain(entry)])).toEqual(
    inOrder.map((key) => [key, plain(entries.get(key))]),
  );
  expect(new Set(await store.unsettled())).toEqual(new Set(keys.filter((key) => !entries.get(key)!.settled)));
  for (let i = 0; i < PARTITIONS; i++) expect(await store.writers(partition(i))).toEqual(writers[i]);
  expect(store.checkpoints).toEqual(checkpoints);
  expect(await store.verify()).toBeUndefined();
}

function set<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
