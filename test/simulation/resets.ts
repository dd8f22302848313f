/** Why a watcher may have been told a `reset`; for all else the log and the node's store hold what was missed, and it must be told. */

import type { Partition } from '../../src/ports.ts';
import type { Heard } from './heard.ts';
import type { SimulatedNode } from './node.ts';
import { headerOf, keyOf } from './oracle.ts';
import type { World } from './world.ts';

/** A watch that is open, as it was when it began. */
export interface Session {
  readonly node: SimulatedNode;
  /** The watcher had no place to go on from, and has not had its `reset` yet. */
  anew: boolean;
  /** What the node had applied. */
  readonly applied: readonly number[];
  readonly misses: number;
  readonly overflows: number;
}

/** Undefined: there is no reason. */
export function reasonOf(world: World, heard: Heard, session: Session): string | undefined {
  const { node, misses, overflows } = session;
  if (session.anew) {
    session.anew = false;
    return 'asked for';
  }
  if (node.misses !== misses) return 'the node has jumped meanwhile';
  if (world.overflows() !== overflows) return 'a queue was full';
  const lagMs = world.options.compactionLagMs;
  for (const partition of heard.partitions) {
    const from = heard.next(partition);
    // Of what it comes to know only now a node does not look whether the watcher was told it by another.
    const doubted = doubtedFrom(world, heard, node, partition, Math.min(from, session.applied[partition] ?? 0));
    if (doubted !== undefined) return doubted;
    const first = world.oracles[partition]?.records[from];
    // Nothing is missed there, or not yet.
    if (first === undefined) continue;
    if (from < node.storeWatch.seesAllFrom(partition)) return 'the node has jumped before';
    if (world.clock.now() - first.time >= lagMs) return 'the log may be compacted there';
  }
  return undefined;
}

function doubtedFrom(world: World, heard: Heard, node: SimulatedNode, partition: Partition, from: number): string | undefined {
  for (const [offset, fate] of node.disk.fates.get(partition) ?? []) {
    const record = world.oracles[partition]?.records[offset];
    if (offset < from || fate !== 'unknown' || record === undefined || !heard.wants(keyOf(record))) continue;
    if (node.storeWatch.wasInDoubt(partition, offset)) return 'the node was in doubt';
    if (headerOf(record, 'asof') !== undefined) return 'the node learned something from a statement';
  }
  return undefined;
}
