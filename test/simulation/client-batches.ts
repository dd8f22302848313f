/** Clients write several keys as one: of those with the same tag, which are in one partition. */
import { bytesOf } from '../../src/core/bytes.ts';
import { codeOf, VersionConflict } from '../../src/core/errors.ts';
import type { AtomicWrite, Millis, Written } from '../../src/ports.ts';
import type { Replica } from '../../src/replica/replica.ts';
import type { BatchCheck, MemberCheck } from './checks.ts';
import { type Client, gone, isUnknown } from './clients.ts';
import type { SimulatedNode } from './node.ts';

export async function writeBatch(client: Client, node: SimulatedNode, replica: Replica): Promise<void> {
  const { world } = client;
  const { chance } = world;
  const keys = new Set(Array.from({ length: chance.between(2, 4) }, () => chance.pick(world.tagged)));
  const members = [...keys].map((key) => memberOf(client, key));
  const oracle = world.oracleOf(members[0]?.key as string);
  const began = oracle.next;
  const told = await client.told<readonly Written[]>(replica.writeAtomic(members.map(writeOf)));
  const check: BatchCheck = {
    kind: 'batch',
    ...{ client: client.name, node: node.name, key: members[0]?.key as string, members, began, ended: oracle.next },
    ...(told === gone || isUnknown(told)
      ? { told: 'unknown' }
      : told instanceof VersionConflict
        ? { told: 'refused', refused: told.key as string, current: told.current?.offset ?? -1 }
        : told instanceof Error
          ? { told: 'failed', code: codeOf(told) }
          : { told: 'written', versions: told.map(({ position }) => position.offset) }),
  };
  world.checks.push(check);
  world.count(`batches ${check.told}`);
  if (told === gone || told instanceof Error) return;
  for (const [i, { position }] of told.entries()) {
    client.sees(position.partition, position.offset);
    client.known.set(members[i]?.key as string, position);
  }
}

function memberOf(client: Client, key: string): MemberCheck {
  const { chance, clock } = client.world;
  const deletes = chance.once(5);
  // Many conditions together hold too seldom.
  const condition = chance.once(2) ? undefined : client.condition(key);
  return {
    key,
    deletes,
    value: client.value(),
    condition,
    expires: !deletes && chance.once(8) ? clock.now() + chance.between(500, 30_000) : 0,
  };
}

function writeOf({ key, deletes, value, condition, expires }: MemberCheck): AtomicWrite {
  return { key, value: deletes ? undefined : bytesOf(value), condition, ...(expires === 0 ? {} : { expires: expires as Millis }) };
}
