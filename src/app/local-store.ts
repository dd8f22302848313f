/** The local database of a node: where it lies, and where it goes when another takes its place. */
import { forgetStale, keepStale, setAside } from '../../storage/store/level-files.ts';
import { openLevelStore } from '../../storage/store/level-store.ts';
import type { Logger, SnapshotSource, Store } from '../ports.ts';
import type { ReplicaOptions } from '../replica/replica.ts';
import type { StalePlace } from '../replica/stale-store.ts';

type LocalStore = Pick<ReplicaOptions, 'openStore' | 'setStoreAside'> & { readonly stale: StalePlace };

/** `opened` makes of each store that is opened what the node works with. */
export async function localStore(
  directory: string,
  logger: Logger,
  opened: (store: Store & SnapshotSource) => Promise<Store>,
): Promise<LocalStore> {
  const tellKept = (place: string, reason: string): void => {
    const said = `the old local database may be the last copy of what the log has lost: it is kept until you remove it; \`bitacora republish --store ${place}\` writes its keys into the log`;
    logger.error({ event: 'store.kept', place, reason }, said);
  };
  const keepAll = async (reason: string): Promise<void> => {
    for (const place of await keepStale(directory, reason)) tellKept(place, reason);
  };
  let stalePlace = '';
  // A process has died while it served from it, and did not come to know whether the log still has all of it.
  await keepAll('the node ended before it had made its state anew');
  return {
    openStore: async () => opened(await openLevelStore({ directory })),
    setStoreAside: async (reason, lastCopy) => {
      const place = await setAside(directory, reason, lastCopy ? 'other-log' : 'damaged');
      if (lastCopy) tellKept(place, reason);
      else logger.warn({ event: 'store.set-aside', place }, 'the old local database is kept for inspection');
    },
    stale: {
      setAside: async (reason) => {
        stalePlace = await setAside(directory, reason, 'stale');
        return openLevelStore({ directory: stalePlace });
      },
      forget: async (store) => {
        await store.close();
        await forgetStale(stalePlace);
      },
      keep: async (store, reason) => {
        await store.close();
        await keepAll(reason);
      },
    },
  };
}
