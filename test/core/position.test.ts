/** Session tokens: what is written is read back, merging never goes back, and nothing that is not a token is taken for one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatToken, isOfLog, logOf, maxTokenPositions, mergePositions, parseToken } from '../../src/core/position.ts';
import type { Offset, Partition, Position } from '../../src/ports.ts';

const at = (partition: number, offset: number): Position => ({ partition: partition as Partition, offset: offset as Offset });
const positions = fc.array(
  fc.tuple(fc.nat(40), fc.nat(Number.MAX_SAFE_INTEGER)).map(([partition, offset]) => at(partition, offset)),
  {
    maxLength: 60,
  },
);
const logs = fc.option(fc.stringMatching(/^[0-9a-f]{8}$/), { nil: undefined });

describe('a token', () => {
  test('as it is written', () => {
    expect(formatToken({ positions: [at(0, 1204), at(3, 77)], log: '8f14e45f' })).toBe('0:1204,3:77@8f14e45f');
    expect(formatToken({ positions: [], log: '8f14e45f' })).toBe('');
    expect(parseToken('0:1204,3:77@8F14E45F')).toEqual({ positions: [at(0, 1204), at(3, 77)], log: '8f14e45f' });
    expect(parseToken('0:1')).toEqual({ positions: [at(0, 1)], log: undefined });
    expect(parseToken('')).toEqual({ positions: [], log: undefined });
    expect(parseToken('@8f14e45f')).toEqual({ positions: [], log: '8f14e45f' });
  });

  test.each([
    '0',
    '0:',
    ':1',
    '0:1,',
    ',0:1',
    '0:1,,1:1',
    '0:-1',
    '0:1.5',
    '0:1e3',
    ' 0:1',
    '0:1 ',
    '0:1, 1:1',
    '0:9007199254740992',
    '0:1@',
    '0:1@8f14e45',
    '0:1@8f14e45f0',
    '0:1@8f14e45g',
    '0:1@8f14e45f@8f14e45f',
    '0:1\n',
    'x',
    '"0:1"',
  ])('%j is none', (text) => expect(parseToken(text)).toBeUndefined());

  test('has a bound', () => {
    const list = (length: number) => Array.from({ length }, (_, partition) => `${partition}:1`).join(',');
    expect(parseToken(list(maxTokenPositions))?.positions).toHaveLength(maxTokenPositions);
    expect(parseToken(list(maxTokenPositions + 1))).toBeUndefined();
    expect(parseToken('0:1,'.repeat(1_000_000))).toBeUndefined();
  });

  test('is read back as it was written', () => {
    fc.assert(
      fc.property(positions, logs, (list, log) => {
        const token = { positions: mergePositions(list), log };
        const back = parseToken(formatToken(token));
        expect(back?.positions).toEqual(token.positions);
        if (list.length > 0) expect(back?.log).toBe(log);
      }),
    );
  });

  test('any text is read or refused, and what is read is written the same way again', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9:,@a-f]{0,40}$/));
    fc.assert(
      fc.property(text, (input) => {
        const token = parseToken(input);
        if (token === undefined) return;
        const written = formatToken(token);
        expect(formatToken(parseToken(written) ?? { positions: [], log: 'x' })).toBe(written);
      }),
    );
  });
});

describe('merging', () => {
  test('the larger offset of each partition wins, and nothing else is there', () => {
    fc.assert(
      fc.property(positions, positions, (one, other) => {
        const merged = mergePositions(one, other);
        const all = [...one, ...other];
        expect(merged.map(({ partition }) => partition)).toEqual([...new Set(all.map(({ partition }) => partition))].sort((a, b) => a - b));
        for (const { partition, offset } of merged) {
          expect(offset).toBe(Math.max(...all.filter((each) => each.partition === partition).map((each) => each.offset)));
        }
      }),
    );
  });

  test('in whatever order, and however often', () => {
    fc.assert(
      fc.property(positions, positions, positions, (a, b, c) => {
        const merged = mergePositions(a, b, c);
        expect(mergePositions(c, mergePositions(b, a))).toEqual(merged);
        expect(mergePositions(merged, merged, a)).toEqual(merged);
      }),
    );
  });
});

test('a token belongs to the log whose genesis begins with it', () => {
  const genesis = '8f14e45f-ceea-467f-a8d5-2f0a5b1c9d3e';
  const token = (log: string | undefined) => ({ positions: [at(0, 1)], log });
  expect(logOf(genesis)).toBe('8f14e45f');
  expect(isOfLog(token('8f14e45f'), genesis)).toBe(true);
  expect(isOfLog(token(undefined), genesis)).toBe(true);
  expect(isOfLog(token('00000000'), genesis)).toBe(false);
  expect(logOf('genesis-1')).toBeUndefined();
});
