import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../src/ports.ts';
import { openLevel } from '../../storage/level.ts';
import { withHashmap } from '../../storage/store/hashmap.ts';
import { family, keyed } from '../../storage/store/keys.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { type StorePlace, storeContract } from './store.ts';

async function levelPlace(over: (store: Store) => Store = (store) => store): Promise<StorePlace> {
  const home = await mkdtemp(join(tmpdir(), 'bitacora-store-'));
  return {
    open: async () => over(await openLevelStore({ directory: join(home, 'store'), filterBytes: 64 * 1024 })),
    remove: () => rm(home, { recursive: true, force: true }),
    damage: (key) => damage(join(home, 'store'), key),
  };
}

async function damage(directory: string, key: string): Promise<void> {
  const level = await openLevel(directory, { create: false });
  const row = await level.get(keyed(family.entry, key));
  if (row === undefined) throw new Error('there is no such row');
  row[row.length - 1]! ^= 1;
  await level.put(keyed(family.entry, key), row);
  await level.close();
}

async function memoryPlace(over: (store: Store) => Store = (store) => store): Promise<StorePlace> {
  const disk = new MemoryDisk();
  return { open: async () => over(await openMemoryStore(disk)), remove: () => Promise.resolve() };
}

storeContract('level', () => levelPlace());
storeContract('memory', () => memoryPlace());
storeContract('hashmap over level', () => levelPlace((store) => withHashmap(store, 16 * 1024 * 1024)));
storeContract('hashmap over memory', () => memoryPlace((store) => withHashmap(store, 16 * 1024 * 1024)));
storeContract('a hashmap so small that it always makes room, over level', () => levelPlace((store) => withHashmap(store, 8 * 1024)));
storeContract('a hashmap of nothing, over memory', () => memoryPlace((store) => withHashmap(store, 0)));
