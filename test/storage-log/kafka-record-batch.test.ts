/** Record batches: against kafkajs's own encoder and decoder, and whatever else may come over a wire. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogRecord, Offset } from '../../src/ports.ts';
import { decodeFetchAnswer, type FetchedPartition, recordsOf } from '../../storage/log/kafka/fetched.ts';
import { BatchError, batchAt, readBatch } from '../../storage/log/kafka/record-batch.ts';
import { answerBytes, batchBytes, controlBytes, sealed } from './kafka-bytes.ts';

const kafkajs = createRequire(import.meta.url);
type Encoded = { readonly buffer: Buffer };
const { RecordBatch } = kafkajs('kafkajs/src/protocol/recordBatch/v0/index.js') as { RecordBatch(batch: object): Promise<Encoded> };
const encodeRecord = kafkajs('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => Encoded;
const Long = kafkajs('kafkajs/src/utils/long.js') as { fromValue(value: number): unknown };
const Decoder = kafkajs('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => object;
const decodeMessages = kafkajs('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (decoder: object) => Promise<TheirMessage[]>;

interface TheirMessage {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, unknown>>;
}

const fetched = (batches: Buffer, aborted: FetchedPartition['aborted'] = []): FetchedPartition => ({
  ...{ partition: 0, errorCode: 0, highWatermark: 1_000, lastStableOffset: 1_000, aborted, preferredReplica: -1, batches },
});
const o = (offset: number) => offset as Offset;
const plain = (bytes: unknown) => (bytes instanceof Uint8Array ? Buffer.from(bytes).toString('hex') : bytes);
const plainHeaders = (headers: Readonly<Record<string, unknown>> | undefined) =>
  Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, Array.isArray(value) ? value.map(plain) : plain(value)]));
const plainRecord = (record: LogRecord) => ({
  ...{ offset: record.offset, time: record.time, key: plain(record.key), value: plain(record.value) },
  headers: plainHeaders(record.headers),
});
const theirs = async (batches: Buffer) => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(batches.length);
  return (await decodeMessages(new Decoder(Buffer.concat([length, batches])))).map((message) => ({
    ...{ offset: Number(message.offset), time: Number(message.timestamp), key: plain(message.key), value: plain(message.value) },
    headers: plainHeaders(message.headers),
  }));
};
const ours = (batches: Buffer) => recordsOf(fetched(batches), o(0)).records.map(plainRecord);

const someBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const someRecord = fc.record({
  key: fc.option(someBytes),
  value: fc.option(someBytes),
  // kafkajs takes a name that every object has for one that stands twice.
  headers: fc.dictionary(
    fc.string().filter((name) => !(name in {})),
    fc.oneof(someBytes, fc.array(someBytes, { minLength: 2, maxLength: 3 })),
    { maxKeys: 4 },
  ),
  gap: fc.oneof(fc.constant(1), fc.nat(100_000)),
  time: fc.oneof(fc.nat(100), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
});
const someBatch = fc.record({
  records: fc.array(someRecord, { maxLength: 12 }),
  base: fc.oneof(fc.nat(1_000), fc.integer({ min: 2 ** 31, max: 2 ** 52 })),
  gzip: fc.boolean(),
});

/** By kafkajs. */
async function encoded({ records, base, gzip }: typeof someBatch extends fc.Arbitrary<infer T> ? T : never): Promise<Buffer> {
  let delta = -1;
  const encodedRecords = records.map(({ key, value, headers, gap, time }) => {
    delta += Math.max(1, gap);
    return encodeRecord({ offsetDelta: delta, timestampDelta: time, key, value, headers });
  });
  const { buffer } = await RecordBatch({
    ...{ compression: gzip ? 1 : 0, firstOffset: Long.fromValue(base), lastOffsetDelta: Math.max(0, delta), records: encodedRecords },
    ...{ firstTimestamp: 1_700_000_000_000, maxTimestamp: 1_700_000_000_000 },
  });
  return buffer;
}

describe('record batches', () => {
  test('what kafkajs encodes is decoded as kafkajs decodes it, and whatever is cut off is left out', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someBatch, { maxLength: 3 }), fc.nat(), async (batches, cut) => {
        const sorted = batches.toSorted((a, b) => a.base - b.base);
        const pieces = await Promise.all(sorted.map((batch, i) => encoded({ ...batch, base: batch.base + i * 2_000_000 })));
        const all = Buffer.concat(pieces);
        expect(ours(all)).toEqual(await theirs(all));
        const whole = pieces
          .map((_, i) => Buffer.concat(pieces.slice(0, i + 1)))
          .findLast(({ length }) => length <= cut % (all.length + 1));
        expect(ours(all.subarray(0, cut % (all.length + 1)))).toEqual(whole === undefined ? [] : await theirs(whole));
      }),
      { numRuns: 150 },
    );
  });

  test('golden bytes: a batch as Kafka 3.9.1 keeps it, two records of an idempotent producer, with log-append time', () => {
    const head = '0000000000000000' + '00000047' + '00000000' + '02' + 'e04f887a' + '0008' + '00000001';
    const times = '000001a20010926e' + '000001a200109270';
    const producer = '0000000000000038' + '0000' + '00000000' + '00000002';
    const first = '1a' + '00' + '00' + '00' + '02' + '61' + '02' + '62' + '02' + '04' + '6964' + '02' + '78';
    const second = '0e' + '00' + '00' + '02' + '02' + '63' + '01' + '00';
    const time = 0x1a200109270;
    expect(ours(Buffer.from(head + times + producer + first + second, 'hex'))).toEqual([
      { offset: 0, time, key: '61', value: '62', headers: { id: '78' } },
      { offset: 1, time, key: '63', value: null, headers: {} },
    ]);
  });

  test('not a single flipped bit is served', () => {
    const bytes = batchBytes({ records: [{ offset: 3, headers: { id: Buffer.from('x') } }, { offset: 4 }] });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      let found: ReturnType<typeof recordsOf> | undefined;
      try {
        found = recordsOf(fetched(flipped), o(3));
      } catch (error) {
        expect(error).toBeInstanceOf(BatchError);
      }
      // The base offset and the leader's epoch are not covered; a longer length is a batch that is cut off.
      const [byte] = [bit >> 3];
      if (byte >= 16) expect(found, `bit ${bit}`).toBeUndefined();
      else if (byte >= 8 && byte < 12) expect(found?.records ?? []).toEqual([]);
    }
  });

  test('whatever comes in a batch that agrees with its checksum is records or a BatchError, and ends', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer(), fc.nat(0x39), (body, count, attributes) => {
        const bytes = Buffer.concat([batchBytes({ records: [], base: 0, last: 5, attributes }), body]);
        bytes.writeInt32BE(bytes.length - 12, 8);
        bytes.writeInt32BE(count, 57);
        try {
          for (const { offset } of recordsOf(fetched(sealed(bytes)), o(0)).records) expect(offset).toBeLessThanOrEqual(5);
        } catch (error) {
          expect(error).toBeInstanceOf(BatchError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    [2, 'snappy'],
    [3, 'lz4'],
    [4, 'zstd'],
  ])('compression %i is refused by its name', (attributes, name) => {
    const bytes = batchBytes({ records: [{ offset: 1 }], attributes });
    expect(() => recordsOf(fetched(bytes), o(0))).toThrow(`compressed with ${name}, which is not supported`);
  });

  test('an old format is refused, and never taken for the end', () => {
    const bytes = batchBytes({ records: [{ offset: 1 }] });
    bytes[16] = 1;
    expect(() => recordsOf(fetched(bytes), o(0))).toThrow(BatchError);
  });

  test('a header named as what every object has is a header; a name that stands twice has both values', () => {
    const headers = Object.assign(Object.create(null), { toString: Buffer.from('a'), twice: [Buffer.from('1'), Buffer.from('2')] });
    const bytes = batchBytes({ records: [{ offset: 0, headers }] });
    expect(ours(bytes)[0]?.headers).toEqual({ toString: '61', twice: ['31', '32'] });
    const proto = batchBytes({ records: [{ offset: 0, headers: Object.fromEntries([['__proto__', Buffer.from('p')]]) }] });
    const [record] = recordsOf(fetched(proto), o(0)).records;
    expect(Object.getOwnPropertyNames(record?.headers)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(record?.headers)).toBe(Object.prototype);
  });

  test('a batch is read from its middle, and up to its middle', () => {
    const bytes = batchBytes({ records: [5, 6, 7, 8].map((offset) => ({ offset })) });
    const head = batchAt(bytes, 0)!;
    const into: LogRecord[] = [];
    expect(readBatch(bytes, head, 6, 8, into)).toBe(2);
    expect(into.map(({ offset }) => offset)).toEqual([6, 7]);
    expect(recordsOf(fetched(bytes), o(6), 8)).toMatchObject({ next: 8, held: 2 });
  });
});

describe('what an answer holds', () => {
  test('a batch speaks for offsets whose records are gone, up to its last', () => {
    // Emptied, and still said to be packed.
    const packed = Buffer.from(batchBytes({ records: [{ offset: 31 }], attributes: 8 + 1 }).subarray(0, 61));
    packed.writeInt32BE(49, 8);
    packed.writeInt32BE(0, 57);
    const emptied = [batchBytes({ records: [], base: 15, last: 30 }), sealed(packed)];
    const batches = Buffer.concat([batchBytes({ records: [{ offset: 12 }], base: 10, last: 14 }), ...emptied]);
    expect(recordsOf(fetched(batches), o(11))).toMatchObject({ next: 32, held: 1, records: [{ offset: 12 }] });
  });

  test('control records and aborted transactions are held and not shown; others of the same producer, and of others, are', () => {
    const batch = (offset: number, producer: number, attributes = 8 + 16) => batchBytes({ records: [{ offset }], producer, attributes });
    const batches = Buffer.concat([
      ...[batch(0, 7), controlBytes(1, 7, 'commit'), batch(2, 7), batch(3, 8), batch(4, -1, 8), controlBytes(5, 7, 'abort')],
      ...[batch(6, 7), controlBytes(7, 8, 'commit'), controlBytes(8, 7, 'commit')],
    ]);
    const found = recordsOf(fetched(batches, [{ producer: 7n, first: 2 }]), o(0));
    expect(found.records.map(({ offset }) => offset)).toEqual([0, 3, 4, 6]);
    expect(found).toMatchObject({ next: 9, held: 9 });
    // Begun before the offset asked for.
    const middle = recordsOf(
      fetched(batches.subarray(batch(0, 7).length + controlBytes(1, 7, 'commit').length), [{ producer: 7n, first: 0 }]),
      o(2),
    );
    expect(middle.records.map(({ offset }) => offset)).toEqual([3, 4, 6]);
  });

  test('an answer is decoded as it was encoded, and a broken one is an error', () => {
    const batches = batchBytes({ records: [{ offset: 3 }] });
    const bytes = answerBytes('t', [
      { partition: 1, end: 9, stable: 4, aborted: [{ producer: 2, first: 3 }], batches },
      { partition: 2, end: -1, error: 6, batches: Buffer.alloc(0) },
    ]);
    const { partitions } = decodeFetchAnswer(bytes);
    expect(partitions).toEqual([
      {
        ...{ partition: 1, errorCode: 0, highWatermark: 9, lastStableOffset: 4, aborted: [{ producer: 2n, first: 3 }] },
        ...{ preferredReplica: -1, batches },
      },
      { partition: 2, errorCode: 6, highWatermark: -1, lastStableOffset: -1, aborted: [], preferredReplica: -1, batches: Buffer.alloc(0) },
    ]);
    for (let length = 0; length < bytes.length; length++) expect(() => decodeFetchAnswer(bytes.subarray(0, length))).toThrow();
  });
});
