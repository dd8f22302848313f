/** Who is listed in ZooKeeper. An HTTP entry and an Avro entry belong together when the same session made them. */
import type { Member } from '../../src/ports.ts';
import { parseAddress } from '../../wire/address.ts';
import type { ZooKeeperSession } from '../../wire/zookeeper/session.ts';

/** More than any cluster of this kind; a bound for what others may have written there. */
const maxMembers = 1_000;

export interface Directories {
  /** HTTP. */
  readonly servers: string;
  /** Avro. */
  readonly sockets: string;
}

/** All that is listed, `self` left out. `onChange` is set for the directories of `unwatched`, which it then no longer holds. */
export async function listMembers(
  session: ZooKeeperSession,
  directories: Directories,
  self: string,
  unwatched: Set<string>,
  onChange: () => void,
): Promise<readonly Member[]> {
  const list = async (directory: string): Promise<readonly string[]> => {
    const arm = unwatched.delete(directory);
    const fired = (): void => {
      unwatched.add(directory);
      onChange();
    };
    try {
      const names = await session.children(directory, arm ? fired : undefined);
      return names.filter((name) => parseAddress(name) !== undefined).slice(0, maxMembers);
    } catch (error) {
      if (arm) unwatched.add(directory);
      throw error;
    }
  };
  const [servers, sockets] = await Promise.all([list(directories.servers), list(directories.sockets)]);
  const socketOf = new Map<string, string>();
  for (const socket of sockets) {
    const owner = await session.owner(`${directories.sockets}/${socket}`);
    if (owner !== undefined) socketOf.set(owner, socket);
  }
  const members: Member[] = [];
  for (const address of servers.toSorted()) {
    if (address === self) continue;
    const owner = socketOf.size === 0 ? undefined : await session.owner(`${directories.servers}/${address}`);
    members.push({ address, socket: (owner && socketOf.get(owner)) ?? '' });
  }
  return members;
}
