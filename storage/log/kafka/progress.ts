/**
 * Tells the brokers how far a node has applied the log, as the progress of a consumer group that has no members, so that operators' tools
 * show the node's lag. Nobody ever resumes from it.
 */
import type { Logger, Offset } from '../../../src/ports.ts';
import { type Cluster, messageOf, protocolError } from './client.ts';

const everyMs = 5_000;
/** Also when nothing has changed: brokers forget the progress of a group without members after a while (7 days by default). */
const againMs = 600_000;

export class Progress {
  readonly #groupId: string;
  readonly #topic: string;
  readonly #logger: Logger;
  #applied: readonly Offset[] | undefined;
  #committed: readonly Offset[] | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #trying = false;

  constructor(groupId: string, topic: string, logger: Logger) {
    this.#groupId = groupId;
    this.#topic = topic;
    this.#logger = logger;
  }

  applied(applied: readonly Offset[]): void {
    this.#applied = applied;
  }

  /** Commits when it is time, and is not waited for; what fails is tried again at another time. */
  commit(cluster: Cluster): void {
    const applied = this.#applied;
    const now = performance.now();
    if (applied === undefined || this.#trying || now - this.#triedAt < (applied === this.#committed ? againMs : everyMs)) return;
    this.#triedAt = now;
    this.#trying = true;
    const done = (error?: unknown) => {
      this.#trying = false;
      if (error === undefined) {
        this.#committed = applied;
        return;
      }
      const fields = { event: 'log.commit', group: this.#groupId, error: protocolError(error) ?? messageOf(error) };
      this.#logger.debug(fields, 'the progress was not committed');
    };
    this.#commit(cluster, applied).then(() => done(), done);
  }

  async #commit(cluster: Cluster, applied: readonly Offset[]): Promise<void> {
    const groupId = this.#groupId;
    const coordinator = await cluster.findGroupCoordinator({ groupId });
    const partitions = applied.map((offset, partition) => ({ partition, offset: String(offset), metadata: '' }));
    await coordinator.offsetCommit({ groupId, groupGenerationId: -1, memberId: '', topics: [{ topic: this.#topic, partitions }] });
  }
}
