/** The apply loop over a store whose writes take as long as the test wants: what may overtake what, and what a failed write leaves. */
import { describe, expect, test } from 'vitest';
import { BitacoraError } from '../../src/core/errors.ts';
import type {
  Entry,
  LogBatch,
  LogIdentity,
  LogRecord,
  Meter,
  Millis,
  NewRecord,
  Offset,
  Partition,
  Store,
  StoreBatch,
} from '../../src/ports.ts';
import { type Applied, ApplyLoop } from '../../src/replica/apply-loop.ts';
import { openMemoryStore } from '../../storage/store/memory-store.ts';
import { identityWith } from '../contract/store-values.ts';
import { at, by, ifMatch, lagMs, put } from '../core/records.ts';
import { settle, TestClock } from './test-clock.ts';

const p0 = 0 as Partition;
const identity: LogIdentity = {
  ...{ kind: 'memory', clusterId: 'c', topic: 't', partitions: 1, compactionLagMs: lagMs, deleteRetentionMs: lagMs, logAppendTime: true },
  togetherBytes: 1_000_000,
};
const nothing = (): void => undefined;
const quiet: Meter = { applied: nothing, skipped: nothing, appended: nothing, applyDelay: nothing, read: nothing, rebuilt: nothing };

/** Shows what was handed to it at once, and says that it is written when the test lets it. */
class SlowStore {
  readonly handed: StoreBatch[] = [];
  /** Resolves when the test lets loads go on. */
  loading = Promise.resolve();
  readonly #inner: Store;
  readonly #writes: { readonly done: () => void; readonly fail: (error: Error) => void }[] = [];

  constructor(inner: Store) {
    this.#inner = inner;
  }

  get store(): Store {
    const inner = this.#inner;
    return {
      identity: inner.identity,
      checkpoints: [...inner.checkpoints],
      sizeBytes: 0,
      peek: () => undefined,
      lacks: (key) => inner.lacks(key),
      get: (key) => inner.get(key),
      load: (keys) => this.loading.then(() => inner.load(keys)),
      scan: (range) => inner.scan(range),
      identify: (given) => inner.identify(given),
      writers: (partition) => inner.writers(partition),
      answers: (partition) => inner.answers(partition),
      fates: (partition) => inner.fates(partition),
      digest: (partition) => inner.digest(partition),
      unsettled: () => inner.unsettled(),
      doubtful: () => inner.doubtful(),
      verify: () => inner.verify(),
      close: () => inner.close(),
      write: (batch) => {
        this.handed.push(batch);
        void inner.write(batch);
        return new Promise<void>((done, fail) => this.#writes.push({ done, fail }));
      },
    };
  }

  /** The oldest write that is under way is done. */
  async done(): Promise<void> {
    this.#writes.shift()?.done();
    await settle();
  }

  async fail(): Promise<void> {
    this.#writes.shift()?.fail(new BitacoraError('store-failed', 'the disk is full'));
    await settle();
  }
}

async function begin() {
  const inner = await openMemoryStore();
  await inner.identify(identityWith({ partitions: 1 }));
  const slow = new SlowStore(inner);
  const applied: Applied[] = [];
  const failed: unknown[] = [];
  const loop = await ApplyLoop.begin(slow.store, identity, new TestClock(), quiet, {
    began: () => undefined,
    inDoubt: () => false,
    watched: () => true,
    applied: (told) => applied.push(told),
    skipped: () => undefined,
    digested: () => undefined,
    failed: (error) => failed.push(error),
  });
  let next = 0;
  const take = (...records: NewRecord[]): Promise<void> => {
    const first = next as Offset;
    next += records.length;
    const placed: LogRecord[] = records.map((record, i) => at(first + i, record));
    const batch: LogBatch = { partition: p0, first, next: next as Offset, end: next as Offset, jumped: false, records: placed };
    const taken = loop.batch(batch);
    taken.catch(() => undefined);
    return taken;
  };
  return { slow, loop, applied, failed, take };
}

const keysOf = ({ entries }: StoreBatch): string[] => [...entries.keys()];
const entryIn = (batch: StoreBatch | undefined, key: string): Entry | undefined => batch?.entries.get(key);

describe('while a batch is being written', () => {
  test('one of new keys is handed over at once, and told in order', async () => {
    const { slow, loop, applied, take } = await begin();
    await take(put('a', '1', by(1)), put('b', '1', by(2)));
    const second = take(put('c', '1', by(3)));
    await settle();
    expect(slow.handed.map(keysOf)).toEqual([['a', 'b'], ['c']]);
    expect(slow.handed.map(({ checkpoint }) => [checkpoint.next, checkpoint.entries])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    expect(loop.checkpoints[0]?.next).toBe(0);
    expect(applied).toEqual([]);
    await slow.done();
    await second;
    expect(loop.checkpoints[0]?.next).toBe(2);
    await slow.done();
    expect(applied.map(({ next, keys, records, added }) => [next, keys, records, added])).toEqual([
      [2, ['a', 'b'], 2, 2],
      [3, ['c'], 1, 1],
    ]);
  });

  test('the log is asked for one more, and then for none until it is written: memory stays bounded however slow the disk', async () => {
    const { slow, take } = await begin();
    await take(put('a', '1', by(1)));
    let asksForMore = false;
    const second = take(put('b', '1', by(2))).then(() => {
      asksForMore = true;
    });
    await settle();
    expect(asksForMore).toBe(false);
    await slow.done();
    await second;
    expect(asksForMore).toBe(true);
  });

  test('one with a key of it waits, and so does whatever comes after that', async () => {
    const { slow, take, applied } = await begin();
    await take(put('a', '1', by(1)));
    void take(put('a', '2', by(2)));
    await settle();
    void take(put('new', '1', by(3)));
    await settle();
    expect(slow.handed.map(keysOf)).toEqual([['a']]);
    await slow.done();
    expect(slow.handed.map(keysOf)).toEqual([['a'], ['a']]);
    await slow.done();
    expect(slow.handed.map(keysOf)).toEqual([['a'], ['a'], ['new']]);
    expect(slow.handed.map(({ checkpoint }) => checkpoint.entries)).toEqual([1, 1, 2]);
    await slow.done();
    expect(applied.map(({ next }) => next)).toEqual([1, 2, 3]);
  });

  test('one of new keys does not overtake one that is still looking for its entries', async () => {
    const { slow, take, failed } = await begin();
    await take(put('a', '1', by(1)));
    let loaded = (): void => undefined;
    slow.loading = new Promise((resolve) => {
      loaded = resolve;
    });
    void take(put('a', '2', by(2)));
    await slow.done();
    void take(put('new', '1', by(3)));
    await settle();
    loaded();
    await settle();
    await slow.done();
    expect(failed).toEqual([]);
    expect(slow.handed.map(keysOf)).toEqual([['a'], ['a'], ['new']]);
  });

  test('a duplicate of what it holds is known, and so is a condition on it', async () => {
    const { slow, take, applied } = await begin();
    await take(put('a', '1', by(1)));
    void take(put('b', 'again', by(1)));
    await settle();
    expect(entryIn(slow.handed[1], 'b')).toMatchObject({ settled: false, deleted: true });
    void take(ifMatch('a', '2', 0 as Offset, by(2)));
    await slow.done();
    await slow.done();
    expect(entryIn(slow.handed[2], 'a')).toMatchObject({ settled: false, version: 2 });
    await slow.done();
    expect(applied.map(({ unsettled }) => [...unsettled.keys()])).toEqual([[], ['b'], ['a']]);
  });

  test('the note of being at the end keeps its turn', async () => {
    const { slow, loop, take } = await begin();
    await take(put('a', '1', by(1)));
    void loop.noteAtEnd(p0, 77 as Millis);
    void take(put('b', '1', by(2)));
    await settle();
    expect(slow.handed).toHaveLength(1);
    await slow.done();
    await slow.done();
    expect(slow.handed.map(({ checkpoint }) => checkpoint.next)).toEqual([1, 1, 2]);
    expect(slow.handed[1]?.checkpoint.atEnd).toBe(77);
  });
});

test('after a failed write nothing is told, and no checkpoint moves', async () => {
  const { slow, loop, applied, failed, take } = await begin();
  await take(put('a', '1', by(1)));
  const second = take(put('b', '1', by(2)));
  await slow.fail();
  await expect(second).rejects.toMatchObject({ code: 'store-failed' });
  await slow.fail();
  expect(applied).toEqual([]);
  expect(loop.checkpoints[0]?.next).toBe(0);
  expect(failed).toHaveLength(2);
  await expect(loop.settled()).rejects.toMatchObject({ code: 'store-failed' });
});
