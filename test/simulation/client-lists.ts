/** Clients list keys by prefix: of each key, there or not, what was told is held against the truth as of one read is. */
import { bytesOf } from '../../src/core/bytes.ts';
import type { Consistency, Listing, Offset, Partition, Seen } from '../../src/ports.ts';
import type { Replica } from '../../src/replica/replica.ts';
import { type Client, gone } from './clients.ts';
import type { SimulatedNode } from './node.ts';

export async function list(client: Client, node: SimulatedNode, replica: Replica): Promise<void> {
  const { world } = client;
  const { chance, clock } = world;
  const prefix = chance.pick(['', 'k', 'k1', '{t}']);
  const consistency: Consistency = chance.pick(['local', 'local', 'latest', 'linearizable']);
  const seen = chance.once(2) ? seenBy(client, replica) : undefined;
  const limit = chance.pick([2, 1_000]);
  const after = chance.once(3) ? chance.pick(world.keys) : undefined;
  const ready = replica.status.ready;
  const began = { ends: world.oracles.map(({ next }) => next), at: clock.now() };
  const asked = { prefix, limit, consistency, ...(seen === undefined ? {} : { seen }), ...(after === undefined ? {} : { after }) };
  const listing = await client.told<Listing>(replica.list(asked));
  if (listing === gone || listing instanceof Error || node.replica !== replica) return;
  world.count(`lists ${seen === undefined ? consistency : `${consistency}, session`}`);
  const { applied, items, next } = listing;
  // As of reads (clients.ts).
  const vouched = (ready && replica.status.ready) || consistency !== 'local' || seen !== undefined;
  const strange = items.find(({ key }) => !world.keys.includes(key) || !isAsked(key, prefix, after, next));
  if (strange !== undefined) world.troubles.push(`${node.name} listed ${strange.key} under ${JSON.stringify(asked)}`);
  for (const key of world.keys) {
    if (!isAsked(key, prefix, after, next)) continue;
    const partition = world.partitionOf(key);
    const found = items.find((item) => item.key === key)?.found;
    const session = seen?.positions.find((position) => position.partition === partition);
    const wanted = consistency === 'local' ? 0 : (began.ends[partition] as number);
    const least = Math.max(applied[partition] as number, wanted, session === undefined ? 0 : session.offset + 1);
    world.checks.push({
      kind: 'read',
      ...{ client: client.name, node: node.name, key, consistency, source: 'list', least, most: world.oracleOf(key).next, vouched },
      ...{ value: found === undefined ? undefined : Buffer.from(found.value).toString(), version: found?.version?.offset },
      ...{ from: began.at, to: clock.now() },
    });
    if (vouched && found?.version !== undefined) client.known.set(key, found.version);
  }
  if (vouched) for (const [partition, offset] of applied.entries()) client.sees(partition as Partition, offset - 1);
}

function seenBy(client: Client, { genesis }: Replica): Seen | undefined {
  const positions = [...client.seen]
    .filter(([, offset]) => offset >= 0)
    .map(([partition, offset]) => ({ partition, offset: offset as Offset }));
  return genesis === undefined || positions.length === 0 ? undefined : { genesis, positions };
}

/** The page tells of the key. */
function isAsked(key: string, prefix: string, after: string | undefined, next: string | undefined): boolean {
  const isBehind = (other: string): boolean => Buffer.compare(bytesOf(key), bytesOf(other)) > 0;
  return key.startsWith(prefix) && (after === undefined || isBehind(after)) && (next === undefined || !isBehind(next));
}
