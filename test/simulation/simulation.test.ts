/** Hundreds of simulated worlds in which nothing may go wrong, and for each rule that is broken on purpose one that notices. */
import { describe, expect, test } from 'vitest';
import { brokenRules } from './broken-rules.ts';
import { shrunk } from './shrink.ts';
import { simulate } from './world.ts';
import { worldOf } from './world-options.ts';

const seeds = 300;
const atOnce = 50;

/** What must not be seldom. */
const happenings = [
  ...['crashes', 'cuts', 'freezes', 'jumps', 'rebuilds', 'stores: store-failed', 'tombstones', 'statements', 'doubtful keys'],
  ...['records written', 'records refused', 'records repeated', 'records ignored', 'requests sent again', 'version-conflict'],
  ...['stops', 'watches resumed', 'watch: put', 'watch: delete', 'stretches read', 'jumps in stretches', 'histories', 'history-compacted'],
  ...['moments: a value', 'moments: nothing', 'resets: a queue was full', 'resets: the log may be compacted there', 'resets: asked for'],
  ...['resets: the node has jumped meanwhile', 'resets: the node was in doubt'],
  ...['batches written', 'batches refused', 'lists local', 'lists local, session', 'lists latest', 'lists linearizable'],
];

describe('nothing goes wrong', () => {
  test.each(Array.from({ length: seeds / atOnce }, (_, i) => i * atOnce + 1))(
    `seeds from %i on`,
    async (from) => {
      let operations = 0;
      const counts = new Map<string, number>();
      for (let seed = from; seed < from + atOnce; seed++) {
        const outcome = await simulate(seed);
        expect(outcome.violations, `seed ${seed}; npm run simulate -- --from ${seed} --seeds 1`).toEqual([]);
        operations += outcome.operations;
        for (const [what, times] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + times);
      }
      // An idle world finds nothing.
      expect(operations / atOnce).toBeGreaterThan(100);
      expect(happenings.filter((what) => (counts.get(what) ?? 0) < atOnce / 4)).toEqual([]);
    },
    120_000,
  );

  test('the same seed is the same world', async () => {
    expect(await simulate(7)).toEqual(await simulate(7));
  });
});

describe('a broken rule is noticed', () => {
  // Another seed is found by `npm run simulate -- --broken`, should a change of the code make another world of this one.
  test.each(Object.entries(brokenRules))(
    '%s',
    async (_, { seed, changes }) => {
      expect((await simulate(seed, changes)).violations).not.toEqual([]);
      // The same world with the rule kept: what else was changed of it does no harm.
      const { identity } = changes.broken ?? {};
      expect((await simulate(seed, { ...changes, broken: identity === undefined ? {} : { identity } })).violations).toEqual([]);
    },
    60_000,
  );

  test('the world that went wrong shrinks to a smaller one that still does', async () => {
    const { seed, changes } = brokenRules['no statements'] as (typeof brokenRules)[string];
    const smallest = await shrunk(seed, changes);
    expect((await simulate(seed, smallest)).violations).not.toEqual([]);
    expect(smallest.durationMs).toBeLessThan(worldOf(seed).durationMs);
  }, 120_000);
});
