/** What holds of the machine for any log. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogRecord, Offset } from '../../src/ports.ts';
import {
  apply,
  at,
  by,
  del,
  foreignNull,
  fresh,
  ifDelete,
  ifMatch,
  lagMs,
  type PartitionState,
  put,
  state,
  textIn,
  tombstone,
} from './records.ts';

const keys = ['a', 'b', 'c'] as const;

/** One thing that is done to a key, from three writers whose sequences may repeat; `gapMs` is log time since the record before. */
interface Deed {
  readonly kind: 'put' | 'delete' | 'null' | 'if' | 'if-absent' | 'if-delete' | 'tombstone' | 'state' | 'garbage';
  readonly key: (typeof keys)[number];
  readonly number: number;
  readonly writer: string;
  readonly gapMs: number;
}

const deedOf = (kinds: readonly Deed['kind'][]): fc.Arbitrary<Deed> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    key: fc.constantFrom(...keys),
    number: fc.nat(12),
    writer: fc.constantFrom('n1/a', 'n2/a', 'n3/a'),
    gapMs: fc.constantFrom(0, 1, 1_000, lagMs / 3, lagMs),
  });
const anyLog = fc.array(deedOf(['put', 'delete', 'null', 'if', 'if-absent', 'if-delete', 'tombstone', 'state', 'garbage']), {
  maxLength: 30,
});
const plainLog = fc.array(deedOf(['put', 'delete', 'null']), { maxLength: 30 });

/** The deeds as a log. */
function logOf(deeds: readonly Deed[], unique = false): LogRecord[] {
  let time = 0;
  return deeds.map((deed, offset) => {
    time += deed.gapMs;
    return at(offset, recordOf(deed, offset, unique), time);
  });
}

function recordOf({ kind, key, number, writer }: Deed, offset: number, unique: boolean) {
  const author = by(unique ? offset + 1 : number, writer);
  const place = Math.max(0, offset - number) as Offset;
  switch (kind) {
    case 'put':
      return put(key, `${key}${offset}`, author);
    case 'delete':
      return del(key, author);
    case 'null':
      return foreignNull(key);
    case 'if':
      return ifMatch(key, `${key}${offset}`, place, author);
    case 'if-absent':
      return ifMatch(key, `${key}${offset}`, 'absent', author);
    case 'if-delete':
      return ifDelete(key, place, author);
    case 'tombstone':
      return tombstone(key);
    case 'state':
      return state(key, number % 3 === 0 ? undefined : `${key}s`, { version: Math.max(-1, place - 1) as Offset, asof: place }, author);
    case 'garbage':
      return { ...put(key, 'x'), headers: { op: new Uint8Array([0xff]) } };
  }
}

/** The state after a log, taken in runs of the given lengths and then one by one. */
function replay(log: readonly LogRecord[], cuts: readonly number[] = [log.length], held = fresh()): PartitionState {
  let from = 0;
  for (const length of [...cuts, ...log.map(() => 1)]) {
    apply(held, log.slice(from, from + length));
    from += length;
  }
  return held;
}

const copyOf = (held: PartitionState): PartitionState => ({ ...held, entries: new Map(held.entries), writers: new Map(held.writers) });

describe('for any log', () => {
  test('the same records in any batches give the same state and count', () => {
    fc.assert(
      fc.property(anyLog, fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 9 }), (deeds, cuts) => {
        const log = logOf(deeds);
        expect(replay(log, cuts)).toEqual(replay(log));
      }),
    );
  });

  test('added is the true change in the number of entries', () => {
    fc.assert(
      fc.property(anyLog, (deeds) => {
        const held = replay(logOf(deeds), [3, 1, 5]);
        expect(held.count).toBe(held.entries.size);
      }),
    );
  });

  test('a node that goes on from a checkpoint ends as one that never stopped, and so does a second one', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(30), (deeds, cut) => {
        const log = logOf(deeds);
        const checkpoint = replay(log.slice(0, cut));
        expect(replay(log.slice(cut), [2], copyOf(checkpoint))).toEqual(replay(log));
        expect(replay(log.slice(cut), [4], copyOf(checkpoint))).toEqual(replay(log));
      }),
    );
  });

  test('nothing that is handed in is changed', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(30), (deeds, cut) => {
        const log = logOf(deeds);
        const before = structuredClone(log);
        const held = replay(log.slice(0, cut));
        const frozen = new Map([...held.entries].map(([key, entry]) => [key, Object.freeze({ ...entry })]));
        const image = structuredClone(frozen);
        apply({ ...held, entries: new Map(frozen) }, log.slice(cut));
        expect(structuredClone(frozen)).toEqual(image);
        expect(structuredClone(log)).toEqual(before);
      }),
    );
  });

  test('a version never lies beyond the newest record that is no statement, unless a statement set it', () => {
    fc.assert(
      fc.property(anyLog, (deeds) => {
        const held = replay(logOf(deeds.filter(({ kind }) => kind !== 'state')));
        for (const entry of held.entries.values()) expect(entry.version).toBeLessThanOrEqual(entry.newest);
      }),
    );
  });
});

describe('for plain puts and deletes', () => {
  test('the last record of a key is its state', () => {
    fc.assert(
      fc.property(plainLog, (deeds) => {
        const model = new Map(
          deeds.map(({ kind, key }, offset) => [key as string, { value: kind === 'put' ? `${key}${offset}` : undefined, offset }]),
        );
        const held = replay(logOf(deeds, true), [4, 2]);
        const seen = [...held.entries].map(([key, entry]) => [key, { value: textIn(entry), offset: entry.version }] as const);
        expect(new Map(seen)).toEqual(model);
      }),
    );
  });

  test('any legal compaction restores the same entries, versions and deadlines', () => {
    fc.assert(
      fc.property(plainLog, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (deeds, removed) => {
        const log = logOf(deeds, true);
        const newest = new Map(log.map((record) => [String(record.key), record.offset]));
        const compacted = log.filter((record, i) => newest.get(String(record.key)) === record.offset || !removed[i]);
        expect(replay(compacted, [3]).entries).toEqual(replay(log).entries);
      }),
    );
  });
});
