/** The table of complaints about others names tests: they are there, with these titles. */
import { describe, expect, test } from 'vitest';
import { textOf } from './sources.ts';

const section =
  textOf('docs/testing.md')
    .split(/^## /m)
    .find((each) => each.startsWith('Complaints about others')) ?? '';
const rows = section
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Complaint'))
  .map((line) => line.slice(2, -2).split(' | '));

/** `path` "title", "title"; `path` */
function named(cell: string): { path: string; titles: string[] }[] {
  return [...cell.matchAll(/`((?:test|bench)\/[^`]+)`((?:,? ?"[^"]+")*)/g)].map(([, path = '', titles = '']) => ({
    path,
    titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
  }));
}

describe('docs/testing.md: complaints about others', () => {
  test('has what the peers are known for', () => expect(rows.length).toBeGreaterThanOrEqual(25));

  test.each(rows)('%s', (...row) => {
    expect(row).toHaveLength(3);
    const tests = named(row[2] ?? '');
    expect(tests.flatMap(({ titles }) => titles).length, 'tests that show it').toBeGreaterThan(0);
    for (const { path, titles } of tests) {
      const text = textOf(path);
      for (const title of titles) expect([path, title, text.includes(title)]).toEqual([path, title, true]);
    }
    // Every title belongs to a file.
    expect((row[2] ?? '').match(/"[^"]+"/g)?.length).toBe(tests.flatMap(({ titles }) => titles).length);
  });
});
