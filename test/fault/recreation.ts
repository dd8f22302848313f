/**
 * The topic deleted and made again under the same name while callers go on and a node may be away. What a node says until it has noticed is
 * a mixture, as docs/consistency.md admits, so the old log is judged before, and the new one from where every node knows it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseToken } from '../../src/core/position.ts';
import { createTopic, withAdmin } from '../integration/cluster.ts';
import { until } from '../integration/until.ts';
import { SeededChance } from '../simulation/chance.ts';
import { type Arena, type ArenaNode, partitions } from './arena.ts';
import type { HeardEvent, History, Operation, WatchHistory } from './history.ts';
import { now } from './history.ts';
import type { Blow } from './nemesis.ts';
import { historyOf, recovered, wellUnderWay } from './rest.ts';
import { WholeLog } from './truth.ts';
import { startWorkload } from './workload.ts';

export const recreation = 'topic-recreate';

/** As nodes make topics: nothing is compacted meanwhile. */
const circumstances = { lagMs: 3_600_000, skewMs: 0, oldEnds: false };

const topicConfig = {
  'cleanup.policy': 'compact',
  'message.timestamp.type': 'LogAppendTime',
  'min.compaction.lag.ms': String(circumstances.lagMs),
};

export async function recreate(arena: Arena, seed: number, callers: number): Promise<{ histories: History[]; blows: Blow[] }> {
  const chance = new SeededChance(seed);
  const before = startWorkload({ arena, seed, callers });
  await wellUnderWay(before);
  await pause(3_000);
  await before.stop();
  const old = await historyOf(arena, before, [], circumstances);

  const after = startWorkload({ arena, seed: seed + 1, callers });
  await wellUnderWay(after);
  const began = now();
  const away = chance.once(2) ? chance.pick(arena.nodes) : undefined;
  await away?.end('SIGKILL');
  await makeAnew(arena);
  await pause(chance.between(0, 3_000));
  away?.start();
  await until('all nodes know the new log', () => allKnow(arena.nodes, nameOf(old)), 120_000);
  const known = now();
  await pause(3_000);
  const troubles = await recovered(arena);
  await after.stop();
  const found = await historyOf(arena, after, troubles, circumstances);
  const name = nameOf(found);
  const operations = found.operations.map((operation) => inTheDarkBefore(known, name, operation));
  const histories = [
    old,
    { ...found, operations: operations.filter((each) => each !== undefined), watches: found.watches.map((watch) => since(watch, name)) },
  ];
  return {
    histories,
    blows: [{ nemesis: recreation, target: 'topic', detail: away === undefined ? 'all run' : `${away.name} away`, began, healed: known }],
  };
}

function nameOf(history: History): string {
  return new WholeLog(history.log, history.partitions, history.lagMs).name as string;
}

async function makeAnew({ kafka, topic }: Arena): Promise<void> {
  await withAdmin(kafka.brokers, (admin) => admin.deleteTopics({ topics: [topic] }));
  // A node that misses the topic may be the first to make it again.
  await until('the topic is made again', async () => {
    await createTopic(kafka.brokers, topic, partitions, topicConfig);
    return true;
  });
}

async function allKnow(nodes: readonly ArenaNode[], old: string): Promise<boolean> {
  const all = await Promise.all(nodes.map(({ process }) => process.status()));
  const names = new Set(all.map(({ genesis }) => genesis?.slice(0, 8)));
  return names.size === 1 && !names.has(old) && !names.has(undefined) && all.every(({ ready }) => ready);
}

/** What began before all knew the new log proves nothing, but that it may be in there; unless it was answered from the new log itself. */
function inTheDarkBefore(known: number, name: string, operation: Operation): Operation | undefined {
  if (operation.began > known || parseToken(operation.position ?? '')?.log === name) return operation;
  if (operation.kind === 'get') return undefined;
  const { kind, key, value, client, node, idempotencyKey, condition, began, ended, status } = operation;
  const asked = { kind, key, client, node, began, ended, status, outcome: 'unknown' as const };
  return {
    ...asked,
    ...(value === undefined ? {} : { value }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(condition === undefined ? {} : { condition }),
  };
}

/** From the reset on behind which everything is of the new log. */
function since(watch: WatchHistory, name: string): WatchHistory {
  const events = watch.connections.flatMap((connection) => connection.events);
  const isOld = ({ id }: HeardEvent): boolean => id !== undefined && id !== 'reset' && parseToken(id)?.log !== name;
  const first = events.findIndex(({ event }, i) => event === 'reset' && i > events.findLastIndex(isOld));
  return { ...watch, connections: [{ from: '', events: first < 0 ? events : events.slice(first) }] };
}
