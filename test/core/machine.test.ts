/** The rules of the machine, one by one (DESIGN of conditional records: docs/consistency.md). */
import { describe, expect, test } from 'vitest';
import { asciiBytes } from '../../src/core/bytes.ts';
import { genesisKey } from '../../src/core/keys.ts';
import { isLive } from '../../src/core/machine.ts';
import type { Millis, Offset, Partition } from '../../src/ports.ts';
import {
  apply,
  at,
  by,
  del,
  entryAfter,
  foreignNull,
  fresh,
  ifDelete,
  ifMatch,
  lagMs,
  put,
  rules,
  startMs,
  state,
  textIn,
  tombstone,
} from './records.ts';

const half = lagMs / 2;

describe('plain records', () => {
  test('the place in the log decides, and the marker of a delete stays as an entry', () => {
    expect(entryAfter([at(0, put('k', 'a')), at(1, put('k', 'b'))])).toMatchObject({
      version: 1,
      newest: 1,
      settled: true,
      deleted: false,
    });
    const gone = entryAfter([at(0, put('k', 'a', by(1), { expires: 9 as Millis, contentType: 'x/y' })), at(1, del('k', by(2)))]);
    expect(gone).toMatchObject({ version: 1, deleted: true, settled: true, expires: 0, contentType: '', by: 'n1/a/2' });
    expect(gone?.value).toHaveLength(0);
  });

  test('the null of another producer is a delete, kept as a marker', () => {
    expect(entryAfter([at(0, put('k', 'a')), at(1, foreignNull('k'))])).toMatchObject({ version: 1, deleted: true, settled: true });
  });

  test('a deadline is over at its very millisecond', () => {
    const entry = entryAfter([at(0, put('k', 'a', by(1), { expires: 500 as Millis }))]);
    expect(entry && [isLive(entry, 499 as Millis), isLive(entry, 500 as Millis)]).toEqual([true, false]);
  });

  test('what is not understood is skipped and told, and the times it brings count', () => {
    const held = fresh();
    const strange = { ...put('k', 'b'), headers: { op: asciiBytes('x') } };
    const records = [at(0, put('k', 'a')), at(1, strange, 50)];
    const { skipped, logTime, applied } = apply(held, records);
    expect(skipped).toEqual([{ record: records[1], reason: 'unknown-operation' }]);
    expect(textIn(held.entries.get('k'))).toBe('a');
    expect(logTime).toBe(startMs + 50);
    expect(applied).toEqual(new Map([['put', 1]]));
  });

  test('a key in a partition that is not its own is not served', () => {
    const held = fresh();
    const reasons = [0, 1].flatMap((partition) =>
      apply(held, [at(partition, put('k', 'v'))], { ...rules, partitions: 2, partition: partition as Partition }).skipped.map(
        ({ reason }) => reason,
      ),
    );
    expect(reasons).toEqual(['wrong-partition']);
    expect(held.count).toBe(1);
  });
});

describe('duplicates by writer sequence', () => {
  const twice = [at(0, put('k', 'a', by(1))), at(1, put('k', 'b', by(2))), at(2, put('k', 'a', by(1)))];

  test('a record seen before changes nothing, and leaves the key to be stated, because compaction would keep only it', () => {
    expect(entryAfter(twice)).toMatchObject({ version: 1, newest: 2, settled: false });
    expect(textIn(entryAfter(twice))).toBe('b');
  });

  test('a duplicate delete does not delete what was written since', () => {
    const log = [at(0, del('k', by(1))), at(1, put('k', 'b', by(2))), at(2, del('k', by(1)))];
    expect(textIn(entryAfter(log))).toBe('b');
  });

  test('a duplicate of an unknown key leaves a marker that was never written', () => {
    expect(entryAfter([at(0, put('x', 'a', by(2))), at(1, put('k', 'a', by(1)))])).toMatchObject({
      version: -1,
      newest: 1,
      settled: false,
      deleted: true,
    });
  });

  test('other writers and other incarnations count for themselves', () => {
    expect(entryAfter([at(0, put('k', 'a', by(5))), at(1, put('k', 'b', by(1, 'n1/b')))])).toMatchObject({ version: 1 });
    expect(entryAfter([at(0, put('k', 'a', by(5))), at(1, put('k', 'b', by(1, 'n2/a')))])).toMatchObject({ version: 1 });
  });

  test('sequences count for half the compaction lag of log time, and not a millisecond longer', () => {
    expect(entryAfter([at(0, put('k', 'a', by(1)), 0), at(1, put('k', 'b', by(1)), half)])).toMatchObject({ version: 0, settled: false });
    expect(entryAfter([at(0, put('k', 'a', by(1)), 0), at(1, put('k', 'b', by(1)), half + 1)])).toMatchObject({
      version: 1,
      settled: true,
    });
  });
});

describe('conditional records', () => {
  const base = at(0, put('k', 'a', by(1)));

  test('absent holds for what never was, was deleted, or is over at the record’s own log time', () => {
    expect(entryAfter([at(0, ifMatch('k', 'x', 'absent', by(1)))])).toMatchObject({ version: 0, settled: false, deleted: false });
    expect(entryAfter([at(0, del('k', by(1))), at(1, ifMatch('k', 'x', 'absent', by(2)))])).toMatchObject({ version: 1 });
    const expiring = at(0, put('k', 'a', by(1), { expires: (startMs + 100) as Millis }));
    expect(entryAfter([expiring, at(1, ifMatch('k', 'x', 'absent', by(2)), 99)])).toMatchObject({ version: 0, newest: 1, settled: false });
    expect(entryAfter([expiring, at(1, ifMatch('k', 'x', 'absent', by(2)), 100)])).toMatchObject({ version: 1 });
  });

  test('a version holds for exactly that version; refused or not, the key waits for a statement', () => {
    expect(entryAfter([base, at(1, ifMatch('k', 'x', 0 as Offset, by(2)))])).toMatchObject({ version: 1, newest: 1, settled: false });
    const refused = entryAfter([base, at(1, ifMatch('k', 'x', 7 as Offset, by(2)))]);
    expect(refused).toMatchObject({ version: 0, newest: 1, settled: false });
    expect(textIn(refused)).toBe('a');
  });

  test('of two that expect the same only the first is taken', () => {
    const log = [base, at(1, ifMatch('k', 'x', 0 as Offset, by(1, 'n2/a'))), at(2, ifMatch('k', 'y', 0 as Offset, by(1, 'n3/a')))];
    expect(entryAfter(log)).toMatchObject({ version: 1, newest: 2 });
    expect(textIn(entryAfter(log))).toBe('x');
  });

  test('a conditional delete leaves a marker', () => {
    expect(entryAfter([base, at(1, ifDelete('k', 0 as Offset, by(2)))])).toMatchObject({ version: 1, deleted: true, settled: false });
    expect(entryAfter([base, at(1, ifDelete('k', 5 as Offset, by(2)))])).toMatchObject({ version: 0, deleted: false, settled: false });
  });

  test('a duplicate of one that was taken is not decided again', () => {
    const log = [at(0, ifMatch('k', 'x', 'absent', by(1))), at(1, del('k', by(2))), at(2, ifMatch('k', 'x', 'absent', by(1)))];
    expect(entryAfter(log)).toMatchObject({ version: 1, deleted: true, settled: false, newest: 2 });
  });
});

describe('statements', () => {
  const unsettled = [at(0, put('k', 'a', by(1))), at(1, ifMatch('k', 'x', 0 as Offset, by(2)))];

  test('one that knows every record settles the key and changes nothing', () => {
    const entry = entryAfter([...unsettled, at(2, state('k', 'x', { version: 1 as Offset, asof: 1 as Offset }))]);
    expect(entry).toMatchObject({ version: 1, newest: 1, settled: true });
  });

  test('one that does not know the newest record is adopted but does not settle', () => {
    const log = [
      ...unsettled,
      at(2, ifMatch('k', 'y', 0 as Offset, by(1, 'n2/a'))),
      at(3, state('k', 'x', { version: 1 as Offset, asof: 1 as Offset })),
    ];
    expect(entryAfter(log)).toMatchObject({ version: 1, newest: 2, settled: false });
  });

  test('one older than the value is ignored and leaves the key to be stated again', () => {
    const log = [
      at(0, put('k', 'a', by(1))),
      at(5, put('k', 'b', by(2))),
      at(6, state('k', 'a', { version: 0 as Offset, asof: 4 as Offset })),
    ];
    expect(entryAfter(log)).toMatchObject({ version: 5, newest: 5, settled: false });
    expect(textIn(entryAfter(log))).toBe('b');
  });

  test('one gives a value, with all that belongs to it, to a node from which compaction has hidden it', () => {
    const entry = entryAfter([at(9, state('k', 'x', { version: 1 as Offset, asof: 7 as Offset, id: 'u', by: 'n9/z/4' }))]);
    expect(entry).toMatchObject({ version: 1, settled: true, id: 'u', by: 'n9/z/4', time: startMs });
    expect(textIn(entry)).toBe('x');
    expect(entryAfter([at(9, state('k', undefined, { version: 3 as Offset, asof: 7 as Offset }))])).toMatchObject({
      deleted: true,
      settled: true,
    });
  });

  test('one that comes more than half the compaction lag after its time is ignored by all', () => {
    const timely = entryAfter([
      ...unsettled,
      at(2, state('k', 'x', { version: 1 as Offset, asof: 1 as Offset, at: startMs as Millis }), half),
    ]);
    expect(timely).toMatchObject({ settled: true });
    const late = entryAfter([
      ...unsettled,
      at(2, state('k', 'z', { version: 1 as Offset, asof: 1 as Offset, at: startMs as Millis }), half + 1),
    ]);
    expect(late).toMatchObject({ version: 1, settled: false });
    expect(textIn(late)).toBe('x');
    expect(entryAfter([at(2, state('k', 'z', { asof: 1 as Offset, at: startMs as Millis }), half + 1)])).toMatchObject({
      deleted: true,
      settled: false,
    });
  });

  test('the same one again changes nothing', () => {
    const same = state('k', 'x', { version: 1 as Offset, asof: 1 as Offset }, by(3));
    expect(entryAfter([...unsettled, at(2, same), at(3, same)])).toMatchObject({ version: 1, settled: true });
  });
});

describe('tombstones', () => {
  test('one is taken when the key is absent, deleted, or over at its own log time, and the entry is gone', () => {
    expect(entryAfter([at(0, tombstone('k'))])).toBeUndefined();
    expect(entryAfter([at(0, del('k')), at(1, tombstone('k'))])).toBeUndefined();
    const expiring = at(0, put('k', 'a', by(1), { expires: (startMs + 100) as Millis }));
    expect(entryAfter([expiring, at(1, tombstone('k'), 100)])).toBeUndefined();
    expect(entryAfter([expiring, at(1, tombstone('k'), 99)])).toMatchObject({ version: 0, newest: 1, settled: false });
  });

  test('one under a live value is ignored, and the value must be stated, or compaction would drop it', () => {
    expect(entryAfter([at(0, put('k', 'a')), at(1, tombstone('k'))])).toMatchObject({
      version: 0,
      newest: 1,
      settled: false,
      deleted: false,
    });
  });
});

describe('the genesis record', () => {
  const genesis = ifMatch(genesisKey, 'this-topic', 'absent', by(1));

  test.each([
    ['a put', put(genesisKey, 'another')],
    ['a null', foreignNull(genesisKey)],
    ['a delete of ours', del(genesisKey, by(2))],
  ])('%s of somebody else changes nothing and has it stated again', (_, foreign) => {
    const entry = entryAfter([at(0, genesis), at(1, foreign)], genesisKey);
    expect(textIn(entry)).toBe('this-topic');
    expect(entry).toMatchObject({ version: 0, newest: 1, settled: false, deleted: false });
  });

  test('before there is one, a put of somebody else is none', () => {
    const entry = entryAfter([at(0, put(genesisKey, 'another')), at(1, genesis)], genesisKey);
    expect(textIn(entry)).toBe('this-topic');
  });
});
