import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../src/ports.ts';
import { withHashmap } from '../../storage/store/hashmap.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { MemoryDisk, openMemoryStore } from '../../storage/store/memory-store.ts';
import { type StorePlace, storeContract } from './store.ts';

async function levelPlace(over: (store: Store) => Store = (store) => store): Promise<StorePlace> {
  const home = await mkdtemp(join(tmpdir(), 'bitacora-store-'));
  return {
    open: async () => over(await openLevelStore({ directory: join(home, 'store'), filterBytes: 64 * 1024 })),
    remove: () => rm(home, { recursive: true, force: true }),
  };
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
