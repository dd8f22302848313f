/**
 * A node's entry in ZooKeeper: an ephemeral node named by the address, its data the same text, as the original's clients expect it.
 *
 * An entry that is there already may be this node's own, left by a session that has not expired since the process was killed. It would
 * vanish later and leave a living node unlisted, so it is replaced: at the end the entry belongs to this session. That is done once per
 * session. If another session replaces the entry after that, another node runs under the same address, and two that take turns would
 * help nobody: the later one has it, the earlier one says so and waits.
 */
import type { ZooKeeperSession } from '../../wire/zookeeper/session.ts';

export class Registration {
  readonly path: string;
  readonly #address: string;
  #owned = false;

  constructor(directory: string, address: string) {
    this.path = `${directory}/${address}`;
    this.#address = address;
  }

  /** Makes the entry this session's; false: another session has taken it from this one. */
  async ensure(session: ZooKeeperSession): Promise<boolean> {
    // An entry may go between a look and the next step, but not for ever.
    for (let attempt = 0; attempt < 5; attempt++) {
      if (await session.create(this.path, this.#address, 'ephemeral')) break;
      const owner = await session.owner(this.path);
      if (owner === undefined) continue;
      if (owner === session.id) break;
      if (this.#owned) return false;
      await session.remove(this.path);
    }
    this.#owned = (await session.owner(this.path)) === session.id;
    if (!this.#owned) throw new Error(`${this.path} does not stay registered`);
    return true;
  }
}

/** Makes a directory and all above it. */
export async function makeDirectory(session: ZooKeeperSession, path: string): Promise<void> {
  const names = path.split('/').filter((name) => name !== '');
  for (let depth = 1; depth <= names.length; depth++) {
    await session.create(`/${names.slice(0, depth).join('/')}`, '', 'persistent');
  }
}
