/** The pages that are made from tables say what the tables say. */
import { describe, expect, test } from 'vitest';
import { optionsTable } from '../../src/app/config/help.ts';
import { options } from '../../src/app/config/options.ts';
import { type ErrorCode, errorHead, errorTable } from '../../src/core/errors.ts';
import { filesIn, textOf } from './sources.ts';

const codes = Object.keys(errorTable) as ErrorCode[];

describe('docs/errors.md', () => {
  const page = textOf('docs/errors.md');

  test('has one section a code, in the order of the table', () => {
    expect([...page.matchAll(/^## `(.+)`$/gm)].map((match) => match[1])).toEqual(codes);
  });

  test.each(codes)('%s: title, status and retry as in the table, and a paragraph of advice', (code) => {
    const [, rest] = page.split(`${errorHead(code)}\n\n`);
    expect(rest, 'the head of the section').toBeDefined();
    expect(rest?.split('\n')[0]?.length).toBeGreaterThan(60);
  });

  test('settings that it names exist', () => {
    const names: readonly string[] = options.map(({ name }) => name);
    const named = [...page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map((match) => match[1] as string);
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(3);
  });
});

describe('the error table', () => {
  test('every code is used, and where waiting helps it says so', () => {
    // `/rpc` answers a missing key in the original's words, without a code.
    const unspoken = ['not-found'];
    const code = filesIn('src', 'storage', 'cluster', 'rpc', 'client')
      .filter((file) => file !== 'src/core/errors.ts')
      .map(textOf)
      .join('\n');
    expect(codes.filter((each) => !unspoken.includes(each) && !code.includes(`'${each}'`))).toEqual([]);
    for (const { status, retry, ...more } of Object.values(errorTable)) {
      if (status === 503) expect(more).toHaveProperty('retryAfter');
      if (retry === 'no') expect(more).not.toHaveProperty('retryAfter');
    }
  });
});

describe('docs/configuration.md', () => {
  const page = textOf('docs/configuration.md');

  test('holds the table of the options, exactly and once', () => {
    expect(page.split(optionsTable())).toHaveLength(2);
    expect(page.match(/^\| `--/gm)).toHaveLength(options.length);
  });
});
