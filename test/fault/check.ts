/** The whole verdict on a history. Pure: what it says of a saved history it says again. */
import { checkReads } from './check-reads.ts';
import { checkWatches } from './check-watches.ts';
import { checkWrites } from './check-writes.ts';
import type { Held, History, Violation } from './history.ts';
import { Known } from './known.ts';
import { fits, WholeLog } from './truth.ts';

export function check(history: History): Violation[] {
  const log = new WholeLog(history.log, history.partitions, history.lagMs);
  const known = new Known(history.operations, log);
  return [
    ...history.troubles.map((detail) => ({ rule: 'the cluster did not keep itself', detail })),
    ...checkWrites(history, log, known),
    ...checkReads(history, log, known),
    ...checkWatches(history, log),
    ...history.held.flatMap((held) => checkHeld(held, history, log)),
  ];
}

/** At the end each node holds what the log says, so all hold the same, and what was deleted is gone. */
function checkHeld(held: Held, { skewMs }: History, log: WholeLog): Violation[] {
  const { key, status, at, value, version } = held;
  const partition = log.partitionOf(key);
  const oracle = log.of(key);
  const truth = oracle.at(key, oracle.next);
  const answered = status === 200 || status === 404;
  if (answered && fits(truth, partition, { value, version, from: at, to: at }, skewMs)) return [];
  const rule = truth.deleted && value !== undefined ? 'a deleted key is back' : 'a node does not hold what the log says';
  return [{ rule, detail: `${JSON.stringify(held)}, the log says ${JSON.stringify(truth)}` }];
}
