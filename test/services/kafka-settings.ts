/** The settings of a broker for tests: one that starts fast, notices faults fast and keeps little. */

export interface NodeAddress {
  readonly id: number;
  /** Where clients connect: what it listens on, and what it tells them. */
  readonly listen: string;
  readonly advertised: string;
  /** Where other brokers connect. */
  readonly internalListen: string;
  readonly internalAdvertised: string;
  readonly controllerListen: string;
  readonly controllerAdvertised: string;
}

export const maxHeap = '-Xmx384m';

/** server.properties of one of `nodes`, all of them brokers and controllers. `config` has the last word. */
export function kafkaSettings(
  node: NodeAddress,
  nodes: readonly NodeAddress[],
  dataDirectory: string,
  config: Readonly<Record<string, string>>,
): Record<string, string> {
  const replicas = String(nodes.length);
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    'controller.quorum.voters': nodes.map(({ id, controllerAdvertised }) => `${id}@${controllerAdvertised}`).join(','),
    listeners: `PLAINTEXT://${node.listen},INTERNAL://${node.internalListen},CONTROLLER://${node.controllerListen}`,
    'advertised.listeners': `PLAINTEXT://${node.advertised},INTERNAL://${node.internalAdvertised}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'INTERNAL',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': dataDirectory,
    // Faults are seen within seconds. A killed broker that comes back is refused while its old session lives, and asks
    // again 3.1 s after its first try, then 3.2 s later: the session must be over by the first of the two.
    'broker.session.timeout.ms': '2500',
    'broker.heartbeat.interval.ms': '500',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    // A typing error in a topic's name fails instead of making a topic.
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': nodes.length > 1 ? '2' : '1',
    'transaction.state.log.num.partitions': '2',
    // Compaction and deletion soon after they become due; the cleaner's default buffer would take a third of the heap.
    'log.cleaner.backoff.ms': '200',
    'log.cleaner.dedupe.buffer.size': String(8 * 1024 * 1024),
    'log.retention.check.interval.ms': '1000',
    'log.segment.delete.delay.ms': '1000',
    'num.network.threads': '2',
    'num.io.threads': '4',
    ...config,
  };
}
