/** A tombstone ends what its author knew, and nothing that came since. */
import { describe, expect, test } from 'vitest';
import { asciiBytes } from '../../src/core/bytes.ts';
import type { Millis, Offset } from '../../src/ports.ts';
import { apply, at, by, del, fresh, ifMatch, put, startMs, state, tombstone } from './records.ts';

/** By somebody who knew the key up to an offset. */
const knowing = (asof: number) => ({ ...tombstone('k'), headers: { op: asciiBytes('t'), asof: asciiBytes(String(asof)) } });

describe('a tombstone that was held up', () => {
  const history = (last: ReturnType<typeof tombstone>) => [
    at(0, put('k', 'a', by(1))),
    at(1, del('k', by(2))),
    // Here its author looked. Meanwhile:
    at(2, ifMatch('k', 'P', 'absent', by(3))),
    at(3, del('k', by(4))),
    at(4, last),
    // The statement of P by a slow node that knew the key up to 2.
    at(5, state('k', 'P', { version: 2 as Offset, asof: 2 as Offset, at: (startMs + 2) as Millis }, by(5, 'n2/a'))),
  ];

  test('without asof it brings a deleted key back', () => {
    const held = fresh();
    const { entries } = apply(held, history(tombstone('k')));
    expect(entries.get('k')).toMatchObject({ deleted: false, version: 2 });
  });

  test('with asof it does not', () => {
    const { entries } = apply(fresh(), history(knowing(1)));
    expect(entries.get('k')).toMatchObject({ deleted: true, version: 3, settled: false });
  });

  test('behind a jump over the delete it ends the old value without a question', () => {
    const held = fresh();
    held.entries.set('k', apply(fresh(), [at(0, put('k', 'a', by(1)))]).entries.get('k') as never);
    held.inDoubt = true;
    const step = apply(held, [at(9, knowing(8))]);
    expect([step.entries.get('k'), step.doubtful.size]).toEqual([undefined, 0]);
  });
});
