/**
 * Looks for the landmark on new connections, before anything is delivered over them: a topic that was deleted and made again under the same
 * name looks the same to everything else that a broker tells. Compaction may have removed the record where it stood, but only because a newer
 * one of the same key stands further on.
 */
import type { Landmark, Offset, PartitionBounds } from '../../../src/ports.ts';
import { brokerError } from './client.ts';
import { recordsOf } from './fetched.ts';
import type { TopicConnection } from './topic-connection.ts';

/** `another`: its key has a record that is not ours. `missing`: it is nowhere up to the end, as the log tells its end now. */
export type Verdict = 'found' | 'another' | 'missing';

const searchBytes = 1024 * 1024;

/** Errors: whatever keeps the partition from being read up to its end. */
export async function searchLandmark(
  landmark: Landmark,
  connection: TopicConnection,
  bounds: () => Promise<readonly PartitionBounds[]>,
): Promise<Verdict> {
  const { partition } = landmark;
  const known = (await bounds())[partition];
  const leader = connection.leaderOf(partition);
  if (known === undefined || leader === undefined) throw new Error(`partition ${partition}, which holds the landmark, has no leader`);
  for (let at = Math.max(landmark.offset, known.first) as Offset; at < known.next; ) {
    const partitions = [{ partition, fetchOffset: String(at), maxBytes: searchBytes }];
    const [fetched] = await connection.fetch(leader, { maxWaitMs: 0, maxBytes: searchBytes, partitions });
    if (fetched === undefined || fetched.errorCode !== 0) throw brokerError(fetched?.errorCode ?? -1);
    const { records, next } = recordsOf(fetched, at);
    for (const record of records) {
      const verdict = landmark.recognise(record);
      if (verdict !== undefined) return verdict ? 'found' : 'another';
    }
    if (next > at) at = next;
    else if (fetched.lastStableOffset > at && fetched.preferredReplica < 0) at = Math.min(fetched.lastStableOffset, known.next) as Offset;
    else throw new Error(`partition ${partition} cannot be read from ${at} on yet`);
  }
  return 'missing';
}
