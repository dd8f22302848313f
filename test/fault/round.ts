/** One round: a cluster of its own, callers, trouble, recovery, and the verdict on all that was seen. */
import { cleanUp } from '../integration/clean-up.ts';
import { openArena, type Services } from './arena.ts';
import { attack } from './attack.ts';
import { check } from './check.ts';
import type { History, Violation } from './history.ts';
import { nemesesNamed } from './nemeses.ts';
import { furthestSkewMs } from './nemeses-of-processes.ts';
import type { Blow } from './nemesis.ts';
import { openWitness, readTopic } from './read-topic.ts';
import { recreate, recreation } from './recreation.ts';
import { historyOf, recovered, wellUnderWay } from './rest.ts';
import { startWorkload } from './workload.ts';

/** All that makes a round what it is, but for the machine's own timing. */
export interface Round {
  readonly seed: number;
  /** By name; `topic-recreate` alone, and `compaction` beside others. */
  readonly nemeses: readonly string[];
  /** How many strike at the same time. */
  readonly lanes: number;
  readonly brokers: 1 | 3;
  /** Of trouble. */
  readonly seconds: number;
}

export interface RoundResult {
  /** More than one where the log was made anew. */
  readonly histories: readonly History[];
  readonly blows: readonly Blow[];
  /** Records that were gone from the topic at the end. */
  readonly compacted: number;
  readonly violations: readonly Violation[];
}

const callers = 10;

/** Not a nemesis, but a topic whose old records go: what comes late finds holes. */
export const compaction = 'compaction';

/** Far above what settling takes and what callers repeat, and below what a round lasts, or there is nothing to compact. */
const compactedLagMs = 60_000;

const compactedConfig = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'min.compaction.lag.ms': String(compactedLagMs),
  'segment.ms': '2000',
  'min.cleanable.dirty.ratio': '0.001',
};

/** As nodes make topics: nothing is compacted while a round lasts. */
const defaultLagMs = 3_600_000;

/** Leaves nothing running but the services. Errors: only of what the round itself needs. */
export async function play(round: Round, services: Services): Promise<RoundResult> {
  try {
    const isAnew = round.nemeses.includes(recreation);
    const played = await (isAnew ? playRecreation(round, services) : playTrouble(round, services));
    return { ...played, violations: played.histories.flatMap(check) };
  } catch (error) {
    throw new Error(`the round of seed ${round.seed} with ${round.nemeses.join(',')} could not be played`, { cause: error });
  } finally {
    await cleanUp();
  }
}

async function playTrouble(
  { seed, nemeses: names, lanes, seconds, brokers }: Round,
  services: Services,
): Promise<Omit<RoundResult, 'violations'>> {
  const nemeses = nemesesNamed(names.filter((name) => name !== compaction));
  const smallDisks = nemeses.some((nemesis) => nemesis.smallDisks);
  const isCompacted = names.includes(compaction);
  const arena = await openArena(services, isCompacted ? { smallDisks, topicConfig: compactedConfig } : { smallDisks });
  const witness = isCompacted ? await openWitness(services.kafka.brokers, arena.topic) : undefined;
  try {
    const workload = startWorkload({ arena, seed, callers });
    await wellUnderWay(workload);
    const blows = await attack(arena, { nemeses, seed, lanes, milliseconds: seconds * 1_000, sparesOneStore: isCompacted });
    const troubles = await recovered(arena);
    await workload.stop();
    const lagMs = isCompacted ? compactedLagMs : defaultLagMs;
    const skewMs = names.includes('clock') ? furthestSkewMs : 0;
    const oldEnds = names.includes('transaction') || (brokers > 1 && names.includes('broker-pause'));
    const history = await historyOf(arena, workload, troubles, { lagMs, skewMs, oldEnds, witness });
    const held = isCompacted ? (await readTopic(services.kafka.brokers, arena.topic)).length : history.log.length;
    return { histories: [history], blows, compacted: history.log.length - held };
  } finally {
    await witness?.stop();
  }
}

async function playRecreation({ seed }: Round, services: Services): Promise<Omit<RoundResult, 'violations'>> {
  return { ...(await recreate(await openArena(services), seed, callers)), compacted: 0 };
}
