/** Which peer is believed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { bestAnswer, type OwnKnowledge } from '../../src/core/peer-answers.ts';
import type { Millis, Offset, PeerAnswer } from '../../src/ports.ts';

const own: OwnKnowledge = { next: 10 as Offset, genesis: 'g', time: undefined };
const now = 1_000 as Millis;

/** An answer; `value` undefined: the peer does not have the key. */
function answer(next: number | undefined, value?: string, more: { time?: number; expires?: number; genesis?: string } = {}): PeerAnswer {
  const { time = 5, expires = 0, genesis } = more;
  const found = {
    ...{ value: bytesOf(value ?? ''), version: undefined, time: time as Millis, expires: expires as Millis, id: '', contentType: '' },
  };
  return { from: `${next}`, next: next as Offset | undefined, genesis, found: value === undefined ? undefined : found };
}

/** The value believed: text, `absent`, or undefined when no answer says more than is known here. */
function verdict(answers: readonly PeerAnswer[], known: Partial<OwnKnowledge> = {}): string | undefined {
  const best = bestAnswer(answers, { ...own, ...known }, now);
  return best === undefined ? undefined : best.found === undefined ? 'absent' : Buffer.from(best.found.value).toString();
}

describe('the best answer of peers', () => {
  test.each([
    ['the furthest wins', [answer(11, 'old'), answer(30, 'new'), answer(20, 'mid')], 'new'],
    ['absence wins when it is further', [answer(11, 'deleted since'), answer(30)], 'absent'],
    ['a value wins over a nearer absence', [answer(11), answer(30, 'new')], 'new'],
    ['an answer from where this node is says nothing new', [answer(10, 'stale')], undefined],
    ['nor does one from behind', [answer(3, 'stale'), answer(0)], undefined],
    ['nobody answers', [], undefined],
    ['of older nodes the newest timestamp wins', [answer(undefined, 'a', { time: 5 }), answer(undefined, 'b', { time: 6 })], 'b'],
    ['an older node that has nothing says nothing', [answer(undefined)], undefined],
    ['a position beyond counts more than any timestamp', [answer(undefined, 'old', { time: 1e12 }), answer(11)], 'absent'],
    ['another log is ignored, however far', [answer(99, 'other', { genesis: 'h' }), answer(11, 'ours', { genesis: 'g' })], 'ours'],
    ['another log is ignored for older nodes, too', [answer(undefined, 'other', { genesis: 'h' })], undefined],
    ['expired since is absent', [answer(20, 'x', { expires: 1_000 })], 'absent'],
    ['not yet expired is found', [answer(20, 'x', { expires: 1_001 })], 'x'],
  ])('%s', (_, answers, expected) => expect(verdict(answers)).toBe(expected));

  test('timestamps are compared as 64-bit numbers: beyond 2^31 and beyond 2^32 apart', () => {
    const late = 1_700_000_000_000;
    for (const apart of [1, 2 ** 31, 2 ** 32, 2 ** 32 + 5]) {
      const answers = [answer(undefined, 'new', { time: late + apart }), answer(undefined, 'old', { time: late })];
      expect(verdict(answers)).toBe('new');
      expect(verdict(answers.toReversed())).toBe('new');
    }
  });

  test('an older node does not bring back what was deleted here after it was written', () => {
    const stale = [answer(undefined, 'deleted since', { time: 500 })];
    expect(verdict(stale, { time: 600 as Millis })).toBeUndefined();
    expect(verdict(stale, { time: 400 as Millis })).toBe('deleted since');
  });

  test('a node that does not know its genesis yet believes any', () => {
    expect(verdict([answer(11, 'x', { genesis: 'h' })], { genesis: undefined })).toBe('x');
  });

  test('the order of arrival does not matter where positions differ', () => {
    const anyAnswers = fc.uniqueArray(fc.record({ next: fc.nat(40), value: fc.option(fc.string(), { nil: undefined }) }), {
      ...{ selector: ({ next }: { next: number }) => next, maxLength: 6 },
    });
    fc.assert(
      fc.property(anyAnswers, (raw) => {
        const answers = raw.map(({ next, value }) => answer(next, value));
        expect(verdict(answers)).toBe(verdict(answers.toReversed()));
      }),
    );
  });
});
