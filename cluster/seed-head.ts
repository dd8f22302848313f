/** Whether a store that a peer gives is one of this node's log. */
import type { SeedWanted, StoreIdentity } from '../src/ports.ts';

/** Why a store of this identity is not of the log that is followed; undefined: it is. */
export function whyForeign(identity: StoreIdentity, wanted: SeedWanted): string | undefined {
  const { clusterId, topic, partitions, genesis } = identity;
  if (clusterId !== wanted.clusterId || topic !== wanted.topic) return `its store is of ${topic} on cluster ${clusterId}`;
  if (partitions !== wanted.partitions) return `its store has ${partitions} partitions`;
  if (wanted.genesis !== undefined && genesis?.id !== wanted.genesis) return `its store is of genesis ${genesis?.id}`;
  return undefined;
}
