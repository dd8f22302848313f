/** How a round comes to rest, and what is collected then. */
import { type Answer, call, getOwn } from '../integration/calls.ts';
import { settled } from '../integration/cluster.ts';
import { inParallel } from '../integration/ledger.ts';
import { until } from '../integration/until.ts';
import { type Arena, type ArenaNode, partitions } from './arena.ts';
import { type Held, type History, now } from './history.ts';
import { workloadKeys } from './keyspace.ts';
import { readTopic, type Witness } from './read-topic.ts';
import { seenIn } from './truth.ts';
import { heardBy, type Workload } from './workload.ts';

const recoveryLimitMs = 120_000;

/** A test in which nothing was done cannot fail. */
export async function wellUnderWay({ operations }: Workload): Promise<void> {
  await until('some writes', () => operations.filter(({ kind, outcome }) => kind === 'put' && outcome === 'ok').length > 50, 60_000);
}

/** When all is healed every node gets ready, takes writes and reads what was written last; what does not come is returned. */
export async function recovered({ nodes }: Arena): Promise<string[]> {
  const troubles: string[] = [];
  const works = async (node: ArenaNode): Promise<void> => {
    // What ended by itself is a finding; the others still have to be looked at.
    node.start();
    await node.process.ready(recoveryLimitMs);
    const path = `/v1/kv/recovered/${node.name}`;
    await until(
      `${node.name} takes writes`,
      async () => (await call(node.place.url, 'PUT', path, { body: node.name, limitMs: 5_000 })).status === 200,
      recoveryLimitMs,
    );
    await until(
      `${node.name} reads what was written last`,
      async () => (await call(node.place.url, 'GET', `${path}?consistency=linearizable`, { limitMs: 5_000 })).body === node.name,
      recoveryLimitMs,
    );
  };
  await Promise.all(
    nodes.map((node) => works(node).catch((error: Error) => troubles.push(`${node.name} did not recover: ${error.message}`))),
  );
  return troubles;
}

/** What the verdict depends on beside what was seen. */
export interface Circumstances {
  readonly lagMs: number;
  readonly skewMs: number;
  readonly oldEnds: boolean;
  /** Who has read the log from the beginning on, where it may be compacted. */
  readonly witness?: Witness | undefined;
}

/** Waits until nodes and watchers have come to the log's end, and collects everything. What does not come is one of the troubles. */
export async function historyOf(
  arena: Arena,
  workload: Workload,
  troubles: readonly string[],
  { lagMs, skewMs, oldEnds, witness }: Circumstances,
): Promise<History> {
  const { kafka, topic, nodes } = arena;
  const more: string[] = [...troubles];
  const note = (error: Error): void => void more.push(error.message);
  const processes = nodes.map(({ process }) => process);
  await settled(kafka.brokers, topic, processes).catch(note);
  const log = await (witness?.whole() ?? readTopic(kafka.brokers, topic));
  await heardAll(workload, log).catch(note);
  for (const { watcher } of workload.watchers) watcher.stop();
  const held = await heldBy(arena);
  more.push(...nodes.flatMap(({ unexpected }) => unexpected));
  return {
    partitions,
    lagMs,
    skewMs,
    oldEnds,
    compacted: witness !== undefined,
    operations: workload.operations,
    watches: heardBy(workload),
    log,
    held,
    troubles: more,
  };
}

/** Every watcher has been told the log to its end: with a change, or with the `sync` that comes when nothing changes. */
async function heardAll({ watchers }: Workload, log: History['log']): Promise<void> {
  const last = new Map<number, number>();
  for (const { partition, offset } of log) last.set(partition, Math.max(offset, last.get(partition) ?? -1));
  const waiting = watchers.map(({ name, watcher, key }) => {
    const told = (): boolean => {
      const id = watcher.events.findLast((event) => event.id !== undefined)?.id;
      // Of one key only its own partition is told of.
      const reached = [...last].filter(([partition, offset]) => seenIn(id, partition) >= offset).length;
      if (key === undefined ? reached === last.size : reached > 0) return true;
      throw new Error(`${id} of ${JSON.stringify([...last])}`);
    };
    return until(`watcher ${name} has been told all`, told, recoveryLimitMs);
  });
  await Promise.all(waiting);
}

async function heldBy({ nodes }: Arena): Promise<Held[]> {
  const held: Held[] = [];
  for (const node of nodes) {
    await inParallel(workloadKeys, 8, async (key) => {
      const answer = await getOwn(node.place, key).catch((): Pick<Answer, 'status' | 'body'> => ({ status: 0, body: '' }));
      const about = { node: node.name, key, at: now(), status: answer.status };
      if (answer.status !== 200) {
        held.push(about);
        return;
      }
      const { value, version } = JSON.parse(answer.body) as { value: string; version: string };
      held.push({ ...about, value, version });
    });
  }
  return held;
}
