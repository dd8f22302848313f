/** Stores of nodes that are not running, to be backed up, restored and republished. */
import type { Answer, Entry, Offset, StoreIdentity } from '../../src/ports.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { openStoppedStore } from '../../storage/store/stopped-store.ts';
import { batchOf, checkpointWith, entryWith, identityWith, partition } from '../contract/store-values.ts';
import { contentsOf } from '../storage/snapshot-store.ts';

export const oldGenesis = 'aaaaaaaa-ceea-467f-a8d5-2f0a5b1c9d3e';

/** By key; a text is a value that is settled, undefined a deleted key. */
export type Contents = Readonly<Record<string, string | undefined | (Partial<Entry> & { readonly doubtful?: boolean })>>;

/** Makes the store at `directory`, of one partition, with a genesis record besides. */
export async function makeStore(directory: string, contents: Contents, changes: Partial<StoreIdentity> = {}): Promise<void> {
  const genesis = { id: oldGenesis, partition: partition(0), offset: 0 as Offset };
  const all = Object.entries<Contents[string]>({ '\0genesis': oldGenesis, ...contents });
  const doubtful = new Set<string>();
  const entries = all.map(([key, given], at): [string, Entry] => {
    const place = { version: at as Offset, newest: at as Offset };
    if (given === undefined) return [key, entryWith({ ...place, deleted: true, value: new Uint8Array(0) })];
    if (typeof given === 'string') return [key, entryWith({ ...place, value: Buffer.from(given) })];
    const { doubtful: inDoubt, ...rest } = given;
    if (inDoubt) doubtful.add(key);
    return [key, entryWith({ ...place, ...rest })];
  });
  const store = await openLevelStore({ directory });
  await store.identify(identityWith({ partitions: 1, genesis, ...changes }));
  const checkpoint = checkpointWith({ next: all.length, entries: all.length, logTime: 1_700_000_000_000, atEnd: 1_700_000_000_000 });
  await store.write({ ...batchOf(entries, { checkpoint }), doubtful, answers: new Map<string, Answer>() });
  await store.close();
}

/** So many keys `k/00000…`, with their numbers. */
export function numbered(count: number): Contents {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [keyOf(i), `${i}`]));
}

export const keyOf = (number: number): string => `k/${String(number).padStart(5, '0')}`;

/** Everything in a store that is closed. */
export async function contentsAt(directory: string): Promise<object> {
  const kept = await openStoppedStore(directory);
  await kept.close();
  const store = await openLevelStore({ directory });
  try {
    return await contentsOf(store);
  } finally {
    await store.close();
  }
}
