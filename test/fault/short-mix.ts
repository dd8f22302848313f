/** What every run of the tests tries: each kind of trouble for a short while, and what belongs together at the same time. */
import { nemeses } from './nemeses.ts';
import { recreation } from './recreation.ts';
import type { Round } from './round.ts';

const beginningWith = (...beginnings: string[]): string[] =>
  nemeses.map(({ name }) => name).filter((name) => beginnings.some((beginning) => name.startsWith(beginning)));

/** By title. */
export const shortMix: Readonly<Record<string, Omit<Round, 'seed'>>> = {
  'nodes killed, stopped, frozen, emptied, with wrong clocks': {
    nemeses: beginningWith('node-', 'clock'),
    lanes: 2,
    brokers: 1,
    seconds: 15,
  },
  'the broker killed and frozen, the lines to it hurt': { nemeses: beginningWith('broker-', 'kafka-'), lanes: 2, brokers: 1, seconds: 20 },
  'ZooKeeper, peers and disks': { nemeses: beginningWith('zookeeper-', 'peers-', 'disk-', 'store-'), lanes: 2, brokers: 1, seconds: 15 },
  'three brokers, some of them gone, leaders moved, strangers in the topic': {
    nemeses: ['broker-kill', 'broker-pause', 'two-brokers', 'leader-move', 'group-thief', 'transaction'],
    lanes: 2,
    brokers: 3,
    seconds: 20,
  },
  'the topic made anew': { nemeses: [recreation], lanes: 1, brokers: 1, seconds: 0 },
};
