/** What was told of a key's past, held against the truth. */
import type { FoundValue, History, HistoryOptions, Moment, Offset, ReadAnswer, Version } from '../../src/ports.ts';
import type { SimulatedNode } from './node.ts';
import { type Accepted, headerOf, isLive, type Oracle, type Truth } from './oracle.ts';
import type { World } from './world.ts';

/** A question, and how it stood when it was asked. */
export interface Asked {
  readonly key: string;
  readonly node: SimulatedNode;
  readonly misses: number;
  /** The answer must reflect everything before this, whatever happens to the node. */
  readonly wanted: number;
  /** What the node had applied of the key's partition. */
  readonly applied: number;
}

export function wrongHistory(world: World, asked: Asked, options: HistoryOptions, history: History): string | undefined {
  const { key } = asked;
  const { versions, completeSince, next } = history;
  const { limit, before } = options;
  const oracle = world.oracleOf(key);
  const end = Math.min(before?.offset ?? oracle.next, oracle.next);
  if (versions.length > limit) return 'more than was asked for';
  for (const [i, version] of versions.entries()) {
    const { offset } = version.version;
    const accepted = oracle.acceptedAt(offset);
    if (accepted === undefined || accepted.key !== key || !isVersion(version, accepted)) return `${offset} is not what was written there`;
    if (offset >= end || !isSince(options.since, offset, accepted.record.time)) return `${offset} was not asked for`;
    if (i > 0 && offset >= (versions[i - 1] as Version).version.offset) return `${offset} is out of order`;
  }
  const from = completeSince.position.offset;
  const told = new Set<number>(versions.map(({ version }) => version.offset));
  const newest = versions[0]?.version.offset ?? -1;
  // The page begins where the node was, which was not behind this; a store that was made anew meanwhile knows less.
  const least = Math.max(asked.wanted, asked.node.misses === asked.misses ? asked.applied : 0);
  for (const { record } of oracle.accepted((each) => each === key, from, end)) {
    if (told.has(record.offset) || !isSince(options.since, record.offset, record.time)) continue;
    if (record.offset < Math.max(least, newest)) return `${record.offset} is missing, which is not before ${from}`;
  }
  if (completeSince.time !== undefined && completeSince.time < (oracle.records[from]?.time ?? 0)) return 'complete since too long ago';
  if (next !== undefined && next.offset > end) return `the next page begins at ${next.offset}, behind this one`;
  // A page that is full, or was ended early, goes on there.
  const isDone = next !== undefined || versions.length === limit || options.since !== undefined;
  return !isDone && isForNoReason(world, asked, from) ? `nothing is missing before ${from}` : undefined;
}

/** All from `from` on is said to be known, and not what is before it, though the log and the node have that too. */
export function isForNoReason(world: World, { key, node, misses }: Asked, from: Offset): boolean {
  const partition = world.partitionOf(key);
  if (from === 0 || node.misses !== misses || node.storeWatch.seesAllFrom(partition) >= from) return false;
  const before = (from - 1) as Offset;
  const { records } = world.topic.read(partition, before, { maxBatchRecords: 1, maxBatchBytes: 1 });
  return records[0]?.offset === before && node.disk.fates.get(partition)?.get(before) !== 'unknown';
}

export function wrongSight(world: World, asked: Asked, at: Moment, { found, applied }: ReadAnswer): string | undefined {
  const oracle = world.oracleOf(asked.key);
  if (applied.offset < asked.wanted) return `it is of ${applied.offset}, ${asked.wanted} was asked for`;
  if (typeof at === 'object' && at.offset >= applied.offset) return `it is of ${applied.offset}, before the place`;
  const [time, truths] = seenAt(oracle, asked.key, at, applied.offset);
  if (truths.some((truth) => (isLive(truth, time) ? isTruth(found, truth) : found === undefined))) return undefined;
  return `at that moment it was ${JSON.stringify(truths)}`;
}

/** The log time of the moment, and what stood there; of a time there may be more to come. */
function seenAt(oracle: Oracle, key: string, at: Moment, applied: number): [number, Truth[]] {
  if (typeof at === 'object') return [oracle.records[at.offset]?.time ?? 0, [oracle.atPlace(key, at.offset)]];
  const later = oracle.accepted((each) => each === key, applied, oracle.next).map(({ record }) => record.offset + 1);
  return [at, [applied, ...later, oracle.next].map((next) => oracle.atTime(key, at, next))];
}

function isTruth(found: FoundValue | undefined, { version, value, expires }: Truth): boolean {
  return found?.version?.offset === version && Buffer.from(found.value).toString() === value && found.expires === expires;
}

function isVersion({ found, time, id, by }: Version, { record, truth }: Accepted): boolean {
  const writer = headerOf(record, 'by') ?? '';
  const isOwn = time === record.time && id === (headerOf(record, 'id') ?? '') && (by === '' || writer.startsWith(`${by}/`));
  return isOwn && (found === undefined ? truth.deleted : !truth.deleted && isTruth(found, truth));
}

function isSince(since: Moment | undefined, offset: number, time: number): boolean {
  if (since === undefined) return true;
  return typeof since === 'object' ? offset >= since.offset : time >= since;
}
