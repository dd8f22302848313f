/** Fills the store below the directory given, batch after batch, and prints the number of each that is written. */
import { join } from 'node:path';
import { openLevelStore } from '../../storage/store/level-store.ts';
import { identityWith } from '../contract/store-values.ts';
import { writeBatch } from './store-history.ts';

const store = await openLevelStore({ directory: join(process.argv[2]!, 'store'), writeBufferBytes: 256 * 1024 });
if (store.identity === undefined) await store.identify(identityWith({ partitions: 1 }));
for (let batch = store.checkpoints[0]!.next as number; ; batch++) {
  await writeBatch(store, batch);
  console.log(batch + 1);
}
