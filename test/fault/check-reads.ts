/**
 * Reads: each tells exactly what stood under its key at the place in the log that it names, and that place is far enough on: beyond what
 * the session has seen, and for `latest` and `linearizable` beyond all that anybody was told before the read began; for `latest` only where
 * Kafka tells the end as it is.
 */
import { told } from './check-writes.ts';
import { grouped } from './grouped.ts';
import type { History, Operation, Violation } from './history.ts';
import type { Known } from './known.ts';
import { fits, offsetOf, type WholeLog } from './truth.ts';

export function checkReads({ operations, skewMs, oldEnds, compacted }: History, log: WholeLog, known: Known): Violation[] {
  const seen = seenBefore(operations, log);
  return operations.flatMap((read) => {
    if (read.kind !== 'get' || read.outcome !== 'ok') return [];
    const partition = log.partitionOf(read.key);
    const reflects = log.seenOf(read.key, read.position);
    const wrong: Violation[] = [];
    const least = Math.max(log.seenOf(read.key, read.token), seen.get(read) ?? -1);
    if (reflects < least) wrong.push({ rule: 'a session read something older than it had seen', detail: `${told(read)}, seen ${least}` });
    const strong = read.consistency === 'linearizable' || (read.consistency === 'latest' && !oldEnds);
    const floor = strong ? known.floor(partition, read.began) : -1;
    if (reflects < floor) wrong.push({ rule: `a ${read.consistency} read was stale`, detail: `${told(read)}, known was ${floor}` });
    if (compacted && isUnvouched(read)) return wrong;
    const truth = log.of(read.key).at(read.key, reflects + 1);
    const answer = { value: read.found, version: read.version, from: read.began, to: read.ended };
    if (!fits(truth, partition, answer, skewMs))
      wrong.push({ rule: 'a read told what was not there', detail: `${told(read)}, there was ${JSON.stringify(truth)}` });
    return wrong;
  });
}

/** A node that restores from a compacted log may show what never was at one time; it says that it lags, and keeps who asks for more waiting. */
function isUnvouched({ consistency, token, lagMs }: Operation): boolean {
  return consistency === 'local' && token === undefined && lagMs !== 0;
}

/** For each request of a session the furthest place in its key's partition that its caller knows by versions, whatever the tokens said. */
function seenBefore(operations: readonly Operation[], log: WholeLog): Map<Operation, number> {
  const seen = new Map<Operation, number>();
  const sessions = grouped(
    operations.filter(({ session }) => session !== undefined),
    ({ session }) => session,
  );
  for (const session of sessions.values()) {
    const furthest = new Map<number, number>();
    for (const operation of session.sort((a, b) => a.began - b.began)) {
      const partition = log.partitionOf(operation.key);
      const before = furthest.get(partition) ?? -1;
      seen.set(operation, before);
      if (operation.outcome === 'ok') furthest.set(partition, Math.max(before, offsetOf(operation.version ?? '')));
    }
  }
  return seen;
}
