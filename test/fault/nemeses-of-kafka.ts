/** What happens to a Kafka that is used by others too: leaders move, brokers go together, strangers join groups, transactions stay open. */
import { kafkaClient, withAdmin } from '../integration/cluster.ts';
import type { SeededChance } from '../simulation/chance.ts';
import { type Arena, partitions } from './arena.ts';
import type { Nemesis } from './nemesis.ts';

/** Below `min.insync.replicas` no write is taken; with the quorum of controllers gone nothing is led anew. */
const twoBrokersDown: Nemesis = {
  name: 'two-brokers',
  lasts: [500, 4_000],
  threeBrokers: true,
  targets: () => ['broker 0 and broker 1 and broker 2'],
  async strike({ kafka }, _target, chance) {
    const spared = chance.between(0, 2);
    const down = [0, 1, 2].filter((broker) => broker !== spared);
    await Promise.all(down.map((broker) => kafka.kill(broker)));
    // None answers for all before the other is there.
    return { detail: `all but ${spared}`, heal: async () => void (await Promise.all(down.map((broker) => kafka.restart(broker)))) };
  },
};

async function placeReplicas({ kafka, topic }: Arena, replicas: readonly number[]): Promise<void> {
  const partitionAssignment = Array.from({ length: partitions }, (_, partition) => ({ partition, replicas: [...replicas] }));
  await withAdmin(kafka.brokers, (admin) => admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] }));
}

/** A broker has to give up its partitions, and gets them back. */
const moveLeader: Nemesis = {
  name: 'leader-move',
  lasts: [1_000, 3_000],
  threeBrokers: true,
  targets: () => ['broker 0 and broker 1 and broker 2'],
  async strike(arena, _target, chance) {
    const without = chance.between(1, 3);
    const others = [1, 2, 3].filter((id) => id !== without);
    await placeReplicas(arena, others);
    return { detail: `away from ${without}`, heal: () => placeReplicas(arena, [...others, without]) };
  },
};

/** A consumer of somebody else in a node's group takes some of its partitions away. */
const stealGroup: Nemesis = {
  name: 'group-thief',
  lasts: [2_000, 6_000],
  targets: () => ['groups'],
  async strike({ kafka, topic }, _target, chance) {
    const groups = await withAdmin(kafka.brokers, (admin) => admin.listGroups());
    const groupId = chance.pick(groups.groups.map((group) => group.groupId).filter((id) => id.startsWith(topic)));
    if (groupId === undefined) return { detail: 'no group', heal: async () => undefined };
    const thief = kafkaClient(kafka.brokers).consumer({ groupId });
    await thief.connect();
    await thief.subscribe({ topic });
    await thief.run({ autoCommit: false, eachBatch: async () => undefined });
    return { detail: groupId, heal: () => bounded(thief.disconnect()) };
  },
};

/** Records of a transaction: behind them stands a marker that is no record, and until it is there nobody reads on. */
const openTransaction: Nemesis = {
  name: 'transaction',
  lasts: [0, 4_000],
  targets: () => ['transactions'],
  async strike({ kafka, topic }, _target, chance: SeededChance) {
    const producer = kafkaClient(kafka.brokers).producer({
      transactionalId: `${topic}-${chance.uuid()}`,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    const keys = Array.from({ length: 8 }, () => `x/${chance.uuid()}`);
    await transaction.send({ topic, messages: keys.map((key) => ({ key, value: 'foreign' })) });
    const commits = chance.once(2);
    const heal = async (): Promise<void> => {
      await bounded(commits ? transaction.commit() : transaction.abort());
      await bounded(producer.disconnect());
    };
    return { detail: commits ? 'committed' : 'aborted', heal };
  },
};

/** kafkajs may wait for ever when it is closed. */
async function bounded(work: Promise<void>): Promise<void> {
  await Promise.race([work.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
}

export const nemesesOfKafka: readonly Nemesis[] = [twoBrokersDown, moveLeader, stealGroup, openTransaction];
