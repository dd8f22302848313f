/** What the client loads, and what its page says. */
import { expect, test } from 'vitest';
import { termsOf } from '../../client/http/lock-terms.ts';
import { httpLimitsOf } from '../../client/http/options.ts';
import { watchedOf } from '../../client/http/watch.ts';
import { filesIn, importsOf, resolved, textOf } from '../docs/sources.ts';

function reached(entry: string, found = new Set<string>()): Set<string> {
  if (found.has(entry)) return found;
  found.add(entry);
  if (entry.endsWith('.ts')) for (const specifier of importsOf(entry)) reached(resolved(entry, specifier), found);
  return found;
}

test('it loads its own, the core and node’s: no package', () => {
  const all = [...reached('client/http/index.ts')];
  expect(all).toContain('client/http/exchange.ts');
  expect(all).toContain('src/core/position.ts');
  expect(
    all.filter((path) => !/^(client\/|wire\/address\.ts$|src\/core\/|src\/(ports|key-value)\.ts$|src\/ports\/|node:)/.test(path)),
  ).toEqual([]);
});

test('no fetch: it costs 90 ms at the start', () => {
  for (const file of filesIn('client/http')) expect(textOf(file), file).not.toMatch(/\bfetch\(/);
});

const page = textOf('docs/client.md');

const { silenceMs } = watchedOf({});
const { ttlMs, waitMs } = termsOf('a', {});
const usual = { ...httpLimitsOf({}), silenceMs, ttlMs, waitMs };

test.each(Object.entries(usual))('%s: its default is %d', (name, value) => {
  const section = page.slice(page.indexOf('# The HTTP client'));
  const MiB = 1024 * 1024;
  const shown = value >= MiB && value % MiB === 0 ? `${value / MiB} MiB` : value.toLocaleString('en-US');
  expect(section).toContain(`| \`${name}\` | ${shown} |`);
});
