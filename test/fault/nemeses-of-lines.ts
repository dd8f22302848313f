/** Lines cut, held, slowed down; in one direction or both; between a node and Kafka, its peers, ZooKeeper. */
import type { TcpProxy } from '../integration/tcp-proxy.ts';
import type { ArenaNode, Line } from './arena.ts';
import { type Nemesis, numbered, numberIn } from './nemesis.ts';

type Harm = (proxy: TcpProxy) => void;

const harms: Readonly<Record<string, Harm>> = {
  cut: (proxy) => proxy.cut(true),
  // Connections that are there are reset; new ones may be made at once.
  reset: (proxy) => proxy.cut(false),
  hole: (proxy) => proxy.set({ held: true }, { held: true }),
  // What is asked arrives, and no answer comes: the worst for whoever has to know.
  deaf: (proxy) => proxy.set({}, { held: true }),
  mute: (proxy) => proxy.set({ held: true }, {}),
  slow: (proxy) => proxy.set({ delayMs: 300 }, { delayMs: 300 }),
  narrow: (proxy) => proxy.set({ bytesPerSecond: 20_000 }, { bytesPerSecond: 20_000 }),
};

const lines: readonly Line[] = ['kafka', 'peers', 'zookeeper'];

function nemesisOf(line: Line, name: string, harm: Harm, lasts: Nemesis['lasts']): Nemesis {
  return {
    name: `${line}-${name}`,
    lasts,
    targets: ({ nodes }) => numbered(`${line} of node`, nodes.length),
    async strike({ nodes }, target, chance) {
      const node = nodes[numberIn(target)] as ArenaNode;
      // With several brokers sometimes only one of them is out of reach.
      const all = node.lines[line];
      const hurt = all.length > 1 && chance.once(2) ? [chance.pick(all)] : all;
      for (const proxy of hurt) harm(proxy);
      const heal = async (): Promise<void> => {
        for (const proxy of hurt) {
          proxy.set();
          // After a hole the peers of a connection often have given it up by now.
          if (name !== 'slow' && name !== 'narrow' && chance.once(2)) proxy.cut(false);
          else if (name === 'cut') proxy.cut(false);
        }
      };
      return { detail: hurt.length < all.length ? `one of ${all.length}` : 'all', heal };
    },
  };
}

export const nemesesOfLines: readonly Nemesis[] = [
  ...lines.flatMap((line) => Object.entries(harms).map(([name, harm]) => nemesisOf(line, name, harm, [500, 9_000]))),
  // Sessions last ten seconds.
  nemesisOf('zookeeper', 'expiry', harms['hole'] as Harm, [13_000, 16_000]),
];
