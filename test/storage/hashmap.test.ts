import { describe, expect, test } from 'vitest';
import { codeOf } from '../../src/core/errors.ts';
import type { Entry, Offset, Store } from '../../src/ports.ts';
import { type HashmapStore, withHashmap } from '../../storage/store/hashmap.ts';
import { openMemoryStore } from '../../storage/store/memory-store.ts';
import { batchOf, entryWith, identityWith } from '../contract/store-values.ts';

const MIB = 1024 * 1024;
const versioned = (version: number): Entry => entryWith({ version: version as Offset });

/** A store whose answers to `get` are taken at once and given when `release` is called, and whose writes can fail. */
class HeldStore {
  gets = 0;
  fails = false;
  readonly #inner: Store;
  readonly #held: (() => void)[] = [];

  private constructor(inner: Store) {
    this.#inner = inner;
  }

  static async open(): Promise<{ held: HeldStore; store: HashmapStore }> {
    const inner = await openMemoryStore();
    await inner.identify(identityWith());
    const held = new HeldStore(inner);
    const facade: Store = {
      ...bound(inner),
      identity: inner.identity,
      checkpoints: inner.checkpoints,
      sizeBytes: 0,
      get: (key) => held.#get(key),
      write: (batch) => (held.fails ? Promise.reject(new Error('no')) : inner.write(batch)),
    };
    return { held, store: withHashmap(facade, MIB) };
  }

  release(): void {
    for (const go of this.#held.splice(0)) go();
  }

  async #get(key: string): Promise<Entry | undefined> {
    this.gets++;
    const entry = await this.#inner.get(key);
    await new Promise<void>((resolve) => this.#held.push(resolve));
    return entry;
  }

  /** Resolves when so many answers are being held. */
  async holding(count: number): Promise<void> {
    while (this.#held.length < count) await new Promise(setImmediate);
  }
}

function bound(inner: Store): Omit<Store, 'identity' | 'checkpoints' | 'sizeBytes' | 'get' | 'write'> {
  return {
    peek: (key) => inner.peek(key),
    lacks: (key) => inner.lacks(key),
    load: (keys) => inner.load(keys),
    scan: (range) => inner.scan(range),
    identify: (identity) => inner.identify(identity),
    writers: (partition) => inner.writers(partition),
    fates: (partition) => inner.fates(partition),
    digest: (partition) => inner.digest(partition),
    answers: (partition) => inner.answers(partition),
    unsettled: () => inner.unsettled(),
    doubtful: () => inner.doubtful(),
    verify: (signal) => inner.verify(signal),
    close: () => inner.close(),
  };
}

/** A store that holds 'a' at version 1, and a hashmap over it that has not heard of it. */
async function unread(): Promise<{ held: HeldStore; store: HashmapStore }> {
  const opened = await HeldStore.open();
  // Too large to be held in memory.
  await opened.store.write(batchOf([['a', entryWith({ version: 1 as Offset, value: Buffer.alloc(MIB / 2) })]]));
  expect(opened.store.peek('a')).toBeUndefined();
  return opened;
}

describe('the hashmap', () => {
  test('answers at once what was written, and after the first question what was not', async () => {
    const { held, store } = await HeldStore.open();
    await store.write(batchOf([['a', versioned(1)]]));
    expect(store.peek('a')?.version).toBe(1);
    expect((await store.get('a'))?.version).toBe(1);
    expect(held.gets).toBe(0);
    expect(store.memoryEntries).toBe(1);
  });

  test('shares one load between all who ask for a key', async () => {
    const { held, store } = await unread();
    const answers = [store.get('a'), store.get('a'), store.get('a')];
    await held.holding(1);
    held.release();
    for (const answer of answers) expect((await answer)?.version).toBe(1);
    expect(held.gets).toBe(1);
  });

  test('does not keep a value that was overtaken by a write while it was being loaded', async () => {
    const { held, store } = await unread();
    const old = store.get('a');
    await held.holding(1);
    await store.write(batchOf([['a', versioned(2)]]));
    held.release();
    expect((await old)?.version).toBe(1);
    expect(store.peek('a')?.version).toBe(2);
  });

  test('does not bring back what was removed while it was being loaded', async () => {
    const { held, store } = await unread();
    const old = store.get('a');
    await held.holding(1);
    await store.write(batchOf([['a', undefined]]));
    held.release();
    await old;
    expect(store.peek('a')).toBeUndefined();
  });

  test('who asks after a write does not get the answer of a load from before it', async () => {
    const { held, store } = await unread();
    const old = store.get('a');
    await held.holding(1);
    // Too large to be held in memory, so the question goes to the store again.
    await store.write(batchOf([['a', entryWith({ version: 2 as Offset, value: Buffer.alloc(MIB / 2) })]]));
    const fresh = store.get('a');
    await held.holding(2);
    held.release();
    expect((await old)?.version).toBe(1);
    expect((await fresh)?.version).toBe(2);
  });

  test('an overtaken load does not strike a later one off the list', async () => {
    const { held, store } = await unread();
    const old = store.get('a');
    await held.holding(1);
    await store.write(batchOf([['a', entryWith({ version: 2 as Offset, value: Buffer.alloc(MIB / 2) })]]));
    const fresh = store.get('a');
    await held.holding(2);
    await store.write(batchOf([['a', versioned(3)]]));
    held.release();
    await Promise.all([old, fresh]);
    expect(store.peek('a')?.version).toBe(3);
  });

  test('shows nothing of a write before it is written, and nothing of one that failed', async () => {
    const { held, store } = await HeldStore.open();
    await store.write(batchOf([['a', versioned(1)]]));
    const writing = store.write(
      batchOf([
        ['a', versioned(2)],
        ['b', versioned(2)],
      ]),
    );
    expect(store.peek('a')?.version).toBe(1);
    expect(store.peek('b')).toBeUndefined();
    await writing;
    expect(store.peek('a')?.version).toBe(2);
    held.fails = true;
    await expect(store.write(batchOf([['a', versioned(3)]]))).rejects.toThrow('no');
    expect(store.peek('a')?.version).toBe(2);
  });

  test('a load that ends after the closing fills nothing', async () => {
    const { held, store } = await unread();
    const late = store.get('a');
    await held.holding(1);
    await store.close();
    held.release();
    await late;
    expect(store.peek('a')).toBeUndefined();
    expect(store.memoryBytes).toBe(0);
    expect(codeOf(await store.get('a').catch((error: unknown) => error))).toBe('closed');
  });

  test('a failed load is not remembered', async () => {
    const inner = await openMemoryStore();
    await inner.identify(identityWith());
    let fails = true;
    const store = withHashmap(
      {
        ...bound(inner),
        identity: undefined,
        checkpoints: [],
        sizeBytes: 0,
        write: (batch) => inner.write(batch),
        get: (key) => (fails ? Promise.reject(new Error('no')) : inner.get(key)),
      },
      MIB,
    );
    await expect(store.get('a')).rejects.toThrow('no');
    fails = false;
    expect(await store.get('a')).toBeUndefined();
  });
});
