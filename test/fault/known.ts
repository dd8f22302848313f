/**
 * What the callers together knew of the log's growth: an answer that names a place proves that the log had come so far when it was given,
 * and a write that is at a place was not there before it was sent. Between the two lies what a request may have met.
 */
import type { Operation } from './history.ts';
import { offsetOf, seenIn, type WholeLog } from './truth.ts';

interface Bound {
  readonly time: number;
  readonly offset: number;
}

export class Known {
  /** By partition, by time: all answers up to then name no further place than this. */
  readonly #floors: readonly (readonly Bound[])[];
  /** By partition, by time: what was sent from then on is at no earlier place than this. */
  readonly #ceilings: readonly (readonly Bound[])[];

  constructor(operations: readonly Operation[], log: WholeLog) {
    const partitions = log.oracles.map((_, partition) => partition);
    const answered = operations.filter(({ outcome }) => outcome === 'ok' || outcome === 'refused').sort((a, b) => a.ended - b.ended);
    this.#floors = partitions.map((partition) => {
      let furthest = -1;
      return answered.flatMap(({ ended, position }) => {
        const offset = seenIn(position, partition);
        if (offset <= furthest) return [];
        furthest = offset;
        return [{ time: ended, offset }];
      });
    });
    const written = operations.filter(isFirstOfItsKind).sort((a, b) => b.began - a.began);
    this.#ceilings = partitions.map((partition) => {
      let earliest = Number.POSITIVE_INFINITY;
      return written.flatMap(({ key, began, version }) => {
        const offset = offsetOf(version as string);
        if (log.partitionOf(key) !== partition || offset >= earliest) return [];
        earliest = offset;
        return [{ time: began, offset }];
      });
    });
  }

  /** The furthest place that was told before a time; -1: none. */
  floor(partition: number, before: number): number {
    return lastOf(this.#floors[partition] ?? [], ({ time }) => time < before)?.offset ?? -1;
  }

  /** What was there until a time is before this place. */
  ceiling(partition: number, until: number): number {
    return lastOf(this.#ceilings[partition] ?? [], ({ time }) => time > until)?.offset ?? Number.POSITIVE_INFINITY;
  }
}

/** A repetition is answered with the place of an earlier request. */
function isFirstOfItsKind({ kind, outcome, idempotencyKey }: Operation): boolean {
  return kind === 'put' && outcome === 'ok' && idempotencyKey === undefined;
}

/** The last of those for which `holds` is true, which are the first ones. */
function lastOf<T>(sorted: readonly T[], holds: (one: T) => boolean): T | undefined {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1];
}
