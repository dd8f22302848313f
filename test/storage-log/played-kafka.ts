/** Clients whose brokers the test plays: what is asked comes as kafkajs encodes it, and the answer goes back as bytes. */
import type { Client } from '../../storage/log/kafka/client.ts';
import { answerBytes, type FetchAsked, fetchAsked, type PartitionToEncode } from './kafka-bytes.ts';

/** The partitions that a broker tells of; a rejection is a lost connection. */
export type Play = (asked: FetchAsked, leader: number) => Promise<readonly PartitionToEncode[]>;

export interface PlayedKafka {
  readonly newClient: () => Client;
  /** By partition; -1: none. Connections made from then on know it. */
  leaders: number[];
  /** Called before a connection is made; a rejection is a failure to make it. */
  connect: () => Promise<void>;
  readonly counts: { clients: number; cuts: number; fetches: number };
  /** Offsets committed, by group. */
  readonly committed: Map<string, unknown>;
}

interface Sent {
  readonly request: { readonly encode: () => Promise<{ readonly buffer: Buffer }> };
  readonly response: { decode(bytes: Buffer): Promise<object>; parse(decoded: object): Promise<unknown> };
}

export function playedKafka(leaders: readonly number[], play: Play): PlayedKafka {
  const counts = { clients: 0, cuts: 0, fetches: 0 };
  const committed = new Map<string, unknown>();
  const kafka: PlayedKafka = { leaders: [...leaders], connect: async () => undefined, counts, committed, newClient };

  function newClient(): Client {
    counts.clients += 1;
    let cut: (error: Error) => void = () => undefined;
    const gone = new Promise<never>((_, reject) => {
      cut = reject;
    });
    gone.catch(() => undefined);
    const known = [...kafka.leaders];
    const wire = (leader: number) => ({
      async send({ request, response }: Sent): Promise<unknown> {
        counts.fetches += 1;
        const asked = fetchAsked((await request.encode()).buffer);
        const partitions = await Promise.race([play(asked, leader), gone]);
        return response.parse(await response.decode(answerBytes('t', partitions)));
      },
    });
    const broker = (leader: number) => ({
      versions: { 1: { maxVersion: 17 } },
      connectionPool: { getConnection: async () => wire(leader) },
      offsetCommit: async ({ groupId, topics }: { groupId: string; topics: unknown }) => void committed.set(groupId, topics),
    });
    const cluster = {
      connect: () => kafka.connect(),
      addTargetTopic: async () => undefined,
      findTopicPartitionMetadata: () => known.map((leader, partitionId) => ({ partitionId, leader })),
      findBroker: async ({ nodeId }: { nodeId: number }) => broker(nodeId),
      findGroupCoordinator: async () => broker(0),
    };
    return {
      kafka: { [Symbol('private:Kafka:createCluster')]: () => cluster },
      cut() {
        counts.cuts += 1;
        cut(new Error('the connection was cut'));
      },
    } as unknown as Client;
  }
  return kafka;
}
