/** What a round did, in a few lines: what did not happen was not tested. And of one that went wrong, all that is needed to look again. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { grouped } from './grouped.ts';
import type { Violation } from './history.ts';
import type { Round, RoundResult } from './round.ts';

export function summary({ histories, blows, compacted, violations }: RoundResult): string {
  const operations = histories.flatMap((history) => history.operations);
  const records = histories.reduce((sum, { log }) => sum + log.length, 0);
  const connections = histories.flatMap(({ watches }) => watches.flatMap((watch) => watch.connections));
  const events = connections.flatMap((connection) => connection.events);
  const resets = events.filter(({ event }) => event === 'reset').length;
  const verdict = violations.length === 0 ? 'well' : `${violations.length} VIOLATIONS`;
  return [
    `${verdict}; ${operations.length} operations, ${records} records (${compacted} compacted), ${events.length} watch events by ${connections.length} connections, ${resets} resets`,
    `  ${counts(operations, ({ kind, outcome, consistency }) => `${consistency ?? kind} ${outcome}`)}`,
    ...blows.map(
      ({ nemesis, target, detail, began, healed }) =>
        `  ${nemesis} (${target}${detail === undefined ? '' : `, ${detail}`}) ${((healed - began) / 1_000).toFixed(1)} s`,
    ),
  ].join('\n');
}

function counts<T>(all: readonly T[], of: (one: T) => string): string {
  return [...grouped(all, of)]
    .map(([what, some]) => `${what} ${some.length}`)
    .sort()
    .join(', ');
}

export function listed(violations: readonly Violation[]): string {
  const shown = violations.slice(0, 20).map(({ rule, detail }) => `  ${rule}: ${detail}`);
  return [...shown, `${violations.length} violations`].join('\n');
}

/** Writes the histories down and tells where, what is wrong, and how it is done again. */
export async function failureOf(round: Round, { histories, blows, violations }: RoundResult): Promise<string> {
  const { seed, nemeses, lanes, brokers, seconds } = round;
  const file = join(await mkdtemp(join(tmpdir(), 'bitacora-fault-')), `seed-${seed}.json`);
  await writeFile(file, JSON.stringify({ round, blows, violations, histories }));
  return [
    listed(violations),
    `history: ${file}; judged again by: npm run test:fault -- --history ${file}`,
    `again: npm run test:fault -- --minutes 0 --seed ${seed} --nemesis ${nemeses.join(',')} --lanes ${lanes} --brokers ${brokers} --seconds ${seconds}`,
  ].join('\n');
}
