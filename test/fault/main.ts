/**
 * `npm run test:fault`: the short mix. `-- --minutes N`: rounds of trouble of all kinds until N minutes are over, each from the next seed.
 * A round that goes wrong leaves its history in a file, and names the command line that repeats it.
 *
 *   --seed S        the first seed; otherwise one by chance, which is told
 *   --nemesis a,b   only these
 *   --each          one of them after the other, alone, in place of all together
 *   --lanes L       how many at the same time (2)
 *   --brokers 3     a Kafka of three, which some need
 *   --seconds T     how long a round's trouble lasts (45)
 *   --history FILE  judges a history again
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startKafka } from '../services/kafka.ts';
import { startZooKeeper } from '../services/zookeeper.ts';
import type { Services } from './arena.ts';
import { check } from './check.ts';
import type { History } from './history.ts';
import { nemeses, nemesesNamed } from './nemeses.ts';
import { recreation } from './recreation.ts';
import { failureOf, listed, summary } from './report.ts';
import { compaction, play, type Round } from './round.ts';
import { shortMix } from './short-mix.ts';
import { mountObstacle } from './small-disk.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seed: { type: 'string' },
    nemesis: { type: 'string' },
    each: { type: 'boolean', default: false },
    lanes: { type: 'string', default: '2' },
    brokers: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '45' },
    history: { type: 'string' },
  },
});

/** Of a long run that is not of one kind, so many rounds are one in which the topic is made anew. */
const recreationOnceIn = 8;

/** A shorter round has nothing to compact. */
const secondsToCompact = 90;

/** It was said what cannot be done here. */
let isTold = false;

if (values.history !== undefined) await judge(values.history);
else await playAll();

async function judge(file: string): Promise<void> {
  const { histories } = JSON.parse(await readFile(file, 'utf8')) as { histories: History[] };
  const violations = histories.flatMap(check);
  console.log(listed(violations));
  process.exitCode = violations.length === 0 ? 0 : 1;
}

async function playAll(): Promise<void> {
  let seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
  const end = performance.now() + Number(values.minutes ?? 0) * 60_000;
  let services: (Services & { readonly brokers: number }) | undefined;
  const stop = async (): Promise<void> => void (await Promise.all([services?.kafka.stop(), services?.zooKeeper.stop()]));
  try {
    do {
      for (const planned of plan(seed)) {
        const round = { ...planned, seed: seed++ };
        if (services?.brokers !== round.brokers) {
          await stop();
          services = { kafka: await startKafka({ nodes: round.brokers }), zooKeeper: await startZooKeeper(), brokers: round.brokers };
        }
        const result = await play(round, services);
        console.log(`${new Date().toISOString()} seed ${round.seed}, ${round.nemeses.join(',')}: ${summary(result)}`);
        if (result.violations.length === 0) continue;
        process.exitCode = 1;
        console.log(await failureOf(round, result));
      }
    } while (performance.now() < end);
  } finally {
    await stop();
  }
}

/** The rounds until the clock is looked at again. */
function plan(seed: number): Omit<Round, 'seed'>[] {
  if (values.minutes === undefined)
    return Object.values(shortMix).map((round) => ({ ...round, nemeses: possible(round.nemeses, round.brokers) }));
  const brokers = values.brokers === '3' ? 3 : 1;
  const all = [...nemeses.map(({ name }) => name), recreation, compaction];
  const names = possible(values.nemesis?.split(',') ?? all, brokers);
  const round = { lanes: Number(values.lanes), brokers, seconds: Number(values.seconds) } as const;
  if (values.each) return names.filter((name) => name !== compaction).map((name) => ({ ...round, nemeses: [name] }));
  const others = names.filter(
    (name) => name !== recreation && (name !== compaction || values.nemesis !== undefined || Number(values.seconds) >= secondsToCompact),
  );
  const anew = names.includes(recreation) && (others.length === 0 || seed % recreationOnceIn === 0);
  return [{ ...round, nemeses: anew ? [recreation] : others }];
}

/** Leaves out what cannot be done here, and says so once. */
function possible(names: readonly string[], brokers: 1 | 3): string[] {
  const obstacle = mountObstacle();
  const left = names.filter((name) => {
    if (name === recreation || name === compaction) return true;
    const { threeBrokers, smallDisks } = nemesesNamed([name])[0] ?? {};
    if (smallDisks && obstacle !== undefined) {
      if (!isTold) console.log(`${name} is left out: ${obstacle}`);
      isTold = true;
      return false;
    }
    return brokers === 3 || !threeBrokers;
  });
  if (left.length === 0) throw new Error('nothing is left to be done: some need --brokers 3');
  return left;
}
