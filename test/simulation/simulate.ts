/**
 * `npm run simulate -- --seeds N [--from S] [--broken]`: runs the worlds of N seeds and tells of each that went wrong, with the smallest
 * world of that seed that still does. `--broken` looks for the first seeds that notice each broken rule.
 */
import { parseArgs } from 'node:util';
import { brokenRules } from './broken-rules.ts';
import { shrunk } from './shrink.ts';
import { simulate } from './world.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    from: { type: 'string', default: '1' },
    broken: { type: 'boolean', default: false },
  },
});
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.from) + i);

if (values.broken) await findBroken();
else await runAll();

async function runAll(): Promise<void> {
  const began = performance.now();
  let [wrong, operations, records] = [0, 0, 0];
  const counts = new Map<string, { times: number; worlds: number }>();
  for (const seed of seeds) {
    const outcome = await simulate(seed);
    operations += outcome.operations;
    records += outcome.records;
    for (const [what, times] of outcome.counts) {
      const sum = counts.get(what) ?? { times: 0, worlds: 0 };
      counts.set(what, { times: sum.times + times, worlds: sum.worlds + 1 });
    }
    if (outcome.violations.length === 0) continue;
    wrong++;
    console.log(`seed ${seed}:\n  ${outcome.violations.slice(0, 5).join('\n  ')}`);
    console.log(`  smallest world: ${JSON.stringify(await shrunk(seed))}`);
  }
  // What few worlds do, few worlds test.
  for (const [what, { times, worlds }] of [...counts].sort())
    console.log(`  ${what}: ${(times / seeds.length).toFixed(1)} a world, in ${Math.round((100 * worlds) / seeds.length)} % of them`);
  const each = Math.round((performance.now() - began) / seeds.length);
  console.log(`${seeds.length} seeds, ${wrong} went wrong; ${operations} operations, ${records} records, ${each} ms each`);
  process.exitCode = wrong === 0 ? 0 : 1;
}

async function findBroken(): Promise<void> {
  for (const [rule, { changes }] of Object.entries(brokenRules)) {
    const noticing: number[] = [];
    for (const seed of seeds) {
      if (noticing.length === 3) break;
      if ((await simulate(seed, changes)).violations.length > 0) noticing.push(seed);
    }
    console.log(`${rule}: seeds ${noticing.join(', ') || 'none'}`);
  }
}
