/** Processes killed and frozen, disks emptied, clocks set wrong. */
import { type Arena, type ArenaNode, wipe } from './arena.ts';
import { type Nemesis, numbered, numberIn } from './nemesis.ts';

const everyNode = ({ nodes }: Arena): string[] => numbered('node', nodes.length);
const everyBroker = ({ kafka }: Arena): string[] => numbered('broker', kafka.brokers.length);
const theZooKeeper = (): string[] => ['zookeeper'];
const nodeOf = ({ nodes }: Arena, target: string): ArenaNode => nodes[numberIn(target)] as ArenaNode;

const killNode: Nemesis = {
  name: 'node-kill',
  lasts: [0, 4_000],
  targets: everyNode,
  async strike(arena, target) {
    const node = nodeOf(arena, target);
    await node.end('SIGKILL');
    return { heal: async () => node.start() };
  },
};

const wipeNode: Nemesis = {
  name: 'node-wipe',
  losesStore: true,
  lasts: [0, 3_000],
  targets: everyNode,
  async strike(arena, target) {
    const node = nodeOf(arena, target);
    await node.end('SIGKILL');
    await wipe(node);
    return { heal: async () => node.start() };
  },
};

const stopNode: Nemesis = {
  name: 'node-stop',
  lasts: [0, 2_000],
  targets: everyNode,
  async strike(arena, target) {
    const node = nodeOf(arena, target);
    await node.end('SIGTERM');
    return { heal: async () => node.start() };
  },
};

const pauseNode: Nemesis = {
  name: 'node-pause',
  lasts: [200, 14_000],
  targets: everyNode,
  async strike(arena, target) {
    const node = nodeOf(arena, target);
    node.signal('SIGSTOP');
    return { heal: async () => node.signal('SIGCONT') };
  },
};

/** The furthest that a clock is set wrong: beyond every deadline and every patience. */
export const furthestSkewMs = 3_600_000;

const skewClock: Nemesis = {
  name: 'clock',
  lasts: [1_000, 6_000],
  targets: everyNode,
  async strike(arena, target, chance) {
    const { clock } = nodeOf(arena, target);
    const skewMs = chance.pick([-1, 1]) * chance.pick([500, 5_000, 60_000, furthestSkewMs]);
    clock.set(skewMs);
    // Half of them are wrong for good, or until the next time.
    return { detail: `${skewMs} ms`, heal: async () => (chance.once(2) ? clock.set(0) : undefined) };
  },
};

const killBroker: Nemesis = {
  name: 'broker-kill',
  lasts: [0, 4_000],
  targets: everyBroker,
  async strike({ kafka }, target) {
    await kafka.kill(numberIn(target));
    return { heal: () => kafka.restart(numberIn(target)) };
  },
};

const pauseBroker: Nemesis = {
  name: 'broker-pause',
  lasts: [500, 9_000],
  targets: everyBroker,
  async strike({ kafka }, target) {
    await kafka.pause(numberIn(target));
    return { heal: () => kafka.resume(numberIn(target)) };
  },
};

const killZooKeeper: Nemesis = {
  name: 'zookeeper-kill',
  lasts: [0, 5_000],
  targets: theZooKeeper,
  async strike({ zooKeeper }) {
    await zooKeeper.kill();
    return { heal: () => zooKeeper.restart() };
  },
};

const pauseZooKeeper: Nemesis = {
  name: 'zookeeper-pause',
  // Sessions last ten seconds.
  lasts: [1_000, 16_000],
  targets: theZooKeeper,
  async strike({ zooKeeper }) {
    await zooKeeper.pause();
    return { heal: () => zooKeeper.resume() };
  },
};

export const nemesesOfProcesses: readonly Nemesis[] = [
  killNode,
  stopNode,
  wipeNode,
  pauseNode,
  skewClock,
  killBroker,
  pauseBroker,
  killZooKeeper,
  pauseZooKeeper,
];
