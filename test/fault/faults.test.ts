/**
 * The short mix on real processes. `npm run test:fault` does the same, and much more when it is told to: see docs/testing.md. The seeds are
 * by chance, as what they lead to is decided by the machine's timing too; a failure names its own.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { startKafka } from '../services/kafka.ts';
import { startZooKeeper } from '../services/zookeeper.ts';
import type { Services } from './arena.ts';
import { nemesesNamed } from './nemeses.ts';
import { recreation } from './recreation.ts';
import { failureOf, summary } from './report.ts';
import { play } from './round.ts';
import { shortMix } from './short-mix.ts';
import { mountObstacle } from './small-disk.ts';

const obstacle = mountObstacle();

function canBeDone(name: string): boolean {
  if (name === recreation || obstacle === undefined || nemesesNamed([name])[0]?.smallDisks !== true) return true;
  console.warn(`${name} is left out: ${obstacle}`);
  return false;
}

describe.each([1, 3] as const)('with brokers: %i', (brokers) => {
  let services: Services | undefined;
  afterAll(async () => {
    await services?.kafka.stop();
    await services?.zooKeeper.stop();
  });

  test.each(Object.entries(shortMix).filter(([, round]) => round.brokers === brokers))(
    '%s',
    async (_, planned) => {
      services ??= { kafka: await startKafka({ nodes: brokers }), zooKeeper: await startZooKeeper() };
      const round = { ...planned, nemeses: planned.nemeses.filter(canBeDone), seed: Math.floor(Math.random() * 1_000_000) };
      const result = await play(round, services);
      if (result.violations.length > 0) expect.fail(`${summary(result)}\n${await failureOf(round, result)}`);
    },
    600_000,
  );
});
