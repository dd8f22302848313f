/** Conditions, repetitions, atomic batches and doubt, as the log decides them. */
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { answerKey, decodeRun, wholeUntil } from '../../src/core/machine.ts';
import { conditionalPutRecord, deleteRecord, memberOf, putRecord, questionRecord } from '../../src/core/record.ts';
import type { LogRecord, Millis, NewRecord, Offset } from '../../src/ports.ts';
import { apply, at, by, del, fresh, ifDelete, ifMatch, lagMs, type PartitionState, put, rules, startMs, state, textIn } from './records.ts';

const o = (offset: number): Offset => offset as Offset;
const value = (held: PartitionState, key = 'k'): string | undefined => textIn(held.entries.get(key));
const outcomes = (held: PartitionState, records: readonly LogRecord[]) =>
  apply(held, records).decisions.map(({ by: author, answer: { outcome, offset, current } }) => [author, outcome, offset, current]);

describe('a condition', () => {
  test.each([
    ['absent holds where nothing is', [], 'absent', 'written', -1],
    ['absent holds where a marker is', [put('k', 'a'), del('k')], 'absent', 'written', -1],
    ['absent fails where a value is', [put('k', 'a')], 'absent', 'refused', 0],
    ['present fails where nothing is', [], 'present', 'refused', -1],
    ['present holds where a value is', [put('k', 'a')], 'present', 'written', -1],
    ['a version holds where it is', [put('k', 'a'), put('k', 'b')], o(1), 'written', -1],
    ['a version fails where another is', [put('k', 'a'), put('k', 'b')], o(0), 'refused', 1],
    ['a version fails where it was', [put('k', 'a'), del('k')], o(0), 'refused', -1],
    ['never fails', [put('k', 'a')], 'never', 'refused', 0],
  ] as const)('%s', (_, before, condition, outcome, current) => {
    const held = fresh();
    apply(
      held,
      before.map((record, i) => at(i, record)),
    );
    const offset = before.length;
    expect(outcomes(held, [at(offset, ifMatch('k', 'new', condition, by(1)))])).toEqual([['n1/a/1', outcome, offset, current]]);
    expect(held.entries.get('k')?.settled).toBe(false);
    expect(value(held) === 'new').toBe(outcome === 'written');
  });

  test('it is decided at the record’s own log time: a value that is over then does not stand in the way', () => {
    const until = (startMs + 100) as Millis;
    const log = (atMs: number) => [at(0, put('k', 'a', by(0, ''), { expires: until })), at(1, ifMatch('k', 'b', 'absent', by(1)), atMs)];
    expect(outcomes(fresh(), log(99))).toEqual([['n1/a/1', 'refused', 1, 0]]);
    expect(outcomes(fresh(), log(100))).toEqual([['n1/a/1', 'written', 1, -1]]);
  });

  test('a conditional delete leaves a marker', () => {
    const held = fresh();
    expect(outcomes(held, [at(0, put('k', 'a')), at(1, ifDelete('k', o(0), by(1)))])).toEqual([['n1/a/1', 'written', 1, -1]]);
    expect(held.entries.get('k')).toMatchObject({ deleted: true, version: 1 });
  });
});

describe('an idempotency key', () => {
  const keyed = (text: string, sequence: number, writer = 'n1/a', ik = 'ik'): NewRecord =>
    putRecord(bytesOf('k'), bytesOf(text), by(sequence, writer), { idempotencyKey: ik });

  test('the second record with it has no effect, and its writer hears of the first', () => {
    const held = fresh();
    const told = outcomes(held, [at(0, keyed('a', 1)), at(1, put('k', 'between')), at(2, keyed('b', 1, 'n2/x'))]);
    expect(told).toEqual([
      ['n1/a/1', 'written', 0, -1],
      ['n2/x/1', 'written', 0, -1],
    ]);
    expect(value(held)).toBe('between');
    expect(held.entries.get('k')?.settled).toBe(false);
  });

  test('a refusal is remembered as well', () => {
    const more = { idempotencyKey: 'ik' };
    const attempt = (n: number) => conditionalPutRecord(bytesOf('k'), bytesOf('x'), 'absent', by(n), more);
    const held = fresh();
    const told = outcomes(held, [at(0, put('k', 'a')), at(1, attempt(1)), at(2, del('k')), at(3, attempt(2))]);
    expect(told).toEqual([
      ['n1/a/1', 'refused', 1, 0],
      ['n1/a/2', 'refused', 1, 0],
    ]);
    expect(held.entries.get('k')?.deleted).toBe(true);
  });

  test('it counts for one key, and for half the compaction lag', () => {
    const held = fresh();
    const other = putRecord(bytesOf('other'), bytesOf('x'), by(2), { idempotencyKey: 'ik' });
    expect(outcomes(held, [at(0, keyed('a', 1)), at(1, other)])[1]).toEqual(['n1/a/2', 'written', 1, -1]);
    apply(held, [at(2, keyed('late', 3), lagMs / 2)]);
    expect(value(held)).toBe('a');
    apply(held, [at(3, keyed('later', 4), lagMs / 2 + 1)]);
    expect(value(held)).toBe('later');
    expect(held.answers.get(answerKey('ik', 'k'))?.offset).toBe(3);
  });
});

describe('an atomic batch', () => {
  const batchOf = (records: readonly NewRecord[], first: number, id = 'b1'): LogRecord[] =>
    records.map((record, index) => at(first + index, memberOf(record, { id, index, count: records.length })));
  const member = (key: string, text: string, sequence: number) => putRecord(bytesOf(key), bytesOf(text), by(sequence));

  test('all take effect when all conditions held before the first', () => {
    const held = fresh();
    const records = [ifMatch('a', '1', 'absent', by(1)), member('b', '2', 2), deleteRecord(bytesOf('c'), by(3))];
    const told = outcomes(held, [at(0, put('c', 'old')), ...batchOf(records, 1)]);
    expect(told.map(([, outcome]) => outcome)).toEqual(['written', 'written', 'written']);
    expect([value(held, 'a'), value(held, 'b'), value(held, 'c')]).toEqual(['1', '2', undefined]);
    expect(['a', 'b', 'c'].map((key) => held.entries.get(key)?.settled)).toEqual([false, false, false]);
  });

  test('none does when one condition fails, and each hears what stood in its way', () => {
    const held = fresh();
    const records = [member('a', '1', 1), ifMatch('b', '2', o(7), by(2))];
    const told = outcomes(held, [at(0, put('b', 'old')), ...batchOf(records, 1)]);
    expect(told).toEqual([
      ['n1/a/1', 'refused', 1, -1],
      ['n1/a/2', 'refused', 2, 0],
    ]);
    expect([value(held, 'a'), value(held, 'b')]).toEqual([undefined, 'old']);
  });

  test('a batch that the log took twice takes effect once', () => {
    const held = fresh();
    const records = [member('a', '1', 1), member('b', '1', 2)];
    apply(held, [...batchOf(records, 0), at(2, put('a', 'later', by(3))), ...batchOf(records, 3)]);
    expect([value(held, 'a'), value(held, 'b')]).toEqual(['later', '1']);
  });

  test.each([
    ['the first is gone', [1, 2]],
    ['the last is gone', [0, 1]],
    ['one between is gone', [0, 2]],
  ])('%s: nobody can tell any more, so the others are doubtful', (_, left) => {
    const held = fresh();
    const all = batchOf([member('a', '1', 1), member('b', '1', 2), member('c', '1', 3)], 0);
    const told = outcomes(
      held,
      left.map((i) => all[i] as LogRecord),
    );
    expect(told.map(([, outcome]) => outcome)).toEqual(['doubtful', 'doubtful']);
    expect(held.doubtful.size).toBe(2);
    expect(['a', 'b', 'c'].map((key) => value(held, key))).toEqual([undefined, undefined, undefined]);
  });

  test('something unreadable between two batches does not join them', () => {
    const held = fresh();
    const half = batchOf([member('a', '1', 1), member('b', '1', 2)], 0).slice(0, 1);
    apply(held, [...half, at(1, { ...put('x', 'y'), key: new Uint8Array([0xff]) }), at(2, put('b', 'own'))]);
    expect([value(held, 'a'), value(held, 'b')]).toEqual([undefined, 'own']);
  });

  test('doubt about one is doubt about all', () => {
    const held = fresh();
    apply(held, [at(0, ifMatch('b', 'v', 'absent', by(0)))]);
    held.doubtful.add('b');
    const told = outcomes(held, batchOf([member('a', '1', 1), ifMatch('b', '2', o(0), by(2))], 1));
    expect(told.map(([, outcome]) => outcome)).toEqual(['doubtful', 'doubtful']);
    expect(held.doubtful).toEqual(new Set(['a', 'b']));
  });

  test('a run that ends inside one is cut before it, unless the rest can no longer come', () => {
    const all = [at(0, put('x', 'y')), ...batchOf([member('a', '1', 1), member('b', '1', 2), member('c', '1', 3)], 1)];
    const cut = (count: number, next: number) => {
      const records = all.slice(0, count);
      return wholeUntil(records, decodeRun(records, rules), o(next));
    };
    expect([cut(1, 1), cut(2, 2), cut(3, 3), cut(4, 4)]).toEqual([1, 1, 1, 4]);
    expect([cut(3, 4), cut(2, 9)]).toEqual([3, 2]);
  });
});

describe('doubt', () => {
  test('what a jump leaves unsettled is doubtful until a statement or a plain write settles it', () => {
    const held = fresh();
    held.inDoubt = true;
    expect(outcomes(held, [at(5, ifMatch('k', 'a', 'absent', by(1)))])).toEqual([['n1/a/1', 'doubtful', 5, -1]]);
    held.inDoubt = false;
    expect(outcomes(held, [at(6, ifMatch('k', 'b', o(5), by(2)))])).toEqual([['n1/a/2', 'doubtful', 6, -1]]);
    apply(held, [at(7, state('k', 'truth', { version: o(2), asof: o(6) }))]);
    expect([value(held), held.doubtful.size, held.entries.get('k')?.settled]).toEqual(['truth', 0, true]);
    expect(outcomes(held, [at(8, ifMatch('k', 'c', o(2), by(3)))])).toEqual([['n1/a/3', 'written', 8, -1]]);
  });

  test('a plain write is known for certain, jump or not', () => {
    const held = fresh();
    held.inDoubt = true;
    apply(held, [at(5, ifMatch('k', 'a', 'absent', by(1))), at(6, put('k', 'plain'))]);
    expect([value(held), held.doubtful.size]).toEqual(['plain', 0]);
  });

  test('a statement that knows less than was seen here ends no doubt', () => {
    const held = fresh();
    held.inDoubt = true;
    apply(held, [at(5, ifMatch('k', 'a', 'absent', by(1))), at(6, state('k', 'old', { version: o(1), asof: o(4) }))]);
    expect([...held.doubtful]).toEqual(['k']);
  });

  test('a question changes nothing but that somebody has to state the key', () => {
    const held = fresh();
    apply(held, [at(0, put('k', 'a')), at(1, questionRecord(bytesOf('k'), by(1)))]);
    expect(held.entries.get('k')).toMatchObject({ version: 0, settled: false, deleted: false });
    apply(held, [at(2, questionRecord(bytesOf('gone'), by(2)))]);
    expect(held.entries.get('gone')).toMatchObject({ version: -1, settled: false, deleted: true });
  });
});

describe('a statement of another log, on its way when the topic was made anew', () => {
  const stranger = state('k', 'old', { version: o(129), asof: o(131) }, by(9, 'n9/x'));

  test('has no effect: it knows what this log does not hold', () => {
    const held = fresh();
    apply(held, [at(0, put('k', 'new')), at(1, stranger)]);
    expect([value(held), held.entries.get('k')?.version]).toEqual(['new', 0]);
    const empty = fresh();
    apply(empty, [at(0, stranger)]);
    expect(value(empty)).toBeUndefined();
    expect(empty.entries.get('k')).toMatchObject({ version: -1, settled: false });
  });

  test('what a node says of what it holds counts as before', () => {
    const held = fresh();
    apply(held, [at(0, put('k', 'a')), at(1, ifMatch('k', 'b', o(0), by(1))), at(2, state('k', 'b', { version: o(1), asof: o(1) }))]);
    expect([value(held), held.entries.get('k')?.settled]).toEqual(['b', true]);
  });
});
