/**
 * The records of golden 1: every kind that the log can hold, each in the ways that it can come out. `make.ts` writes them down; tests read
 * what was written down then.
 *
 * Three partitions. Two were followed by the node that made the golden store, record for record. The third was written, and compacted, while
 * that node was stopped: it found a jump there.
 */
import { asciiBytes, bytesOf } from '../../src/core/bytes.ts';
import { barrierKey, genesisKey, markKey } from '../../src/core/keys.ts';
import { partitionOf } from '../../src/core/partitioner.ts';
import {
  type Authorship,
  type Condition,
  conditionalDeleteRecord,
  conditionalPutRecord,
  deleteRecord,
  memberOf,
  putRecord,
  questionRecord,
  type Stated,
  statementRecord,
  tombstoneRecord,
  type WriteDetails,
} from '../../src/core/record.ts';
import type { Headers, Millis, NewRecord, Offset, Partition } from '../../src/ports.ts';
import { keyIn } from '../../src/replica/horizon.ts';

export const partitions = 3;
export const compactionLagMs = 3_600_000;
/** Far from the time of any run: no broker takes records from its future. */
export const startMs = Date.UTC(2025, 0, 1);
const minuteMs = 60_000;

export interface Planned {
  readonly partition: number;
  readonly offset: number;
  readonly time: number;
  readonly record: NewRecord;
  readonly what: string;
  readonly late?: true;
}

const planned: Planned[] = [];
const next = new Array<number>(partitions).fill(0);
let now = startMs;
let late = false;

/** Puts a record at the end of its partition, a second after the one before; returns where it stands. */
function add(what: string, record: NewRecord, partition = partitionOf(record.key, partitions)): Place {
  const offset = next[partition]!++;
  planned.push({ partition, offset, time: now, record, what, ...(late ? { late: true } : {}) });
  now += 1_000;
  return placeOf(planned.at(-1) as Planned);
}

const sequences = new Map<string, number>();
let ids = 0;

/** The next record of a writer. */
function by(writer = 'node-1:8082/8f14e45f'): Authorship {
  const sequence = (sequences.get(writer) ?? 0) + 1;
  sequences.set(writer, sequence);
  return { id: `${(++ids).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`, by: `${writer}/${sequence}` };
}

const other = 'node-2:8082/c9f0f895';
const home = partitionOf(bytesOf(genesisKey), partitions) as Partition;
const second = ((home + 1) % partitions) as Partition;
/** Of the compacted part. */
const third = ((home + 2) % partitions) as Partition;

/** A key of a partition: the name, or the name with the first number that leads there. */
function key(name: string, partition: Partition = home): Uint8Array {
  for (let i = 1; ; i++) {
    const bytes = bytesOf(i === 1 ? name : `${name}.${i}`);
    if (partitionOf(bytes, partitions) === partition) return bytes;
  }
}

const text = (value: string): Uint8Array => Buffer.from(value);
const put = (k: Uint8Array, value: string, more?: WriteDetails, author = by()): NewRecord => putRecord(k, text(value), author, more);
const foreign = (k: Uint8Array, value: string | null, headers: Headers = {}): NewRecord => ({
  key: k,
  value: value === null ? null : text(value),
  headers,
});
const putIf = (k: Uint8Array, value: string, condition: Condition, author = by(), more?: WriteDetails): NewRecord =>
  conditionalPutRecord(k, text(value), condition, author, more);

interface Place {
  readonly offset: Offset;
  readonly time: Millis;
}

const placeOf = ({ offset, time }: Planned): Place => ({ offset: offset as Offset, time: time as Millis });

/** What a node that knows `of` states under a key as of `asof`. */
function state(k: Uint8Array, value: string | undefined, of: Place, asof: Place, author = by(other)): NewRecord {
  const stated: Stated = {
    ...{ deleted: value === undefined, version: of.offset, asof: asof.offset, at: asof.time },
    ...{ id: '0f8fad5b-d9cb-469f-a165-70867728950e', by: 'node-1:8082/8f14e45f/1', time: of.time },
  };
  return statementRecord(k, text(value ?? ''), stated, author, { contentType: value === undefined ? undefined : 'text/plain' });
}

function plainWrites(): void {
  const name = bytesOf(genesisKey);
  const topic = '4c1f7a52-5c1e-4f0e-9d51-3f7c3a0d9b10';
  const genesis = add('genesis: a conditional put, accepted', putIf(name, topic, 'absent'));
  add('genesis of a node that came second: refused', putIf(name, '9a0364b9-e99b-4e30-8f4b-b9e1a0b5c0aa', 'absent', by(other)));
  add('genesis stated', state(name, topic, genesis, { ...genesis, offset: (genesis.offset + 1) as Offset }));
  const far = { expires: Date.UTC(2100, 0, 1) as Millis, contentType: 'text/plain; charset=utf-8' };
  for (const partition of [home, second]) {
    const k = (base: string): Uint8Array => key(base, partition);
    add('put', put(k('put'), 'plain'));
    add('put with deadline, content type and idempotency key', put(k('put-all'), 'all', { ...far, idempotencyKey: 'once' }));
    add('put whose deadline has passed', put(k('expired'), 'gone', { expires: (startMs + 5_000) as Millis }));
    add('put of another producer', foreign(k('foreign'), 'theirs'));
    add('put of another producer with headers of his own', foreign(k('foreign-headers'), 'theirs', { traceparent: text('00-ab-cd-01') }));
    add('put of another producer, deleted next', foreign(k('foreign-null'), 'theirs'));
    add('null of another producer: a delete', foreign(k('foreign-null'), null));
    add('empty value', put(k('empty'), ''));
    add('bytes that are no text', putRecord(k('bytes'), Uint8Array.of(0, 255, 254, 128, 10), by(), { contentType: 'application/x-bytes' }));
    add('key of many scripts', put(k('ñandú/日本/🔑'), '値'));
    add('put, written over next', put(k('twice'), 'first'));
    add('put over another', put(k('twice'), 'second'));
    add('put, deleted next', put(k('deleted'), 'gone'));
    add('delete', deleteRecord(k('deleted'), by()));
    add('delete of what was never there', deleteRecord(k('never'), by(other)));
    add('delete, written over next', deleteRecord(k('back'), by()));
    add('put over a delete', put(k('back'), 'again'));
    const again = put(k('repeated'), 'written twice');
    add('put that its producer sends twice', again);
    add('the same once more: ignored, the key is unsettled', again);
  }
}

function conditions(): void {
  const created = add('conditional put of an absent key: accepted', putIf(key('created'), 'new', 'absent'));
  add('stated', state(key('created'), 'new', created, created));
  const refused = add('conditional put of a key that is there: refused', putIf(key('created'), 'newer', 'absent', by(other)));
  add('stated after the refusal', state(key('created'), 'new', created, refused));
  const one = add('put, for conditions', put(key('conditional'), 'one'));
  const two = add('conditional put with its version: accepted, not stated', putIf(key('conditional'), 'two', one.offset));
  add('conditional put with the version before: refused', putIf(key('conditional'), 'three', one.offset, by(other)));
  add('conditional put if present: accepted', putIf(key('conditional'), 'four', 'present'));
  add('question: has no effect', questionRecord(key('conditional'), by(other)));
  add('late statement, of a version before: ignored', state(key('conditional'), 'two', two, two));
  const gone = add('put, for conditional deletes', put(key('conditional-delete'), 'one'));
  add('conditional delete of another version: refused', conditionalDeleteRecord(key('conditional-delete'), two.offset, by()));
  const deleted = add('conditional delete: accepted', conditionalDeleteRecord(key('conditional-delete'), gone.offset, by()));
  add('absence stated', state(key('conditional-delete'), undefined, deleted, deleted));
  add('conditional put of an absent key if present: refused, nothing is there', putIf(key('absent'), 'x', 'present'));
  const expired = add('put with a deadline', put(key('lease'), 'mine', { expires: (now + 500) as Millis }));
  add('conditional put after the deadline, if absent: accepted', putIf(key('lease'), 'yours', 'absent', by(other)));
  add('statement of what was before: ignored', state(key('lease'), 'mine', expired, expired));
  const unheard = add('conditional put, refused; its statement is made for another log', putIf(key('put'), 'x', 'absent'));
  add('statement as of an offset that is still to come: ignored', {
    ...state(key('put'), 'from another log', unheard, { ...unheard, offset: 10_000 as Offset }),
  });
}

function repetitions(): void {
  add('put with an idempotency key', put(key('idempotent'), 'first', { idempotencyKey: 'ik-1' }));
  add('another with the same: ignored', put(key('idempotent'), 'second', { idempotencyKey: 'ik-1' }, by(other)));
  add('the same idempotency key, another key', put(key('idempotent-too'), 'first', { idempotencyKey: 'ik-1' }));
  const more = { idempotencyKey: 'ik-2' };
  add('conditional put with an idempotency key: refused', putIf(key('idempotent-too'), 'second', 'absent', by(), more));
  add('repeated, when it would hold no more: refused as the first', putIf(key('idempotent-too'), 'third', 'present', by(other), more));
  add('delete with an idempotency key', deleteRecord(key('idempotent-delete'), by(), { idempotencyKey: 'ik-3' }));
}

function tombstones(): void {
  for (const name of ['swept', 'swept-live', 'swept-late', 'swept-foreign']) add('put, to be swept', put(key(name), 'value'));
  const gone = add('delete, swept next', deleteRecord(key('swept'), by()));
  add('tombstone of a deleted key: nothing is left of it', tombstoneRecord(key('swept'), gone.offset, by()));
  add('tombstone of a live key: ignored, the key is unsettled', tombstoneRecord(key('swept-live'), gone.offset, by(other)));
  add('delete, newer than the tombstone that follows knows', deleteRecord(key('swept-late'), by()));
  add('tombstone as of before the delete: ignored', tombstoneRecord(key('swept-late'), gone.offset, by(other)));
  add('delete, swept by whoever says nothing of what he knew', deleteRecord(key('swept-foreign'), by()));
  add('tombstone without asof', foreign(key('swept-foreign'), null, { op: asciiBytes('t') }));
}

function batches(): void {
  // What is in braces decides about the partition.
  const tag = Buffer.from(key('batch', second)).toString();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => bytesOf(`{${tag}}/${name}`)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const together = (id: string, records: readonly NewRecord[], what: string): Place[] =>
    records.map((record, index) =>
      add(`${what}, ${index + 1} of ${records.length}`, memberOf(record, { id, index, count: records.length })),
    );
  const id = (n: number): string => `${String(n).padStart(8, '0')}-0000-4000-9000-000000000000`;
  const [first] = together(id(1), [putIf(a, 'a1', 'absent'), put(b, 'b1')], 'atomic batch: accepted') as [Place, Place];
  together(id(2), [putIf(a, 'a2', first.offset), putIf(b, 'b2', 'absent')], 'atomic batch, one condition fails: refused');
  together(id(3), [deleteRecord(a, by(other)), put(b, 'b3', undefined, by(other))], 'atomic batch with a delete: accepted');
  const [lost] = [putIf(a, 'a4', 'absent'), put(b, 'b4'), put(c, 'c4')].map((record, index) =>
    memberOf(record, { id: id(4), index, count: 3 }),
  ) as [NewRecord, NewRecord, NewRecord];
  add('atomic batch of which members are missing: in doubt', lost);
  add('something else', put(d, 'x'));
}

function unreadable(): void {
  add('unreadable: no key', foreign(new Uint8Array(0), 'x'), second);
  add('unreadable: the key is no text', foreign(Uint8Array.of(0xff, 0xfe), 'x'), second);
  add('unreadable: an operation of the future', foreign(key('put', second), 'x', { op: asciiBytes('zz') }));
  add('unreadable: a writer without incarnation and sequence', foreign(key('put', second), 'x', { by: asciiBytes('someone') }));
  add('unreadable: a deadline that is none', foreign(key('put', second), 'x', { exp: asciiBytes('soon') }));
  add('unreadable: a condition that is none', foreign(key('put', second), 'x', { op: asciiBytes('c'), if: asciiBytes('maybe') }));
  add(
    'unreadable: a conditional put without a value',
    foreign(key('put', second), null, { op: asciiBytes('c'), if: asciiBytes('absent') }),
  );
  add('unreadable: a key of another partition', foreign(key('put', home), 'x'), second);
}

function systemRecords(): void {
  for (const partition of [home, second]) {
    add('barrier', putRecord(keyIn(partition, partitions, barrierKey), new Uint8Array(0), by()));
    add('mark of a verification', putRecord(keyIn(partition, partitions, markKey), text('6ecd8c99-4036-403d-bf84-cf8400f67836'), by()));
  }
}

/** More than half of the compaction lag later: what was kept to recognise repetitions counts no more. */
function muchLater(): void {
  now += 35 * minuteMs;
  add('an idempotency key that is forgotten: written', put(key('idempotent'), 'third', { idempotencyKey: 'ik-1' }));
  sequences.set(other, 0);
  add('a sequence number that is forgotten: written', put(key('conditional-delete'), 'two', undefined, by(other)));
  const tombstone = planned.findIndex(({ what }) => what.startsWith('tombstone of a live key'));
  const { record } = planned[tombstone] as Planned;
  const value = planned.find(({ record: each }) => Buffer.compare(each.key, record.key) === 0) as Planned;
  add(
    'statement that is more than half a lag late: ignored',
    state(record.key, 'value', placeOf(value), placeOf(planned[tombstone] as Planned)),
  );
}

/** What is left of it after a compaction stands behind holes. */
function compactedPart(): void {
  late = true;
  now = startMs - 180 * minuteMs;
  const k = (name: string): Uint8Array => key(name, third);
  const writer = 'node-3:8082/45c48cce';
  add('put, written over', put(k('plain'), 'one', undefined, by(writer)));
  add('put', put(k('plain'), 'two', undefined, by(writer)));
  const before = add('put that a condition looks at', put(k('doubtful'), 'one', undefined, by(writer)));
  add('conditional put behind a hole: accepted, but that cannot be known', putIf(k('doubtful'), 'two', before.offset, by(writer)));
  const value = add('put that a condition looks at', put(k('stated'), 'one', undefined, by(writer)));
  const decided = add('conditional put, stated next', putIf(k('stated'), 'two', value.offset, by(writer)));
  add('statement behind a hole: believed', state(k('stated'), 'two', decided, decided, by(writer)));
  add('put, deleted and swept', put(k('swept'), 'one', undefined, by(writer)));
  const gone = add('delete, swept', deleteRecord(k('swept'), by(writer)));
  add('tombstone behind a hole', tombstoneRecord(k('swept'), gone.offset, by(writer)));
  add('delete marker', deleteRecord(k('deleted'), by(writer)));
  now = startMs + 40 * minuteMs;
  add('put, too young to be compacted', put(k('young'), 'one', undefined, by(writer)));
  add('put over it, too young as well', put(k('young'), 'two', undefined, by(writer)));
  const settled = add('conditional put in doubt', putIf(k('plain'), 'three', 1 as Offset, by(writer)));
  add('which its statement ends', state(k('plain'), 'three', settled, settled, by(writer)));
  add('conditional put in doubt, not stated', putIf(k('created'), 'one', 'absent', by(writer)));
  add('question about a key in doubt', questionRecord(k('doubtful'), by(writer)));
}

/** All of them, in the order in which they are written. */
export function sequence(): readonly Planned[] {
  plainWrites();
  conditions();
  repetitions();
  tombstones();
  batches();
  unreadable();
  systemRecords();
  muchLater();
  compactedPart();
  return planned;
}

/** After all of it. */
export const afterMs = startMs + 45 * minuteMs;
