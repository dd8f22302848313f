/** What the log tells afterwards, with the fates that were kept, is what watchers were told when it was applied. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/core/bytes.ts';
import { effectOf, statedBy } from '../../src/core/effects.ts';
import { genesisKey } from '../../src/core/keys.ts';
import { memberOf, putRecord } from '../../src/core/record.ts';
import type { LogRecord, NewRecord, Offset } from '../../src/ports.ts';
import { apply, at, by, del, fresh, ifDelete, ifMatch, put, rules, state, tombstone } from './records.ts';

const kinds = [
  'put',
  'delete',
  'if',
  'if-absent',
  'if-delete',
  'tombstone',
  'state',
  'keyed',
  'members',
  'half',
  'garbage',
  'system',
] as const;

/** A deed may be more than one record. */
function recordsOf(kind: (typeof kinds)[number], key: string, number: number, writer: string, offset: number): NewRecord[] {
  const author = by(number, writer);
  const place = Math.max(0, offset - number) as Offset;
  const value = `${key}${offset}`;
  const members = ['a', 'b'].map((each, index) =>
    memberOf(ifMatch(each, value, 'absent', by(number + index, writer)), { id: value, index, count: 2 }),
  );
  const records: Record<(typeof kinds)[number], NewRecord[]> = {
    put: [put(key, value, author)],
    delete: [del(key, author)],
    if: [ifMatch(key, value, place, author)],
    'if-absent': [ifMatch(key, value, 'absent', author)],
    'if-delete': [ifDelete(key, place, author)],
    tombstone: [tombstone(key)],
    state: [state(key, value, { version: Math.max(-1, place - 1) as Offset, asof: place }, author)],
    keyed: [putRecord(bytesOf(key), bytesOf(value), author, { idempotencyKey: `i${number % 3}` })],
    members,
    half: members.slice(0, 1),
    garbage: [{ ...put(key, 'x'), headers: { op: new Uint8Array([0xff]) } }],
    system: [put(genesisKey, 'x', author)],
  };
  return records[kind];
}

const anyDeeds = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    key: fc.constantFrom('a', 'b'),
    number: fc.nat(9),
    writer: fc.constantFrom('n1/a', 'n2/a'),
  }),
  { maxLength: 25 },
);

describe('for any log', () => {
  test.each([['a node that knows all', false] as const, ['a node in doubt', true] as const])('%s', (_, inDoubt) => {
    fc.assert(
      fc.property(anyDeeds, fc.nat(25), (deeds, doubtUntil) => {
        const log: LogRecord[] = [];
        for (const { kind, key, number, writer } of deeds) {
          for (const record of recordsOf(kind, key, number, writer, log.length)) log.push(at(log.length, record));
        }
        const held = { ...fresh(), inDoubt };
        const first = apply(held, log.slice(0, doubtUntil));
        held.inDoubt = false;
        const then = apply(held, log.slice(doubtUntil));
        const fates = new Map([...first.fates, ...then.fates]);
        const told = [...first.changes, ...then.changes]
          .filter(({ learned }) => !learned)
          .map(({ key, offset, entry: { deleted, value } }) => [key, offset, deleted ? undefined : Buffer.from(value).toString()]);
        const effects = log.map((record) => effectOf(record, fates.get(record.offset), rules)).filter((each) => each !== undefined);
        expect(
          effects
            .filter(({ entry }) => entry !== undefined)
            .map(({ key, record, entry }) => [key, record.offset, entry?.deleted ? undefined : Buffer.from(entry?.value ?? []).toString()]),
        ).toEqual(told);
        const learned = [...first.changes, ...then.changes].filter((change) => change.learned).map(({ offset }) => offset);
        const unknown = effects.filter(({ entry }) => entry === undefined).map(({ record }) => record.offset);
        // Wherever a watcher had to be told of a gap, the log tells of one too.
        for (const offset of learned) expect(unknown).toContain(offset);
        if (!inDoubt && !deeds.some(({ kind }) => kind === 'half' || kind === 'state' || kind === 'members')) expect(unknown).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('a statement tells of the version that it states', () => {
  const stated = { version: 3 as Offset, asof: 5 as Offset, id: 'vid', by: 'n1/a/7' };
  expect(statedBy(at(6, state('k', 'v', stated)), rules)).toMatchObject({ version: 3, id: 'vid', by: 'n1/a/7', deleted: false });
  expect(statedBy(at(6, state('k', undefined, stated)), rules)).toMatchObject({ version: 3, deleted: true });
  expect(statedBy(at(6, put('k', 'v')), rules)).toBeUndefined();
});
