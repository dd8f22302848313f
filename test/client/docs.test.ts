/** The page on the client says what the code says. */
import { describe, expect, test } from 'vitest';
import { clientErrorHead, clientErrorTable } from '../../client/errors.ts';
import { limitsOf } from '../../client/options.ts';
import { filesIn, textOf } from '../docs/sources.ts';

const page = textOf('docs/client.md');
const codes = Object.keys(clientErrorTable) as (keyof typeof clientErrorTable)[];

describe('docs/client.md', () => {
  test('has one section for each of the client’s codes, in their order', () => {
    expect([...page.matchAll(/^### `(.+)`$/gm)].map((match) => match[1])).toEqual(codes);
  });

  test.each(codes)('%s: title and retry as in the table, and a paragraph of advice', (code) => {
    const [, rest] = page.split(`${clientErrorHead(code)}\n\n`);
    expect(rest, 'the head of the section').toBeDefined();
    expect(rest?.split('\n\n')[0]?.length).toBeGreaterThan(60);
  });

  test.each(Object.entries(limitsOf({})))('%s: its default is %d', (name, value) => {
    const MiB = 1024 * 1024;
    const shown = value >= MiB && value % MiB === 0 ? `${value / MiB} MiB` : value.toLocaleString('en-US');
    expect(page).toContain(`| \`${name}\` | ${shown} |`);
  });
});

test('every code is used', () => {
  const code = filesIn('client')
    .filter((file) => file !== 'client/errors.ts')
    .map(textOf)
    .join('\n');
  // Its class gives it.
  expect(codes.filter((each) => each !== 'connection' && !code.includes(`'${each}'`))).toEqual([]);
});
