/** Clients ask for a key's past: pages of its versions, and what stood there at a place or a time. Held against the truth at once. */
import { codeOf, HistoryCompacted } from '../../src/core/errors.ts';
import type { Consistency, History, HistoryOptions, Millis, Moment, Offset, Position, ReadAnswer, ReadOptions } from '../../src/ports.ts';
import type { Replica } from '../../src/replica/replica.ts';
import { type Client, gone } from './clients.ts';
import { type Asked, isForNoReason, wrongHistory, wrongSight } from './history-checks.ts';
import type { SimulatedNode } from './node.ts';

const mostPages = 4;

export async function readPast(client: Client, node: SimulatedNode, replica: Replica, key: string): Promise<void> {
  if (client.world.chance.once(2)) await readHistory(client, node, replica, key);
  else await readMoment(client, node, replica, key);
}

async function readHistory(client: Client, node: SimulatedNode, replica: Replica, key: string): Promise<void> {
  const { chance } = client.world;
  const limit = chance.pick([1, 2, 5, 1_000]);
  const since = chance.once(3) ? momentOf(client, key) : undefined;
  let before = chance.once(4) ? placeOf(client, key) : undefined;
  for (let page = 0; page < mostPages; page++) {
    const options: HistoryOptions = { limit, before, since, ...(page === 0 ? freshness(client, replica, key) : {}) };
    const asked = askedOf(client, node, replica, key, options);
    const told = await client.told<History>(replica.history(key, options));
    if (isNone(told, client, asked, replica) || node.replica !== replica) return;
    client.world.count('histories');
    const wrong = wrongHistory(client.world, asked, options, told);
    if (wrong !== undefined) tell(client, asked, wrong, { options, told });
    if (told.next === undefined) return;
    before = told.next;
  }
}

async function readMoment(client: Client, node: SimulatedNode, replica: Replica, key: string): Promise<void> {
  const at = momentOf(client, key);
  const options = freshness(client, replica, key);
  const asked = askedOf(client, node, replica, key, options);
  const told = await client.told<ReadAnswer>(replica.readAt(key, at, options));
  if (isNone(told, client, asked, replica) || node.replica !== replica) return;
  client.world.count(`moments: ${told.found === undefined ? 'nothing' : 'a value'}`);
  const wrong = wrongSight(client.world, asked, at, told);
  if (wrong !== undefined) tell(client, asked, wrong, { at, options, told });
}

/** No answer but an error; what an error says is held against the truth, too. */
function isNone<T>(told: T | Error | typeof gone, client: Client, asked: Asked, replica: Replica): told is Error | typeof gone {
  if (told === gone) return true;
  if (!(told instanceof Error)) return false;
  // `closed` is what a node says that goes away.
  const code = codeOf(told);
  if (code === 'internal' || (code === 'closed' && asked.node.replica === replica)) tell(client, asked, String(told), {});
  if (told instanceof HistoryCompacted && isForNoReason(client.world, asked, told.completeSince.offset))
    tell(client, asked, `nothing is missing before ${told.completeSince.offset}`, {});
  return true;
}

function askedOf({ world }: Client, node: SimulatedNode, replica: Replica, key: string, { seen, consistency }: ReadOptions): Asked {
  const partition = world.partitionOf(key);
  const session = (seen?.positions[0]?.offset ?? -1) + 1;
  const end = consistency === 'local' || consistency === undefined ? 0 : world.oracleOf(key).next;
  return { key, node, misses: node.misses, wanted: Math.max(session, end), applied: replica.status.applied[partition] ?? 0 };
}

function freshness({ world, seen }: Client, { genesis }: Replica, key: string): ReadOptions {
  const { chance } = world;
  const partition = world.partitionOf(key);
  const consistency: Consistency = chance.pick(['local', 'local', 'latest', 'linearizable']);
  const offset = seen.get(partition);
  if (genesis === undefined || offset === undefined || offset < 0 || chance.once(2)) return { consistency };
  return { consistency, seen: { genesis, positions: [{ partition, offset: offset as Offset }] } };
}

/** Of late as likely as of any time. */
function placeOf({ world }: Client, key: string): Position {
  const { next } = world.oracleOf(key);
  const from = world.chance.once(2) ? 0 : Math.max(0, next - 20);
  return { partition: world.partitionOf(key), offset: world.chance.between(from, next) as Offset };
}

function momentOf(client: Client, key: string): Moment {
  const { chance, clock, options } = client.world;
  if (chance.once(2)) return placeOf(client, key);
  return (clock.now() - chance.between(-options.skewMs, chance.pick([2_000, options.compactionLagMs, 120_000]))) as Millis;
}

function tell({ world, name }: Client, { key, node }: Asked, wrong: string, more: object): void {
  world.troubles.push(`${name} asked ${node.name} for the past of ${key}: ${wrong}: ${JSON.stringify(more, shown)}`);
}

function shown(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : value;
}
